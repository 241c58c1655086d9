"""Room for the user's own code: what it prints goes to stderr, whatever it prints with, never beside our results."""

from __future__ import annotations

import ctypes
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rvlstate.cli.options import Globals
from rvlstate.cli.output import note
from rvlstate.cli.streams import log_kept

OUT, ERR = 1, 2
CHUNK = 1 << 16
LONGEST_LINE = 10_000
"""Bytes after which a line is told though it has no end."""

LOOK_SECONDS = 0.1

_ENDS = re.compile(rb"\r\n|\n|\r")


@contextmanager
def aside(settings: Globals) -> Iterator[None]:
    """While it lasts, what is written to stdout goes to stderr: by print, by C code and by other programs alike.

    With --log-format json each line of it is told as a note, and so is what goes to stderr: the log stays JSON.
    """
    if settings.log_format == "json":
        with log_kept(), _lines(lambda line: note(settings, line)) as pipe, _diverted(ERR, pipe), _diverted(OUT, ERR):
            yield
    else:
        with _diverted(OUT, ERR):
            yield


@contextmanager
def _diverted(number: int, target: int) -> Iterator[None]:
    """Send what is written to stdout or stderr to another file descriptor."""
    name = "stdout" if number == OUT else "stderr"
    stream, kept = getattr(sys, name), _copy(number)
    _flush()
    with open(_copy(target), "w", encoding="utf-8", errors="backslashreplace", buffering=1) as diverted:
        setattr(sys, name, diverted)
        os.dup2(diverted.fileno(), number)
        try:
            yield
        finally:
            _flush(stream)
            setattr(sys, name, stream)
            os.dup2(kept, number)
            os.close(kept)


@contextmanager
def _lines(tell: Callable[[str], None]) -> Iterator[int]:
    """A file descriptor of which each line is told; all are told when the block ends."""
    reader, writer = os.pipe()
    over = threading.Event()
    thread = threading.Thread(target=_tell_lines, args=(reader, over, tell), name="rvlstate-aside", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        over.set()
        thread.join()
        os.close(writer)
        os.close(reader)


def _tell_lines(reader: int, over: threading.Event, tell: Callable[[str], None]) -> None:
    """Tell lines until it is over and nothing is left; programs that were left running may hold the other end."""
    rest = b""
    while True:
        last = over.is_set()
        if select.select([reader], [], [], 0 if last else LOOK_SECONDS)[0]:
            *lines, rest = _ENDS.split(rest + os.read(reader, CHUNK))
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            _tell(lines, tell)
        elif last:
            _tell([rest], tell)
            return


def _tell(lines: list[bytes], tell: Callable[[str], None]) -> None:
    for line in lines:
        if line.strip():
            tell(line.decode("utf-8", "replace"))


def _copy(number: int) -> int:
    """A copy of a file descriptor; one that goes nowhere where it is closed."""
    try:
        return os.dup(number)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _flush(*more: TextIO) -> None:
    """Write out what streams of Python and of C still hold."""
    for stream in (sys.stdout, sys.stderr, *more):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
