"""The user's own callables: loaded from beside the project file for one run, set up, and torn down again."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from rvlstate.errors import SpecError
from rvlstate.runtime.user_process import as_it_was, guarded_exit

_LOG = logging.getLogger(__name__)
_OURS = frozenset({"rvlstate", "importlib", "contextlib"})


@contextmanager
def user_functions(folder: Path, names: Iterable[str]) -> Iterator[Mapping[str, Callable[..., Any]]]:
    """The callables called `module:name` in `folder`, ready to be called with columns, until the context ends.

    A class is instantiated without arguments, and entered if it is a context manager; at the end it is left, or
    closed. No two calls run at once, whichever thread they come from. While modules are imported, the folder is the
    first on sys.path, afterwards the last, so that imports within a callable work and hide nothing of ours; at the end
    it is gone, with the modules that came from it. Nothing is written beside the user's files, and the process is
    after each call as it was before (see `user_process`).
    Raises SpecError, with the user's traceback where there is one: no such module or name, not callable, a coroutine,
    an exception on import, set-up or tear-down.
    """
    wanted = sorted(set(names))
    if not wanted:
        yield {}
        return
    folder = folder.resolve()
    with guarded_exit(), _modules_of(folder), ExitStack() as stack:
        lock = threading.Lock()
        found = {name: _loaded(folder, name) for name in wanted}
        sys.path.append(str(folder))
        stack.callback(_forget_path, folder)
        ready = {name: _serial(_set_up(name, found[name], folder, stack), lock) for name in wanted}
        yield ready


@contextmanager
def _modules_of(folder: Path) -> Iterator[None]:
    """Modules from the folder that were not there before are forgotten again; meanwhile no bytecode is written."""
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        own = {name for name, module in sys.modules.items() if "." not in name and _lies_in(module, folder)}
        for name in [name for name in sys.modules if name not in before and _top(name) in own]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _lies_in(module: ModuleType, folder: Path) -> bool:
    """Whether a top-level module or package is an entry of the folder itself; an environment below it is not."""
    places = getattr(module, "__path__", None) or [getattr(module, "__file__", None)]
    return any(Path(place).resolve().parent == folder for place in places if place)


def _top(module_name: str) -> str:
    return module_name.partition(".")[0]


def _loaded(folder: Path, name: str) -> Any:
    """What `module:name` is, its module imported."""
    module_name, _, attribute = name.partition(":")
    module = _imported(folder, module_name, name)
    if hasattr(module, attribute):
        return getattr(module, attribute)
    near = difflib.get_close_matches(attribute, [known for known in vars(module) if known[:1] != "_"], n=1)
    hint = f"did you mean {module_name}:{near[0]}?" if near else f"define {attribute} in it."
    file = getattr(module, "__file__", None) or module_name
    raise SpecError(f'the module {module_name} has no "{attribute}"', file=file, key=name, next_step=hint)


def _imported(folder: Path, module_name: str, name: str) -> ModuleType:
    _check_not_taken(folder, module_name, name)
    with _first_on_path(folder):
        try:
            with as_it_was():
                return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
                raise _no_module(folder, module_name, name) from error
            raise _failed(f"the module {module_name} cannot be imported", name, folder, error) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's module raises is the user's to see
            raise _failed(f"the module {module_name} cannot be imported", name, folder, error) from error


def _no_module(folder: Path, module_name: str, name: str) -> SpecError:
    path = folder.joinpath(*module_name.split(".")).with_suffix(".py")
    return SpecError(
        f"there is no module {module_name}",
        file=path.as_posix(),
        key=name,
        why=f"The transform {name} names it; modules are looked for beside the project file, then as usual.",
        next_step="write the module, or correct its name in the project file.",
    )


def _check_not_taken(folder: Path, module_name: str, name: str) -> None:
    """Refuse a file beside the project whose name belongs to a module that is loaded already."""
    top = _top(module_name)
    taken = sys.modules.get(top)
    own = next((path for path in (folder / f"{top}.py", folder / top / "__init__.py") if path.exists()), None)
    if own is not None and taken is not None and not _lies_in(taken, folder):
        raise SpecError(
            f"the name {top} is taken by another module",
            file=own.as_posix(),
            key=name,
            why=f"It is in use already, from {getattr(taken, '__file__', None) or 'Python itself'}.",
            next_step="give your module another name.",
        )


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        _forget_path(folder)


def _forget_path(folder: Path) -> None:
    """Take off one entry for the folder, if the user's code has not done so."""
    if str(folder) in sys.path:
        sys.path.remove(str(folder))


