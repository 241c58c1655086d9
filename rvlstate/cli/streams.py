"""Writing to stdout and stderr: what is being done goes on though nobody reads any more, and no CI system obeys it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from rvlstate.errors import RvlstateError
from rvlstate.views.untrusted import inert

STDERR = 2
_log: list[TextIO] = []
"""Where the log goes while stderr is lent to others; the last one counts."""


def settle_streams() -> None:
    """Let characters that a stream's encoding lacks come out as escapes instead of as a crash.

    A stream that was closed before we came (`>&-`, some daemons) is None: what is written to it goes nowhere, and there
    is nothing to read.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_result(text: str) -> None:
    """Write a result to stdout. Raises RvlstateError if that fails for another reason than a reader who left."""
    try:
        _write(sys.stdout, text)
    except OSError as error:
        _silence(sys.stdout)
        raise RvlstateError("the result cannot be written", where="stdout", why=error.strerror or str(error)) from error


def write_log(text: str) -> None:
    """Write progress or a message to stderr; one that nobody can read must not stop what is being done."""
    with suppress(OSError):
        _write(_log[-1] if _log else sys.stderr, text)


@contextmanager
def log_kept() -> Iterator[None]:
    """While it lasts, the log goes to where stderr leads now, whatever becomes of stderr."""
    with ExitStack() as stack:
        kept = sys.stderr
        if _is_on(kept, STDERR):
            own = os.fdopen(os.dup(STDERR), "w", encoding=kept.encoding, errors="backslashreplace")
            kept = stack.enter_context(own)
        _log.append(kept)
        stack.callback(_log.pop)
        yield


def _is_on(stream: TextIO, number: int) -> bool:
    """Whether a stream writes to a file descriptor."""
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(inert(text))
        stream.flush()
    except BrokenPipeError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Send what is left in the stream's buffer, and all that follows, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
