"""Processes that run the command line, forked from one that has everything imported, to be killed without regret.

Run as a program it reads one JSON request a line: `{"run": {...}}` forks a child that is `rvlstate` with arguments and
answers with its pid; `{"wait": pid}` answers how it ended. A child is a process of its own with its own sockets; it
differs from `.venv/bin/rvlstate` in nothing but the half second that importing takes.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rvlstate

HELD_BACK = 70
"""The exit code of a child that died of something that is not an error of rvlstate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended: its exit code, negative for a signal, and what it wrote."""

    code: int
    output: str

    @property
    def killed(self) -> bool:
        """Whether it was ended by SIGKILL."""
        return self.code == -signal.SIGKILL


class Nursery:
    """The other end: has children started and waits for them."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._outputs: dict[int, Path] = {}
        self._started = 0

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
        """Start `rvlstate` with arguments; the pid of the child."""
        output = self._folder / f"output-{self._started}"
        self._started += 1
        request = {"arguments": arguments, "output": str(output), "environ": dict(environ or {})}
        pid = int(self._ask({"run": request}))
        self._outputs[pid] = output
        return pid

    def output(self, pid: int) -> str:
        """What a child has written so far, to stdout and stderr."""
        return self._outputs[pid].read_text(encoding="utf-8") if self._outputs[pid].exists() else ""

    def wait(self, pid: int) -> Ending:
        """Wait for a child to end."""
        return Ending(code=int(self._ask({"wait": pid})), output=self.output(pid))

    def _ask(self, request: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the nursery died"
        return answer


@contextmanager
def open_nursery(folder: Path) -> Iterator[Nursery]:
    """A running nursery; it and what is left of its children end with the block."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield Nursery(process, folder)
        process.stdin.close()  # type: ignore[union-attr]


def main() -> None:
    """Answer requests until the input ends."""
    _import_everything()
    children: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "run" in request:
            pid = _fork(request["run"])
            children.add(pid)
            print(pid, flush=True)
        else:
            _, status = os.waitpid(request["wait"], 0)
            children.discard(request["wait"])
            print(os.waitstatus_to_exitcode(status), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _import_everything() -> None:
    """Import what children would import one by one."""
    for name in ("deepdiff", "networkx", "redisvl.schema", "rich.console", "rich.progress", "redis.cluster"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(rvlstate.__path__, "rvlstate."):
        if not module.name.startswith("rvlstate.demo"):
            importlib.import_module(module.name)


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        code = _child(request)
    except BaseException:  # noqa: BLE001  # whatever it is, the child must not go on as a second nursery
        import traceback

        traceback.print_exc()
        code = HELD_BACK
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _child(request: dict[str, Any]) -> int:
    """Be `rvlstate`, with the output in a file; the exit code."""
    output = os.open(request["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(number, target)
    os.environ.update(request["environ"])
    from rvlstate.cli.main import run

    return run(request["arguments"])


if __name__ == "__main__":
    main()