def _set_up(name: str, thing: Any, folder: Path, stack: ExitStack) -> Callable[..., Any]:
    """The callable itself, or an instance of the class, entered; its end is put on the stack."""
    if not isinstance(thing, type):
        return _checked(name, thing, folder)
    instance = _begun(name, thing, folder)
    if not hasattr(instance, "__exit__"):
        if callable(getattr(instance, "close", None)):
            stack.push(_ending(name, folder, instance.close))
        return _checked(name, instance, folder)
    entered = _begun(name, instance.__enter__, folder)
    stack.push(_ending(name, folder, functools.partial(instance.__exit__, None, None, None)))
    return _checked(name, entered if callable(entered) else instance, folder)


def _begun(name: str, begin: Callable[[], Any], folder: Path) -> Any:
    try:
        with as_it_was():
            return begin()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's class raises is the user's to see
        raise _failed(f"{name} cannot be set up", name, folder, error) from error


def _ending(name: str, folder: Path, end: Callable[[], Any]) -> Callable[..., bool]:
    """A tear-down that neither swallows what is under way nor takes its place."""

    def ended(_: type[BaseException] | None, under_way: BaseException | None, __: TracebackType | None) -> bool:
        try:
            with as_it_was():
                end()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's class raises is the user's to see
            failure = _failed(f"{name} cannot be torn down", name, folder, error)
            if under_way is None:
                raise failure from error
            _LOG.warning("%s", failure)
        return False

    return ended


def _checked(name: str, thing: Any, folder: Path) -> Callable[..., Any]:
    called = thing if inspect.isroutine(thing) else getattr(thing, "__call__", None)  # noqa: B004 - its kind is asked for
    if not callable(thing):
        what = f"{name} is a {type(thing).__name__}, not callable"
    elif inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called):
        what = f"{name} is a coroutine or a generator"
    else:
        function: Callable[..., Any] = thing
        return function
    raise SpecError(
        what,
        file=_file_of(name, folder),
        key=name,
        next_step="name a function, or a class with __call__, that takes columns and returns one.",
    )


def _serial(function: Callable[..., Any], lock: threading.Lock) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def called(*columns: Any) -> Any:
        with lock, as_it_was():
            return function(*columns)

    return called


def _file_of(name: str, folder: Path) -> str:
    module = sys.modules.get(name.partition(":")[0])
    file = getattr(module, "__file__", None)
    return file or folder.joinpath(*name.partition(":")[0].split(".")).with_suffix(".py").as_posix()


def _failed(what: str, name: str, folder: Path, error: BaseException) -> SpecError:
    """The user's own exception: its traceback from the first frame that is theirs, and its line."""
    trace = error.__traceback__
    while trace is not None and _top(str(trace.tb_frame.f_globals.get("__name__", ""))) in _OURS:
        trace = trace.tb_next
    shown = "".join(traceback.format_exception(type(error), error, trace, chain=False)).rstrip()
    last = next(reversed(traceback.extract_tb(trace)), None)
    within = last is not None and Path(last.filename).resolve().is_relative_to(folder)
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno or 0
    elif last is not None and within:
        file, line = last.filename, last.lineno or 0
    else:
        file, line = _file_of(name, folder), 0
    return SpecError(what, file=file, line=line, key=name, why=shown, next_step="mend it, then run the command again.")
