"""Where the demo plays: a folder with a project, its embedded server, and the commands that are typed there."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from itertools import dropwhile
from pathlib import Path
from typing import TextIO

from rvlstate.errors import RvlstateError, UsageError
from rvlstate.runtime.embedded import start_server, stop_server

WIDTH = 100
MARGIN = "    "


class DemoFailedError(RvlstateError):
    """Something in the demo did not come out as it must; its messages are above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A project folder with its server; everything that happens is written to `out` as it happens."""

    folder: Path
    url: str
    environment: Mapping[str, str]
    out: TextIO

    def heading(self, text: str) -> None:
        """Begin the next act."""
        self._write(f"\n== {text}\n")

    def tell(self, text: str) -> None:
        """Explain what happens, in plain words."""
        self._write(f"\n{textwrap.fill(text, WIDTH)}\n")

    def note(self, line: str) -> None:
        """Add a line from beside the story, between those of a command that is at work."""
        self._write(f"{line}\n")

    def rvlstate(self, *arguments: str, expect: int = 0, skip_to: str = "") -> None:
        """Run the command line tool as a user does; output before the line that begins with `skip_to` is left out.

        Raises DemoFailedError if it exits with another code than `expect`.
        """
        shown = f"rvlstate {' '.join(arguments)}"
        code = self._run(shown, [sys.executable, "-m", "rvlstate.cli.main", *arguments], skip_to)
        if code != expect:
            raise DemoFailedError(f"{shown} exited with {code}, and {expect} was expected")
        if code:
            self._write(f"{MARGIN}(exit code {code}, as it should be)\n")

    def python(self, program: str, *arguments: str) -> None:
        """Run a program of the application. Raises DemoFailedError if it fails."""
        code = self._run(shlex.join(["python", program, *arguments]), [sys.executable, program, *arguments])
        if code:
            raise DemoFailedError(f"python {program} exited with {code}")

    def edit(self, file: str, changes: Mapping[str, str]) -> None:
        """Replace texts in a file of the project as an editor would, and show the difference."""
        path = self.folder / file
        old = new = path.read_text(encoding="utf-8")
        for before, after in changes.items():
            if new.count(before) != 1:
                raise DemoFailedError(f"{file} has no single place to edit:\n{old}")
            new = new.replace(before, after)
        path.write_text(new, encoding="utf-8")
        self._write(f"\n{MARGIN}$ edit {file}\n")
        for line in list(unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:]:
            self._write(f"{MARGIN}{line}\n")

    def _run(self, shown: str, command: list[str], skip_to: str = "") -> int:
        """The exit code of a command, whose output is shown line by line as it comes."""
        self._write(f"\n{MARGIN}$ {shown}\n")
        with subprocess.Popen(  # noqa: S603  # this interpreter, with arguments that are all in the story
            command,
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as process:
            lines = iter(process.stdout or ())
            if skip_to:
                lines = dropwhile(lambda line: not line.startswith(skip_to), lines)
                self._write(f"{MARGIN}[the plan as above]\n\n")
            self._show(lines)
        return process.returncode

    def _show(self, lines: Iterable[str]) -> None:
        """Show lines as they come, without the blank ones at the end."""
        blank = 0
        for line in lines:
            if line.strip():
                self._write("\n" * blank + f"{MARGIN}{line}")
            blank = 0 if line.strip() else blank + 1

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


@contextmanager
def staged(folder: Path | None, out: TextIO, *, keep: bool) -> Iterator[Stage]:
    """A stage with a new project and a running server; afterwards both are gone, unless they are to be kept."""
    home = _empty_folder(folder)
    data = home / ".rvlstate" / "redis"
    try:
        shutil.copy(quickstart() / "rvlstate.yaml", home)
        shutil.copytree(quickstart(), home / "app", ignore=shutil.ignore_patterns("rvlstate.yaml", "README.md", ".*"))
        server = start_server(data)
        with _ended_by_sigterm():
            yield Stage(folder=home, url=server.url, environment=_environment(server.url), out=out)
    finally:
        if keep:
            out.write(f"\nThe project is kept in {home}, and its server runs on: rvlstate server stop {data}\n")
        else:
            stop_server(data)
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what was started is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def quickstart() -> Path:
    """The folder of the example that the demo plays: inside an installed package, beside it in the repository."""
    packaged = Path(__file__).parent / "quickstart"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples" / "quickstart"


def _empty_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="rvlstate-demo-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", next_step="name another one, or none for a temporary one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _environment(url: str) -> dict[str, str]:
    """The environment of the commands: whatever server the user has set elsewhere, the demo keeps to its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RVLSTATE_") or "SERVER" in name}
    return {**kept, "REDIS_URL": url, "COLUMNS": str(WIDTH), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
