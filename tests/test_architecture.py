"""The rules of the architecture, read from the syntax trees of the package: arrows, doors, sizes, docstrings, start-up.

Each checker takes sources and returns a list of violations; one table of wrong sources proves that each can fail.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "rvlstate"

LAYERS: Mapping[str, frozenset[str]] = {
    "__init__": frozenset({"errors", "events", "plan", "runtime", "project"}),
    "errors": frozenset(),
    "events": frozenset({"errors"}),
    "model": frozenset({"errors"}),
    "diff": frozenset({"errors", "model"}),
    "plan": frozenset({"errors", "model", "diff"}),
    "transforms": frozenset({"errors", "model"}),
    "files": frozenset({"errors", "model", "plan"}),
    "views": frozenset({"errors", "model", "diff", "plan", "events"}),
    "runtime": frozenset({"errors", "events", "model", "diff", "plan", "transforms", "__init__"}),
    "checked": frozenset({"errors", "plan", "runtime"}),
    "session": frozenset({"checked", "errors", "events", "model", "files", "runtime", "__init__"}),
    "executing": frozenset({"errors", "events", "model", "plan", "runtime", "session", "__init__"}),
    "watching": frozenset({"errors", "events", "model", "plan", "runtime", "project", "__init__"}),
    "drifting": frozenset({"plan", "runtime", "project"}),
    "importing": frozenset({"errors", "events", "model", "diff", "plan", "files", "runtime", "project", "__init__"}),
    "rebuilding": frozenset({"errors", "model", "plan", "runtime", "project"}),
    "rolling_back": frozenset({"errors", "events", "model", "plan", "runtime", "project", "__init__"}),
    "offline": frozenset({"errors", "files", "model", "plan", "runtime", "__init__"}),
    "project": frozenset(
        {"errors", "events", "model", "diff", "plan", "files", "runtime", "session", "importing", "rolling_back"}
        | {"checked", "rebuilding", "executing", "offline", "watching", "drifting", "__init__"}
    ),
    "forge": frozenset({"errors", "model", "plan", "views", "__init__"}),
    "notify": frozenset({"errors", "model", "plan", "views", "forge", "__init__"}),
    "demo": frozenset({"errors", "model", "files", "runtime", "project"}),
    "cli": frozenset(
        {"errors", "events", "model", "diff", "plan", "files", "views", "runtime", "project", "importing", "demo"}
        | {"__init__", "forge", "notify"}
    ),
}
"""Layer -> the layers that it may import; `__init__` is the package itself, which holds the version."""

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("files/plan_file.py", "rvlstate.views.plan_json"): "the plan file is the plan's JSON, which is said in one place",
    ("views/history.py", "rvlstate.runtime.run_report"): "a type only: what a run was",
    ("views/html_run.py", "rvlstate.runtime.run_report"): "a type only: what a run was",
    ("views/html_timeline.py", "rvlstate.runtime.run_report"): "a type only: what a step was",
    ("views/run_points.py", "rvlstate.runtime.run_report"): "a type only: what a run told",
    ("views/status.py", "rvlstate.runtime.status"): "a type only: where every index stands",
    ("views/report.py", "rvlstate.runtime.outcome"): "a type only: what an apply did",
    ("views/rollback.py", "rvlstate.runtime.outcome"): "a type only: what a rollback did",
    ("views/imported.py", "rvlstate.project"): "a type only: what an import did",
    ("views/standing.py", "rvlstate.runtime.status"): "a type only: where a change stands",
    ("views/watched.py", "rvlstate.watching"): "a type only: what a watch did",
}
"""Arrows beside those of the layers: file, module -> the reason."""

VALUES = frozenset({"rvlstate.views.plan_json"})
"""Modules of exceptions that may be imported at run time; the others are for type checkers alone."""

PURE = frozenset({"model", "diff", "plan", "transforms"})
IMPURE_MODULES = frozenset(
    {"redis", "redisvl", "click", "os", "time", "random", "logging", "asyncio", "threading", "socket", "subprocess"}
    | {"rich", "uuid", "secrets", "importlib", "multiprocessing", "concurrent", "tempfile", "signal", "datetime"}
    | {"io", "pathlib", "shutil", "sys", "urllib", "yaml"}
)
"""What the pure folders must not import: I/O, clocks, chance and concurrency are arguments, or somebody else's."""

