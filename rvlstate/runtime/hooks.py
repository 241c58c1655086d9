"""Hooks: commands of the user's around a cutover, run as processes of their own and followed line by line."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rvlstate.plan.effects import HookEnded, RunHook
from rvlstate.runtime.identity import presentable
from rvlstate.runtime.stop import StopRequest

LAST_LINES = 20
"""How many lines of the output are kept for the report of a failure."""

LONGEST_LINE = 10_000
"""Bytes after which a line is told though it has no end."""

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""

LOOK_SECONDS = 0.1
"""How often a silent command is looked at: whether it ended, and whether it is to stop."""

GUARD_SECONDS = 1.0
"""How often the lease is asked for meanwhile."""

CHUNK = 1 << 16
MOST_LEFT = 1 << 20
"""Bytes that are still read once the command has ended: what it left in the background may go on for ever."""

HIDDEN = "***"
SHORTEST_SECRET = 4
"""A value of fewer characters would be found anywhere in the output."""

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})")
"""What `expanded` replaces, as the project file spells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRunner:
    """Runs hooks of a project in its `folder`; `guard` raises when the lock is lost, which ends the command.

    What the command got by `${NAME}` is hidden where its output is told. A run that is held (`rvlstate pause`) waits
    behind the command, one that is to stop ends it.
    """

    project: str
    folder: Path
    stop: StopRequest
    guard: Callable[[], None]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def run(self, hook: RunHook, tell: Callable[[str], None]) -> HookEnded:
        """Run a hook to its end; `tell` gets each line of its output.

        Raises InterruptedRunError and what `guard` raises; the command has ended then, with all that it started.
        """
        self.stop.check()
        self.guard()
        if not _hears_of_ends():
            return HookEnded(problem="it would not be known how it ends: SIGCHLD is ignored in this process")
        began = time.monotonic()
        output, written = os.pipe()
        try:
            process = self._started(hook, written)
        except OSError as error:
            os.close(output)
            what = self.folder if error.filename == str(self.folder) else hook.argv[0]
            return HookEnded(problem=f"it cannot be run: {error.strerror}: {what}")
        finally:
            os.close(written)
        lines: deque[str] = deque(maxlen=LAST_LINES)
        try:
            for line in self._followed(process, output):
                shown = self._without_secrets(line, hook.argv)
                lines.append(shown)
                tell(shown)
            code = process.wait()
        except BaseException:  # whatever ended it, a second Ctrl-C included: nothing is left running
            _end(process)
            raise
        finally:
            os.close(output)
        self.stop.check()
        return HookEnded(code=code, lines=tuple(lines), seconds=time.monotonic() - began)

    def _started(self, hook: RunHook, output: int) -> subprocess.Popen[bytes]:
        told = {
            "RVLSTATE_PROJECT": self.project,
            "RVLSTATE_INDEX": hook.index,
            "RVLSTATE_PHYSICAL_BEFORE": hook.before,
            "RVLSTATE_PHYSICAL_AFTER": hook.after,
            "RVLSTATE_HOOK": hook.hook,
        }
        return subprocess.Popen(  # noqa: S603  # the user's own command, as the project file has it
            [expanded(part, self.environ) for part in hook.argv],
            cwd=self.folder,
            env={**self.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C on the terminal reaches rvlstate alone, which then ends the whole group.
            start_new_session=True,
        )

    def _followed(self, process: subprocess.Popen[bytes], output: int) -> Iterator[bytes]:
        """The lines of the output until the command has ended; what it left in the background may go on silently."""
        rest, asked, left = b"", time.monotonic(), MOST_LEFT
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                ended = process.poll() is not None
                readable = bool(selector.select(0 if ended else LOOK_SECONDS))
                data = os.read(output, CHUNK) if readable else b""
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                yield from lines
                if readable and not data:  # it closed its output; that it has ended is told by itself
                    selector.unregister(output)
                left -= len(data) if ended else 0
                if ended and (not data or left < 0):
                    break
                if self.stop.reason:
                    self.stop.check()
                if time.monotonic() - asked > GUARD_SECONDS:
                    self.guard()
                    asked = time.monotonic()
        if rest:
            yield rest

    def _without_secrets(self, line: bytes, argv: tuple[str, ...]) -> str:
        text = line.decode("utf-8", "replace").rstrip("\r")
        for value in sorted(self._given(argv), key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return presentable(text)

    def _given(self, argv: tuple[str, ...]) -> set[str]:
        """What the command was given by variables."""
        names = {match["name"] for part in argv for match in VARIABLE.finditer(part) if match["name"]}
        return {value for name in names if len(value := self.environ.get(name, "")) >= SHORTEST_SECRET}


def _hears_of_ends() -> bool:
    """Whether exit codes can be had: where SIGCHLD is ignored, as a parent may leave it, every command ends with 0."""
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        return True
    if threading.current_thread() is not threading.main_thread():
        return False
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return True


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """An argument with its variables in place: `${NAME}`, `${NAME:-default}` and `$$`, as the project file has them."""

    def value(match: re.Match[str]) -> str:
        if not match["name"]:
            return "$"
        return environ.get(match["name"]) or match["default"] or ""

    return VARIABLE.sub(value, text)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and whatever it started: first politely."""
    give_up = time.monotonic() + GRACE_SECONDS
    _signal(process, signal.SIGTERM)
    while time.monotonic() < give_up:
        if process.poll() is not None and not _signal(process, 0):
            return
        time.sleep(LOOK_SECONDS / 10)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the group of a command (0: only look); False if none of it is left."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
