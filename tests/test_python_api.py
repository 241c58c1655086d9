"""The Python API: what is public, typed and documented, and the scripts that use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import EmbeddedServer, connected

import rvlstate
from rvlstate import ApplyOptions, Drift, Event, Plan, Project, Report, RvlstateError
from rvlstate.errors import HazardsNotAllowedError, SpecError, UsageError
from rvlstate.events import RunFinished, RunStarted, StepFinished, StepStarted

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "python"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, whose server is the empty one of the tests."""
    shutil.copytree(EXAMPLE, tmp_path / "python")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path / "python")
    return tmp_path / "python"


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    """The example, loaded."""
    with Project.load(folder) as loaded:
        yield loaded


def python(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the folder, as its user does."""
    command = [sys.executable, "-W", "error", *words]
    environ = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environ, text=True, capture_output=True, check=False, timeout=120)


def test_the_public_names_are_sorted_and_there() -> None:
    """Each of them comes from its module, and no other name does."""
    assert rvlstate.__all__ == sorted(rvlstate.__all__)
    assert all(getattr(rvlstate, name) is not None for name in rvlstate.__all__)
    assert dir(rvlstate) == rvlstate.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Projekt'"):
        _ = rvlstate.Projekt


def test_to_import_the_package_loads_nothing_heavy() -> None:
    """A program that only asks for the version does not wait for redisvl."""
    code = (
        "import sys, rvlstate; print(rvlstate.__version__, {'redis', 'redisvl', 'pydantic', 'numpy'} & {*sys.modules})"
    )
    assert python(ROOT, "-c", code).stdout == f"{rvlstate.__version__} set()\n"


def test_the_package_says_that_it_is_typed() -> None:
    """PEP 561: type checkers of users look into it."""
    assert (Path(rvlstate.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("plan", ("products",), {}),
        ("plan", (), {"targets": (3,)}),
        ("plan", (), {"postpone": "yes"}),
        ("plan_against", (3,), {}),
        ("apply", ("plan.json",), {}),
        ("apply", (), {"options": {"allow": ("SLOW_BUILD",)}}),
        ("apply", (), {"options": ApplyOptions(allow="SLOW_BUILD")}),  # type: ignore[arg-type]
        ("apply", (), {"options": ApplyOptions(lock_timeout=float("nan"))}),
        ("apply", (), {"on_event": 3}),
        ("cutover", ("products", "plan.json"), {}),
        ("complete", (None,), {}),
        ("rollback", ("products",), {"backup": 3}),
        ("rollback", ("products",), {"lock_timeout": "10"}),
        ("watch", (3,), {}),
        ("propose_repair", (None,), {}),
        ("import_indexes", ("products",), {}),
        ("throttle", ("fast",), {}),
        ("history", ("5",), {}),
        ("run", (3,), {}),
        ("unlock", (None,), {}),
        ("grants", ("plan",), {}),
    ],
)
def test_an_argument_of_another_type_is_refused(
    folder: Path, method: str, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Before anybody connects, with the method, the argument, what it has to be, and how it is written."""
    with Project.load(folder, redis_url="redis://127.0.0.1:1") as project, pytest.raises(UsageError) as caught:
        getattr(project, method)(*arguments, **named)
    assert re.match(rf"Project\.{method}: \w+ has to be .+; this is ", str(caught.value))
    assert re.match(r"write, for instance, \w+=.+\.$", caught.value.next_step)


@pytest.mark.parametrize(
    "named", [{"path": 3}, {"path": b"x"}, {"redis_url": 3}, {"environ": []}, {"schemas": "some"}, {"env": None}]
)
def test_a_project_is_loaded_from_what_can_name_one(named: dict[str, Any]) -> None:
    """The same at the first door."""
    with pytest.raises(UsageError, match=r"^Project\.load: \w+ has to be "):
        Project.load(**named)


def test_too_many_arguments_are_told_by_python(project: Project) -> None:
    """As of any other method."""
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        project.plan(target=("products",))  # type: ignore[call-arg]


def test_plan_apply_drift(project: Project, server: EmbeddedServer) -> None:
    """The three verbs give their values, and events tell of the run from its beginning to its end."""
    told: list[Event] = []
    plan = project.plan()
    assert isinstance(plan, Plan)
    report = project.apply(plan, on_event=told.append)
    assert isinstance(report, Report)
    assert (report.result, report.plan_empty) == ("done", True)
    assert isinstance(told[0], RunStarted)
    assert isinstance(told[-1], RunFinished)
    steps = [step.id for step in plan.steps]
    assert [event.step for event in told if isinstance(event, StepStarted)] == steps
    assert [event.step for event in told if isinstance(event, StepFinished)] == steps
    assert project.plan().empty
    with connected(server) as client:
        client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "colour", "TAG")
    drift = project.drift()
    assert isinstance(drift, Drift)
    assert [change.address for index in drift.indexes for change in index.changes] == ["products.fields.colour"]


def test_apply_without_a_plan_makes_one(project: Project) -> None:
    """And does nothing the second time."""
    assert project.apply().result == "done"
    assert project.apply().result == "nothing"


def test_a_plan_that_came_to_nothing_is_not_taken_for_none_given(project: Project) -> None:
    """A repair may have no plan: what the schema files say by now is not to be applied in its place."""
    nothing: Any = project.propose_repair(Drift(project="shop")).plan
    with pytest.raises(UsageError, match="no plan to apply"):
        project.apply(nothing)
    assert [step.id for step in project.plan().steps]


