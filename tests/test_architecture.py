"""The rules of the architecture, held by reading the source: layers, doors, purity, sizes, docstrings, start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rvlstate"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))

LAYERS: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "events": set(),
    "model": {"errors"},
    "diff": {"errors", "model"},
    "plan": {"errors", "model", "diff"},
    "transforms": {"errors", "model"},
    "files": {"errors", "model", "plan"},
    "views": {"errors", "events", "model", "diff", "plan"},
    "runtime": {"__init__", "errors", "events", "model", "diff", "plan"},
    "importing": {"errors", "model", "diff", "plan", "files", "runtime", "project"},
    "project": {"__init__", "errors", "events", "model", "diff", "plan", "files", "runtime", "importing"},
    "demo": {"__init__", "errors", "events", "model", "plan", "files", "runtime", "project", "views"},
}
"""What each part may import besides itself; `cli` may import all. Imports for type checkers alone do not count."""

EXCEPTIONS = {
    # A plan file holds exactly what `plan --format json` prints.
    ("files/plan_file.py", "views/plan_json"),
}

PURE = ("model", "diff", "plan", "transforms")
IMPURE = frozenset(
    {
        *("asyncio", "click", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "random", "redis"),
        *("redisvl", "rich", "secrets", "shutil", "socket", "subprocess", "sys", "tempfile", "threading", "time"),
        *("urllib", "uuid", "yaml"),
    }
)

DOORS: dict[str, tuple[str, ...]] = {
    "click": ("cli/",),
    "deepdiff": ("diff/compare.py",),
    "ml_dtypes": ("transforms/", "demo/"),
    "networkx": ("plan/order.py",),
    "numpy": ("transforms/", "demo/"),
    "pydantic": ("model/codec.py", "files/", "runtime/state_payload.py"),
    "pydantic_core": ("files/",),
    "redis": ("runtime/", "demo/"),
    "redisvl": ("files/", "demo/"),
    "rich": ("views/",),
    "tenacity": ("runtime/",),
    "vega_datasets": ("demo/",),
    # Shell completion reads the names out of schema files, which may be half written.
    "yaml": ("files/", "cli/completion.py"),
}
"""Where each third-party package may be imported."""

HEAVY = ("deepdiff", "networkx", "numpy", "pydantic", "redis", "redisvl", "rich", "tenacity", "yaml", "asyncio")
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


def name_of(path: Path) -> str:
    """A source file below the package, as `plan/build.py`."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from executed(child)


def imports(path: Path) -> list[str]:
    """The modules that a file imports when it runs, as full names."""
    found: list[str] = []
    for node in executed(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names] if module == "rvlstate" else [module]
            found += inner
    return found


def part_of(module: str) -> str:
    """The part of the package that a full module name belongs to; `__init__` for names of the package itself."""
    words = module.split(".")
    known = {path.stem for path in PACKAGE.iterdir()}
    return words[1] if len(words) > 1 and words[1] in known else "__init__"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_arrows_run_one_way(path: Path) -> None:
    """A part imports only the parts below it."""
    own = name_of(path).split("/")[0].removesuffix(".py")
    if own == "cli":
        return
    for module in imports(path):
        if module.split(".")[0] != "rvlstate":
            continue
        place = "/".join(module.split(".")[1:])
        allowed = LAYERS[own] | {own}
        assert part_of(module) in allowed or (name_of(path), place) in EXCEPTIONS, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if name_of(p).split("/")[0] in PURE], ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    """The core reaches no server, file, clock or chance."""
    found = {module.split(".")[0] for module in imports(path)}
    assert found & IMPURE == set()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_each_package_has_one_door(path: Path) -> None:
    """A third-party package is imported only where its door is, and no package is without one."""
    for module in imports(path):
        package = module.split(".")[0]
        if package == "rvlstate" or package in sys.stdlib_module_names:
            continue
        assert package in DOORS, f"{package} has no door"
        assert name_of(path).startswith(DOORS[package]), f"{name_of(path)} imports {package}"


def test_every_door_is_in_use() -> None:
    """The table of doors names no package that nobody imports, and no layer that does not exist."""
    used = {module.split(".")[0] for path in SOURCES for module in imports(path)}
    assert set(DOORS) - used <= {"ml_dtypes"}
    parts = {name_of(path).split("/")[0].removesuffix(".py") for path in SOURCES} - {"cli"}
    assert parts == set(LAYERS)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_are_small(path: Path) -> None:
    """A file that outgrows this is two concepts, a function two paragraphs."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name_of(path)}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_broad_excepts_say_why_or_raise_again(path: Path) -> None:
    """An error that nobody foresaw is not swallowed, unless a comment says why that is right."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler) or not is_broad(node):
            continue
        raises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        around = "\n".join(lines[node.lineno - 2 : node.body[0].lineno])
        assert raises or "#" in around, f"{name_of(path)}:{node.lineno}"


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches whatever comes."""
    caught = [handler.type] if not isinstance(handler.type, ast.Tuple) else handler.type.elts
    return any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in caught)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_public_name_has_a_docstring(path: Path) -> None:
    """Modules, classes, functions and methods say their contract."""
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{name_of(path)} says not what it owns"
    for name, node in public(tree):
        assert ast.get_docstring(node), f"{name_of(path)}:{node.lineno}: {name}"


def public(
    tree: ast.AST, outer: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """The public classes and functions of a module, methods included, and what is written inside functions not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")
        elif isinstance(node, ast.If | ast.Try):
            yield from public(node, outer)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["plan", "--help"], ["apply", "--help"], ["--version"]], ids=" ".join
)
def test_help_is_fast_since_it_imports_nothing_heavy(arguments: list[str]) -> None:
    """Asking for help imports click and nothing that costs time."""
    program = f"import sys; from rvlstate.cli.main import run; run({arguments}); print('|'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split("|"))
    assert "click" in loaded
    assert loaded & set(HEAVY) == set()


def test_the_package_itself_imports_nothing_heavy() -> None:
    """`import rvlstate` is cheap; its names are loaded when they are asked for."""
    program = "import sys, rvlstate; print('|'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.strip().split("|")) & {*HEAVY, "click"} == set()
