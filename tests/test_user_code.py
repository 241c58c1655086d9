"""The user's own callables: found beside the project file, set up, torn down, and forgotten; and every way to fail."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rvlstate.errors import SpecError
from rvlstate.runtime.user_code import user_functions


def write(folder: Path, **modules: str) -> Path:
    """A project's folder with modules in it; two underscores stand for a slash."""
    for name, text in modules.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path, *names: str) -> SpecError:
    """The error of loading names."""
    with pytest.raises(SpecError) as caught, user_functions(folder, names):
        pytest.fail("loaded")
    return caught.value


LIFE = """
import json
TOLD = []

class Kept:
    def __init__(self): TOLD.append("init")
    def __enter__(self): TOLD.append("enter"); return self
    def __call__(self, column): TOLD.append("call"); return column
    def __exit__(self, *error): TOLD.append(["exit", error == (None, None, None)]); return True

class Closed:
    def __call__(self, column): return column
    def close(self): TOLD.append("close")

class Plain:
    def __call__(self, column): return [text * 2 for text in column]

READY = Plain()
CONSTANT = 5
"""


def test_a_function_a_class_and_an_instance(tmp_path: Path) -> None:
    """All are called with columns; a name that is asked for twice is one."""
    write(tmp_path, mine=LIFE + "def upper(column): return [text.upper() for text in column]\n")
    names = ["mine:upper", "mine:Plain", "mine:READY", "mine:upper"]
    with user_functions(tmp_path, names) as functions:
        assert sorted(functions) == ["mine:Plain", "mine:READY", "mine:upper"]
        assert functions["mine:upper"](["a"]) == ["A"]
        assert functions["mine:Plain"](["a"]) == functions["mine:READY"](["a"]) == ["aa"]


def test_a_class_is_set_up_once_and_torn_down(tmp_path: Path) -> None:
    """Instantiated, entered, called for each batch, left; or closed. The last one that was set up goes first."""
    write(tmp_path, mine=LIFE)
    with user_functions(tmp_path, ["mine:Kept", "mine:Closed"]) as functions:
        told: list[Any] = sys.modules["mine"].TOLD
        assert functions["mine:Kept"](["a"]) == functions["mine:Kept"](["a"]) == ["a"]
    assert told == ["init", "enter", "call", "call", ["exit", True], "close"]


def test_an_exception_is_neither_swallowed_nor_told(tmp_path: Path) -> None:
    """A tear-down that returns true would make a failed run look like a good one."""
    write(tmp_path, mine=LIFE)
    told: list[Any] = []

    def run() -> None:
        with user_functions(tmp_path, ["mine:Kept"]):
            told.append(sys.modules["mine"].TOLD)
            raise LookupError("of the run")

    with pytest.raises(LookupError, match="of the run"):
        run()
    assert told[0][-1] == ["exit", True]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """No path, no module, no bytecode; a package, and what its modules import, are forgotten too."""
    write(
        tmp_path,
        package____init__="",
        package__embed="from package import helper\nimport neighbour\ndef f(column): return helper.g(column)\n",
        package__helper="def g(column): return column\n",
        neighbour="",
    )
    path, writes, modules = list(sys.path), sys.dont_write_bytecode, set(sys.modules)
    with user_functions(tmp_path, ["package.embed:f"]) as functions:
        assert functions["package.embed:f"](["a"]) == ["a"]
        assert "neighbour" in sys.modules
        assert sys.path == [*path, str(tmp_path.resolve())]
    assert (sys.path, sys.dont_write_bytecode, set(sys.modules)) == (path, writes, modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_import_within_a_callable_finds_its_neighbours(tmp_path: Path) -> None:
    """As in any program that is run in that folder."""
    write(tmp_path, mine="def f(column):\n    import later\n    return later.g(column)\n", later="def g(c): return c\n")
    with user_functions(tmp_path, ["mine:f"]) as functions:
        assert functions["mine:f"](["a"]) == ["a"]
    assert "later" not in sys.modules


def test_code_is_read_anew_for_each_run(tmp_path: Path) -> None:
    """What was changed in between counts, and another project's module of the same name is another one."""
    for number in range(3):
        folder = write(tmp_path / str(number % 2), mine=f"def f(column): return [{number}]\n")
        with user_functions(folder, ["mine:f"]) as functions:
            assert functions["mine:f"](["a"]) == [number]


def test_an_environment_below_the_folder_is_none_of_the_users_modules(tmp_path: Path) -> None:
    """Libraries must not be loaded twice in one process."""
    site = write(tmp_path / "env" / "site", some_library="")
    write(
        tmp_path, mine=f"import sys; sys.path.insert(0, {str(site)!r}); import some_library; sys.path.pop(0)\nf = len\n"
    )
    with user_functions(tmp_path, ["mine:f"]):
        pass
    assert "some_library" in sys.modules
    del sys.modules["some_library"]


def test_an_installed_module_will_do(tmp_path: Path) -> None:
    """If there is none of that name beside the project."""
    with user_functions(tmp_path, ["json:dumps"]) as functions:
        assert functions["json:dumps"]([1]) == "[1]"
    assert sys.modules["json"] is json


def test_without_names_nothing_happens(tmp_path: Path) -> None:
    """The folder need not even be there."""
    with user_functions(tmp_path / "nowhere", []) as functions:
        assert functions == {}


def test_no_two_calls_run_at_once(tmp_path: Path) -> None:
    """Whichever of the callables they are: a model need not be safe for threads."""
    text = """
import time
INSIDE = []
MOST = []
def f(column):
    INSIDE.append(1)
    MOST.append(len(INSIDE))
    time.sleep(0.002)
    INSIDE.pop()
    return column
g = lambda column: f(column)
"""
    write(tmp_path, mine=text)
    with user_functions(tmp_path, ["mine:f", "mine:g"]) as functions:
        most = sys.modules["mine"].MOST
        threads = [threading.Thread(target=function, args=(["a"],)) for function in [*functions.values()] * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1] * 16


# Every way to fail


def test_there_is_no_such_module(tmp_path: Path) -> None:
    """The file that was looked for is named."""
    error = refusal(tmp_path, "missing.part:f")
    assert error.what == "there is no module missing.part"
    assert error.file == f"{tmp_path.resolve().as_posix()}/missing/part.py"
    assert "beside the project file" in error.why


def test_a_module_lacks_what_it_imports(tmp_path: Path) -> None:
    """That is another thing than a module that is missing itself."""
    error = refusal(write(tmp_path, mine="x = 1\nimport no_such_library\n"), "mine:f")
    assert error.what == "the module mine cannot be imported"
    assert (Path(error.file).name, error.line) == ("mine.py", 2)
    assert error.why.endswith("ModuleNotFoundError: No module named 'no_such_library'")


def test_there_is_no_such_name(tmp_path: Path) -> None:
    """The nearest one is told."""
    error = refusal(write(tmp_path, mine="def embed(c): return c\n"), "mine:embbed")
    assert (error.what, error.next_step) == ('the module mine has no "embbed"', "did you mean mine:embed?")
    assert refusal(tmp_path, "mine:zzz").next_step == "define zzz in it."


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("f = 5\n", "mine:f is a int, not callable"),
        ("class f: pass\n", "mine:f is a f, not callable"),
        ("async def f(c): return c\n", "mine:f is a coroutine or a generator"),
        ("def f(c): yield c\n", "mine:f is a coroutine or a generator"),
        ("class f:\n    async def __call__(self, c): return c\n", "mine:f is a coroutine or a generator"),
    ],
)
def test_what_is_no_callable_of_columns(text: str, what: str, tmp_path: Path) -> None:
    """Found before anything is written."""
    error = refusal(write(tmp_path, mine=text), "mine:f")
    assert error.what == what
    assert Path(error.file) == tmp_path.resolve() / "mine.py"


