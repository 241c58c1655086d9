"""Processes that apply a project, forked from one that has everything imported, to be killed without regret.

Run as a program it reads one JSON request a line: `{"run": {...}}` forks a child that applies and answers with its
pid; `{"wait": pid}` answers how it ended. A child is a process of its own with sockets of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def run(self, project: Path, url: str, *flags: str, environ: dict[str, str] | None = None) -> int:
        """Start `rvlstate apply --yes` with further flags; the pid of the child."""
        output = self._folder / f"output-{len(self._outputs)}"
        request = {"project": str(project), "url": url, "flags": flags, "output": str(output), "environ": environ or {}}
        pid = int(self._ask({"run": request}))
        self._outputs[pid] = output
        return pid

    def wait(self, pid: int) -> Ending:
        """Wait for a child to end."""
        code = int(self._ask({"wait": pid}))
        output = self._outputs[pid]
        return Ending(code=code, output=output.read_text(encoding="utf-8") if output.exists() else "")

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
    import deepdiff
    import networkx
    import redisvl.schema
    import rvlstate.runtime.apply
    import rvlstate.importing
    import rvlstate.project  # noqa: F401  # imported once here, so that children need not

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
    """Be `rvlstate apply`, with the output in a file; its exit code."""
    output = os.open(request["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(number, target)
    os.environ.update(request["environ"])
    sys.argv = ["rvlstate", "--project", request["project"], "--redis-url", request["url"], "apply", "--yes"]
    sys.argv += request["flags"]
    try:
        main_of_rvlstate()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else HELD_BACK
    return 0


def main_of_rvlstate() -> None:
    from rvlstate.errors import RvlstateError
    from rvlstate.project import Project
    from rvlstate.runtime.admit import ApplyOptions
    a = sys.argv
    allow = tuple(a[i + 1] for i, w in enumerate(a) if w == "--allow")
    timeout = float(next((a[i + 1] for i, w in enumerate(a) if w == "--lock-timeout"), "0"))
    try:
        with Project.load(a[2], redis_url=a[4]) as p:
            r = p.apply(options=ApplyOptions(allow=allow, lock_timeout=timeout), on_event=lambda e: print(e, flush=True))
            print(r)
    except RvlstateError as e:
        print(e, file=sys.stderr)
        raise SystemExit(e.exit_code)


if __name__ == "__main__":
    main()
