"""Where the demo plays: a folder with a project, its embedded server, and the commands that are typed there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
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
        self._write(f"{textwrap.fill(text, WIDTH)}\n")

    def rvlstate(self, *arguments: str, expect: int = 0) -> None:
        """Run the command line tool as a user does. Raises DemoFailedError if it exits with another code."""
        shown = f"rvlstate {' '.join(arguments)}"
        code = self._run(shown, [sys.executable, "-m", "rvlstate.cli.main", *arguments])
        if code != expect:
            raise DemoFailedError(f"{shown} exited with {code}, and {expect} was expected")
        if code:
            self._write(f"{MARGIN}(exit code {code}, as expected)\n")

    def python(self, program: str, *arguments: str) -> None:
        """Run a program of the project. Raises DemoFailedError if it fails."""
        code = self._run(f"python {' '.join([program, *arguments])}", [sys.executable, program, *arguments])
        if code:
            raise DemoFailedError(f"python {program} exited with {code}")

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a file of the project as an editor would, and show the difference."""
        path = self.folder / file
        old = path.read_text(encoding="utf-8")
        if old.count(before) != 1:
            raise DemoFailedError(f"{file} has no single place to edit", why=old)
        new = old.replace(before, after)
        path.write_text(new, encoding="utf-8")
        changes = unified_diff(old.splitlines(), new.splitlines(), n=2, lineterm="")
        self._write(f"\n{MARGIN}edit {file}\n")
        for line in list(changes)[2:]:
            self._write(f"{MARGIN}{line}\n")
        self._write("\n")

    def _run(self, shown: str, command: list[str]) -> int:
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
            for line in process.stdout or ():
                self._write(f"{MARGIN}{line}" if line.strip() else "\n")
        self._write("\n")
        return process.returncode

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


@contextmanager
def staged(folder: Path | None, out: TextIO, *, keep: bool) -> Iterator[Stage]:
    """A stage with a new project and a running server; afterwards both are gone, unless they are to be kept."""
    home = _empty_folder(folder)
    data = home / ".rvlstate" / "redis"
    try:
        for name in ("rvlstate.yaml", "load.py", "search.py"):
            shutil.copy(quickstart() / name, home)
        server = start_server(data)
        yield Stage(folder=home, url=server.url, environment=_environment(server.url), out=out)
    finally:
        if keep:
            out.write(f"\nThe project is kept in {home}, and its server runs on: rvlstate server stop {data}\n")
        else:
            stop_server(data)
            shutil.rmtree(home, ignore_errors=True)


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