@pytest.mark.parametrize(
    ("text", "line", "end"),
    [
        ("import sys\ndef f(:\n", 2, "SyntaxError: "),
        ("x = 1\n\ny = x / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", 1, "SystemExit: 0"),
        ("import helper\n", 1, "ValueError: deep"),
    ],
)
def test_an_exception_on_import_is_shown_with_its_line(text: str, line: int, end: str, tmp_path: Path) -> None:
    """The traceback is the user's; a program that leaves does not end the run with success."""
    error = refusal(write(tmp_path, mine=text, helper="raise ValueError('deep')\n"), "mine:f")
    assert error.what == "the module mine cannot be imported"
    assert error.line == line
    assert end in error.why.splitlines()[-1]
    assert "importlib" not in error.why.splitlines()[1]
    assert "user_code.py" not in error.why
    assert "mine" not in sys.modules


def test_a_failed_set_up_tears_down_what_was_set_up(tmp_path: Path) -> None:
    """In the constructor, or on entering."""
    text = (
        LIFE
        + """
class Wrong:
    def __init__(self): raise RuntimeError("no model")
class Worse:
    def __enter__(self): raise RuntimeError("no licence")
    def __exit__(self, *error): pass
    def __call__(self, column): return column
TOLD_BEFORE = TOLD
import sys
sys.TOLD_IN_TEST = TOLD
"""
    )
    write(tmp_path, mine=text)
    error = refusal(tmp_path, "mine:Kept", "mine:Wrong")
    assert error.what == "mine:Wrong cannot be set up"
    assert error.why.endswith("RuntimeError: no model")
    told = sys.__dict__.pop("TOLD_IN_TEST")
    assert told == ["init", "enter", ["exit", True]]
    assert refusal(tmp_path, "mine:Worse").why.endswith("RuntimeError: no licence")
    sys.__dict__.pop("TOLD_IN_TEST")


def test_a_failed_tear_down_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the run's own failure if it went well until then, else beside it."""
    write(tmp_path, mine="class f:\n    def __call__(self, c): return c\n    def close(self): raise OSError('stuck')\n")
    with pytest.raises(SpecError) as caught, user_functions(tmp_path, ["mine:f"]):
        pass
    assert caught.value.what == "mine:f cannot be torn down"
    assert caught.value.line == 3
    with pytest.raises(LookupError), user_functions(tmp_path, ["mine:f"]):
        raise LookupError
    assert "OSError: stuck" in caplog.text


def test_a_name_that_a_loaded_module_has_is_refused(tmp_path: Path) -> None:
    """Else the wrong one would be called, or another part of the program would get the user's."""
    error = refusal(write(tmp_path, json="def f(c): return c\n"), "json:f")
    assert error.what == "the name json is taken by another module"
    assert error.next_step == "give your module another name."


def test_a_callable_keeps_its_own_errors(tmp_path: Path) -> None:
    """What a call raises goes through as it is: whoever calls knows the documents."""
    write(tmp_path, mine="def f(column): raise ValueError(column[0])\n")
    started = time.monotonic()
    with user_functions(tmp_path, ["mine:f"]) as functions:
        for word in ("a", "b"):
            with pytest.raises(ValueError, match=word):
                functions["mine:f"]([word])
    assert time.monotonic() - started < 60