def test_a_closed_project_does_not_connect_again(project: Project) -> None:
    """No socket is left open behind a with."""
    project.plan()
    project.close()
    project.close()
    with pytest.raises(UsageError, match="the project shop-dev is closed"):
        project.plan()


def test_errors_are_of_one_tree_and_say_what_to_do(folder: Path, project: Project) -> None:
    """One except is enough for a script; the parts are there for those who want to show them."""
    project.apply()
    schema = folder / "indexes" / "products.yaml"
    schema.write_text(schema.read_text(encoding="utf-8").replace("name: products", "name: goods"), encoding="utf-8")
    file = folder / "rvlstate.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("  products:\n    prevent_destroy: true\n", ""))
    with Project.load(folder) as renamed, pytest.raises(RvlstateError) as refused:
        renamed.apply()
    assert isinstance(refused.value, HazardsNotAllowedError)
    assert (refused.value.exit_code, bool(refused.value.next_step)) == (3, True)
    file.write_text("version: 1\nproject: shop\nredis: {url: redis://h}\nschemas: []\npolcy: {}\n")
    with pytest.raises(RvlstateError, match="polcy") as wrong:
        Project.load(folder)
    assert isinstance(wrong.value, SpecError)
    assert wrong.value.line == 5


def test_hazards_are_agreed_to_by_options(folder: Path, project: Project) -> None:
    """What --allow says on the command line."""
    project.apply()
    (folder / "indexes" / "more.yaml").write_text(
        "index: {name: more, prefix: more}\nfields: [{name: a, type: tag}]\n", encoding="utf-8"
    )
    with Project.load(folder) as grown:
        grown.apply()
    (folder / "indexes" / "more.yaml").unlink()
    with Project.load(folder) as shrunk:
        codes = tuple(hazard.code for hazard in shrunk.plan().hazards)
        assert "DELETES_INDEX" in codes
        assert shrunk.apply(options=ApplyOptions(allow=codes)).result == "done"


def test_a_project_is_loaded_in_an_environment(folder: Path) -> None:
    """With what that has of its own; variables come from where the caller says."""
    environ = {"PRODUCTION_REDIS_URL": "redis://production.example"}
    with Project.load(folder, env="production", environ=environ) as production:
        assert (production.name, production.environment) == ("shop", "production")
        assert production.redis_url == "redis://production.example"
        assert production.desired.policy.max_memory_ratio == 0.7


def test_the_deployment_script_deploys_once(folder: Path) -> None:
    """It says what it does; a dry run does nothing, and a second run finds nothing to do."""
    dry = python(folder, "deploy.py", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert "create products: in_place, 0 changes, 0 hazards" in dry.stdout
    first = python(folder, "deploy.py")
    assert (first.returncode, first.stderr) == (0, "")
    assert "[1/4] create products@1" in first.stdout
    assert "nothing left to do: True" in first.stdout
    assert python(folder, "deploy.py").stdout == "nothing to do\n"


def test_the_deployment_script_stops_where_somebody_has_to_look(folder: Path) -> None:
    """At a consequence that nobody agreed to; nothing is written."""
    assert python(folder, "deploy.py").returncode == 0
    file = folder / "rvlstate.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("    prevent_destroy: true\n", "    strategy: recreate\n"))
    schema = folder / "indexes" / "products.yaml"
    schema.write_text(schema.read_text(encoding="utf-8").replace("    type: tag", "    type: text"), encoding="utf-8")
    stopped = python(folder, "deploy.py")
    assert stopped.returncode == 3
    assert "stopped: SEARCH_DOWNTIME: " in stopped.stdout


def test_the_deployment_script_repairs(folder: Path, server: EmbeddedServer) -> None:
    """A change by hand stops a deployment; --repair undoes it, and then there is nothing to repair."""
    assert python(folder, "deploy.py").returncode == 0
    with connected(server) as client:
        client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "colour", "TAG")
    stopped = python(folder, "deploy.py")
    assert stopped.returncode == 3
    assert "stopped: products: changed by hand (--repair undoes it)" in stopped.stdout
    repaired = python(folder, "deploy.py", "--repair")
    assert (repaired.returncode, repaired.stderr) == (0, "")
    assert repaired.stdout.endswith("drift: False\n")
    assert python(folder, "deploy.py", "--repair").stdout == "nothing to repair\n"
    assert python(folder, "deploy.py").stdout == "nothing to do\n"


def test_the_deployment_script_tells_errors(folder: Path) -> None:
    """On stderr, with the exit code of rvlstate; here a variable of production is not set."""
    failed = python(folder, "deploy.py", "--env", "production")
    assert failed.returncode == 1
    assert "rvlstate.production.yaml:4: the environment has no variable PRODUCTION_REDIS_URL" in failed.stderr


def test_the_notebook_script_runs_from_top_to_bottom(folder: Path) -> None:
    """Every cell works after those above it."""
    told = python(folder, "explore.py")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("shop-dev ['products']\n")
    assert "done 4 steps ['RunFinished', 'RunStarted', 'StepFinished', " in told.stdout
    assert "repair: None []\n" in told.stdout
    assert "apply done 4 of 4 steps\noffline: ['no-op']\n" in told.stdout


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_programs_of_the_page_run(folder: Path, number: int) -> None:
    """Each python block of docs/python.md, as a program of its own."""
    told = python(folder, "-c", BLOCKS[number])
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout
