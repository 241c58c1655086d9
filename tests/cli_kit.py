"""Running commands: in this process, as a process of their own, or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rvlstate.cli.main import run


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its result, as JSON."""
        return json.loads(self.out)


@dataclass(slots=True)
class Cli:
    """A project in a folder of its own, its server, and a way to run commands on it in this process."""

    folder: Path
    url: str
    client: Any
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        """Run a command line."""
        self.capture.readouterr()
        code = run(words)
        out, err = self.capture.readouterr()
        return Outcome(code, out, err)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Run a command line as a process of its own."""
        command = [sys.executable, "-m", "rvlstate.cli.main", *words]
        return subprocess.Popen(command, cwd=self.folder, text=True, **options)

    def declare(self, name: str, *fields: str, prefix: str = "") -> None:
        """Write a schema file; fields are like `title:text` or `vec:vector:384`."""
        lines = [f"index: {{name: {name}, prefix: '{prefix or name}:'}}", "fields:"]
        for field in fields:
            kind, _, dims = field.partition(":")[2].partition(":")
            attrs = f", attrs: {{algorithm: hnsw, dims: {dims}, distance_metric: cosine}}" if dims else ""
            lines.append(f"  - {{name: {field.partition(':')[0]}, type: {kind}{attrs}}}")
        (self.folder / "indexes" / f"{name}.yaml").write_text("\n".join(lines) + "\n")

    def applied(self) -> None:
        """Apply what is declared."""
        outcome = self.run("apply", "--yes", "-q")
        assert outcome.code == 0, outcome.err


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """Run a command line in this process."""
    code = run(words)
    out, err = capsys.readouterr()
    return Outcome(code, out, err)


def on_terminal(cli: Cli, words: list[str], *, answer: str = "", environ: dict[str, str] | None = None) -> Outcome:
    """Run a command on a terminal of its own, and type the answer once it asks."""
    control, terminal = pty.openpty()
    environ = {**(environ or {**os.environ, "TERM": "xterm-256color"}), "COLUMNS": "110"}
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    shown, deadline = "", time.monotonic() + 60
    with cli.start(*words, env=environ, start_new_session=True, preexec_fn=_own_terminal, **streams) as process:
        os.close(terminal)
        while time.monotonic() < deadline:
            if select.select([control], [], [], 0.1)[0]:
                try:
                    shown += os.read(control, 65_536).decode()
                except OSError:  # the other end is closed
                    break
            if answer and "Only yes is taken: " in shown:
                os.write(control, answer.encode())
                answer = ""
        process.wait(timeout=10)
    os.close(control)
    return Outcome(process.returncode, shown, "")


def _own_terminal() -> None:
    """Make the terminal at stdin the one whose keyboard stops this process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
