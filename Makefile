# A new machine needs two commands: `make demo` and `make test`.
# The environment is made in .venv when it is missing or when its pins changed, and left alone otherwise.

PYTHONS := python3.11 python3.12 python3.13 python3.10 python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
# One more than there are cores: many tests wait for a server, a lease or a quiet moment.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench soak clean

help: ## show these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

install: $(STAMP) ## make .venv with the pinned development set

demo: $(STAMP) ## the whole story on an embedded server with real data, well under a minute
	@$(BIN)/rvlstate demo $(ARGS)

test: $(STAMP) ## all tests, against real servers; ARGS="-k drift" to choose
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(STAMP) ## ruff (rules and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## start-up time and the time of `plan`, as a table and as JSON
	@$(BIN)/python tests/benchmarks $(ARGS)

soak: $(STAMP) ## the tests that run for long
	@$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

clean: ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Written last, so that an installation that was broken off is done again.
$(STAMP): pyproject.toml .ci/constraints.txt
	@if ! $(BIN)/python -c "" 2>/dev/null; then \
	    for python in $(PYTHONS); do \
	        if $$python -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then echo "make: Python 3.10 or newer is needed" >&2; exit 1; fi; \
	    echo "making $(VENV) with $$($$found --version)"; \
	    $$found -m venv --clear $(VENV) || exit 1; \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c .ci/constraints.txt hatchling editables
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c .ci/constraints.txt --no-build-isolation -e ".[dev]"
	@touch $@
