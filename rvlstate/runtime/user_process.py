"""What the user's own code may not do to the process that runs it: end it, or leave it changed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from rvlstate.transforms.calling import numpy_settings_kept

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)
"""Handlers that a run depends on: the first two stop it; a hook whose SIGCHLD is ignored would seem to end well."""

CUT_OFF = 1
"""What a process ends with that was to end with 0 in the middle of a run."""

_inside = threading.local()


@contextmanager
def as_it_was() -> Iterator[None]:
    """Around a piece of the user's code: its working directory, signal handlers and numpy settings end with it.

    `os._exit` within it raises SystemExit while `guarded_exit` lasts.
    """
    before = _folder()
    handlers = _handlers()
    outer, _inside.code = getattr(_inside, "code", False), True
    try:
        with numpy_settings_kept():
            yield
    finally:
        _inside.code = outer
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if before and _folder() != before:
            with suppress(OSError):  # it was removed meanwhile
                os.chdir(before)


@contextmanager
def guarded_exit() -> Iterator[None]:
    """While it lasts, nothing in Python ends this process with 0: half a run would look like a whole one.

    Within `as_it_was`, `os._exit` raises SystemExit; on a thread that the user's code started, it ends the process,
    and 0 becomes `CUT_OFF`. Processes that were forked end as they like. What C code does is out of reach.
    """
    real, owner = os._exit, os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() == owner:
            if getattr(_inside, "code", False):
                raise SystemExit(f"os._exit({status}) was called")
            with suppress(OSError, ValueError):
                sys.stderr.write(f"error: the user's code ended the process in the middle: os._exit({status})\n")
                sys.stderr.flush()
            status = status or CUT_OFF
        real(status)

    _set_exit(leave)
    try:
        yield
    finally:
        _set_exit(real)


def _set_exit(function: Callable[[int], NoReturn]) -> None:
    module: Any = os
    module._exit = function  # noqa: SLF001  # the name by which everybody finds it


def _folder() -> str:
    """The working directory; "" if it is gone."""
    try:
        return os.getcwd()  # noqa: PTH109  # each call of the user's code asks twice
    except OSError:
        return ""


def _handlers() -> dict[signal.Signals, Any]:
    """The handlers that can be put back; only the main thread may set any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    known = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in known.items() if handler is not None}