DOORS: Mapping[str, tuple[str, ...]] = {
    "deepdiff": ("diff/compare.py",),
    "networkx": ("plan/order.py",),
    "pydantic": ("model/codec.py", "files/", "runtime/state_payload.py"),
    "pydantic_core": ("files/",),
    "redisvl": ("files/", "demo/"),
    "rich": ("views/",),
    "click": ("cli/",),
    "redis": ("runtime/", "demo/"),
    # Completion runs at each press of a key: it reads names with yaml alone, for `files` would import pydantic.
    "yaml": ("files/", "cli/completion.py"),
    "tenacity": ("runtime/", "forge/patience.py"),
    "github": ("forge/github_client.py",),
    "gitlab": ("forge/gitlab_client.py",),
    "requests": ("forge/",),
    "apprise": ("notify/through_apprise.py",),
    "prometheus_client": ("runtime/metrics.py", "runtime/metrics_output.py"),
    "opentelemetry": ("runtime/tracing.py",),
    "numpy": ("transforms/", "demo/"),
    "ml_dtypes": ("transforms/", "demo/"),
    "vega_datasets": ("demo/",),
    "typing_extensions": ("",),
}
"""Third-party package -> the files (or folders, with a slash) that may import it."""

LONGEST_FILE, LONGEST_FUNCTION = 300, 60
BROAD = frozenset({"Exception", "BaseException"})
UNUSED = frozenset[str]()
"""Packages whose door waits for what will need them."""

HEAVY = frozenset(DOORS) - {"click"} | {"asyncio"}
"""Packages that `rvlstate --help` must not wait for."""


@dataclass(frozen=True, slots=True)
class Source:
    """One module: its path below the package, its text, and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The first folder, or the module itself."""
        return self.path.split("/", maxsplit=1)[0].removesuffix(".py")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module; `typing` tells that only type checkers see it."""

    module: str
    line: int
    typing: bool

    @property
    def package(self) -> str:
        """The package that it belongs to."""
        return self.module.split(".", maxsplit=1)[0]

    @property
    def layer(self) -> str:
        """The layer of this package that it belongs to."""
        return f"{self.module}.__init__".split(".")[1]


def source_of(path: str, text: str) -> Source:
    """A module from its text."""
    return Source(path, text, ast.parse(text))


@cache
def package_sources() -> tuple[Source, ...]:
    """All modules of the package."""
    folder = ROOT / PACKAGE
    return tuple(
        source_of(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    )


def imports_of(source: Source) -> Iterator[Import]:
    """All imports, those inside of functions included."""
    hidden = {id(node) for guard in ast.walk(source.tree) if _is_typing_guard(guard) for node in ast.walk(guard)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, id(node) in hidden) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module == PACKAGE:
                # `from rvlstate import model` names the layer behind the word import.
                names = [f"{PACKAGE}.{alias.name}" if alias.name in LAYERS else PACKAGE for alias in node.names]
            else:
                names = ["." * node.level + (node.module or "")]
            yield from (Import(name, node.lineno, id(node) in hidden) for name in names)


def _is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def wrong_arrows(source: Source) -> list[str]:
    """Imports against the arrows."""
    found = []
    for item in imports_of(source):
        if item.module.startswith("."):
            found.append(f"{source.path}:{item.line} imports {item.module}: write the whole name")
        elif item.package == PACKAGE and item.layer not in {source.layer, *LAYERS.get(source.layer, ())}:
            allowed = (source.path, item.module) in EXCEPTIONS and (item.typing or item.module in VALUES)
            found += [] if allowed else [f"{source.path}:{item.line} imports {item.module}"]
    return found if source.layer in LAYERS else [*found, f"{source.path}: the layer {source.layer} has no arrows"]


def impure_imports(source: Source) -> list[str]:
    """Imports of I/O, clocks, chance and concurrency in the pure folders."""
    if source.layer not in PURE:
        return []
    return [
        f"{source.path}:{item.line} imports {item.module}"
        for item in imports_of(source)
        if item.package in IMPURE_MODULES
    ]


def bypassed_doors(source: Source) -> list[str]:
    """Third-party packages that are imported beside their doors, or that have none."""
    return [
        f"{source.path}:{item.line} imports {item.module}: its door is {', '.join(DOORS.get(item.package, ())) or '?'}"
        for item in imports_of(source)
        if item.package not in {PACKAGE, "__future__", "", *sys.stdlib_module_names}
        and not any(_is_through(source.path, door) for door in DOORS.get(item.package, ()))
    ]


def _is_through(path: str, door: str) -> bool:
    return path.startswith(door) if not door or door.endswith("/") else path == door


def long_files(source: Source) -> list[str]:
    """Files that are two concepts."""
    lines = len(source.text.splitlines())
    return [f"{source.path}: {lines} lines"] if lines > LONGEST_FILE else []


def long_functions(source: Source) -> list[str]:
    """Functions that are more than a paragraph."""
    return [
        f"{source.path}:{node.lineno} {node.name}: {lines} lines"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for lines in [(node.end_lineno or node.lineno) - node.lineno + 1]
        if lines > LONGEST_FUNCTION
    ]


def broad_excepts(source: Source) -> list[str]:
    """Handlers of everything, and suppressions of it, without a comment on the line that says why."""
    lines = source.text.splitlines()
    return [
        f"{source.path}:{line} {lines[line - 1].strip()}"
        for line in sorted(_broad_lines(source.tree))
        if "# " not in lines[line - 1].replace("# noqa", "")
    ]


def _broad_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _names_in(node.type) & BROAD):
            yield node.lineno
        elif isinstance(node, ast.Call) and _names_in(node.func) & {"suppress"}:
            yield from (node.lineno for argument in node.args if _names_in(argument) & BROAD)


def _names_in(node: ast.AST) -> set[str]:
    names = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return names | {item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute)}


def missing_docstrings(source: Source) -> list[str]:
    """Public modules, classes, functions, methods and properties without a docstring."""
    found = [] if ast.get_docstring(source.tree) else [f"{source.path}: the module"]
    return found + [
        f"{source.path}:{node.lineno} {node.name}"
        for node in _public(source.tree)
        if not (ast.get_docstring(node) or "").strip()
    ]


def _public(scope: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in _defined(scope.body):
        if not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def _defined(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Definitions at this level, those under an `if` or a `try` included."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _defined([*node.body, *node.orelse])


Checker = Callable[[Source], list[str]]

RULES: dict[str, Checker] = {
    "arrows run one way": wrong_arrows,
    "the pure folders stay pure": impure_imports,
    "one door per third-party package": bypassed_doors,
    "a file is one concept": long_files,
    "a function is one paragraph": long_functions,
    "no broad except without its reason": broad_excepts,
    "every public name has a docstring": missing_docstrings,
}

DOC = '"""Doc."""\n'
WRONG: list[tuple[Checker, str, str]] = [
    (wrong_arrows, "model/x.py", "from rvlstate.plan.plan import Plan"),
    (wrong_arrows, "model/x.py", "from rvlstate import plan"),
    (wrong_arrows, "errors.py", "import rvlstate.model.field"),
    (wrong_arrows, "plan/x.py", "def f():\n    from rvlstate.runtime.connect import connect"),
    (wrong_arrows, "runtime/x.py", "from rvlstate.views.paper import Paper"),
    (wrong_arrows, "runtime/x.py", "from rvlstate.cli import main"),
    (wrong_arrows, "files/x.py", "from rvlstate.views.plan_json import plan_data"),
    (wrong_arrows, "views/x.py", "from rvlstate.runtime.connect import Connection"),
    (wrong_arrows, "views/report.py", "from rvlstate.runtime.apply import Execution"),
    (wrong_arrows, "views/history.py", "from rvlstate.runtime.run_report import RunReport"),
    (wrong_arrows, "diff/x.py", "from . import facts"),
    (wrong_arrows, "somewhere/x.py", ""),
    *((impure_imports, "plan/x.py", f"import {name}") for name in sorted(IMPURE_MODULES)),
    (impure_imports, "model/x.py", "def f():\n    from os.path import join"),
    (impure_imports, "transforms/x.py", "import asyncio.tasks as tasks"),
    *((bypassed_doors, "importing.py", f"import {name}") for name in sorted(DOORS) if DOORS[name] != ("",)),
    (bypassed_doors, "diff/compare_more.py", "from deepdiff import DeepDiff"),
    (bypassed_doors, "runtime/x.py", "import requests"),
    (long_files, "plan/x.py", "\n" * (LONGEST_FILE + 1)),
    (long_functions, "plan/x.py", "def f():\n" + "    pass\n" * LONGEST_FUNCTION),
    (long_functions, "plan/x.py", "class A:\n    async def f():\n" + "        pass\n" * LONGEST_FUNCTION),
    (broad_excepts, "plan/x.py", "try:\n    pass\nexcept:\n    pass"),
    (broad_excepts, "plan/x.py", "try:\n    pass\nexcept Exception:  # noqa: BLE001\n    pass"),
    (broad_excepts, "plan/x.py", "try:\n    pass\nexcept (ValueError, BaseException) as error:\n    pass"),
    (broad_excepts, "plan/x.py", "with contextlib.suppress(Exception):\n    pass"),
    (missing_docstrings, "plan/x.py", "x = 1"),
    (missing_docstrings, "plan/x.py", DOC + "def f():\n    pass"),
    (missing_docstrings, "plan/x.py", DOC + "class A:\n    pass"),
    (missing_docstrings, "plan/x.py", DOC + f"class A:\n    {DOC}    @property\n    def f(self):\n        return 1"),
    (missing_docstrings, "plan/x.py", DOC + "if x:\n    def f():\n        pass"),
    (missing_docstrings, "plan/x.py", DOC + "try:\n    def f():\n        pass\nfinally:\n    pass"),
]

RIGHT: list[tuple[Checker, str, str]] = [
    (wrong_arrows, "plan/x.py", "from rvlstate.model.field import Field\nfrom rvlstate.plan.plan import Plan"),
    (wrong_arrows, "files/plan_file.py", "from rvlstate.views.plan_json import plan_data"),
    (wrong_arrows, "views/report.py", "if TYPE_CHECKING:\n    from rvlstate.runtime.outcome import Report"),
    (impure_imports, "runtime/x.py", "import time"),
    (bypassed_doors, "diff/compare.py", "from deepdiff import DeepDiff"),
    (long_files, "plan/x.py", "\n" * LONGEST_FILE),
    (long_functions, "plan/x.py", "def f():\n" + "    pass\n" * (LONGEST_FUNCTION - 1)),
    (broad_excepts, "plan/x.py", "try:\n    pass\nexcept Exception:  # whatever it was\n    pass"),
    (broad_excepts, "plan/x.py", "try:\n    pass\nexcept ValueError:\n    pass"),
    (missing_docstrings, "plan/x.py", DOC + "def _f():\n    pass\nclass _A:\n    pass"),
]


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps_the_rule(rule: str) -> None:
    """No module of the package breaks the rule."""
    found = [line for source in package_sources() for line in RULES[rule](source)]
    assert not found, f"{rule}:\n" + "\n".join(found)


@pytest.mark.parametrize(("checker", "path", "text"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_checker_finds_what_is_wrong(checker: Checker, path: str, text: str) -> None:
    """Exactly one violation is found in a source that breaks the rule once."""
    assert len(checker(source_of(path, text))) == 1


@pytest.mark.parametrize(("checker", "path", "text"), RIGHT, ids=lambda value: getattr(value, "__name__", None))
def test_a_checker_lets_pass_what_is_right(checker: Checker, path: str, text: str) -> None:
    """Nothing is found in a source that comes close to breaking the rule."""
    assert checker(source_of(path, text)) == []


def test_every_rule_is_proved_to_be_able_to_fail() -> None:
    """Each rule has a wrong source and a right one."""
    assert {checker for checker, _, _ in WRONG} == {checker for checker, _, _ in RIGHT} == set(RULES.values())


def test_the_whole_package_is_looked_at() -> None:
    """Every layer has modules, so that no rule holds because nothing was read."""
    assert {source.layer for source in package_sources()} == set(LAYERS)


def test_every_exception_is_still_needed() -> None:
    """An arrow that nobody follows any more is taken off the list."""
    followed = {(source.path, item.module) for source in package_sources() for item in imports_of(source)}
    assert sorted(set(EXCEPTIONS) - followed) == []


def test_every_door_is_still_used() -> None:
    """A package that nobody imports any more loses its door."""
    imported = {item.package for source in package_sources() for item in imports_of(source)}
    assert set(DOORS) - imported == UNUSED


@pytest.mark.parametrize(
    "arguments", [["--help"], ["plan", "--help"], ["apply", "--help"], ["--version"]], ids=" ".join
)
def test_help_imports_click_and_nothing_heavier(arguments: list[str]) -> None:
    """Asking for help starts fast: of the third-party packages it imports click alone."""
    shown, loaded = run_fresh("from rvlstate.cli.main import run; run(sys.argv[1:])", *arguments)
    assert "rvlstate" in shown
    assert "click" in loaded
    assert sorted(loaded & HEAVY) == []


def test_the_package_itself_imports_nothing_heavy() -> None:
    """`import rvlstate` costs nothing, not even click."""
    _, loaded = run_fresh("import rvlstate")
    assert PACKAGE in loaded
    assert sorted(loaded & {*HEAVY, "click"}) == []


def test_a_heavy_import_would_be_seen() -> None:
    """The look at what a fresh interpreter has loaded can fail."""
    _, loaded = run_fresh("import yaml")
    assert loaded & HEAVY == {"yaml"}


def run_fresh(program: str, *arguments: str) -> tuple[str, set[str]]:
    """What a program prints in an interpreter of its own, and the packages that are loaded at its end."""
    whole = f"import sys; {program}; print('|'.join(sys.modules))"
    command = [sys.executable, "-c", whole, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    *shown, loaded = done.stdout.splitlines()
    return "\n".join(shown), {name.split(".")[0] for name in loaded.split("|")}
