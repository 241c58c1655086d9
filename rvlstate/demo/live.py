"""The processes that write and query while the last act goes on, and the view of both: a line a second."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import redis

from rvlstate.demo.check import Copies, copies_now
from rvlstate.demo.stage import DemoFailedError, Stage

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

Report: TypeAlias = Mapping[str, Any]
"""The last line of JSON that a worker has printed."""

EVERY_SECONDS = 1.0
STOP_SECONDS = 20.0


class Worker:
    """A module of the demo as a process of its own, which works until its input is closed; a context manager."""

    def __init__(self, module: str, url: str, journal: Path) -> None:
        self._module = module
        self._last = ""
        self._ready = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, and a module of ours
            [sys.executable, "-m", f"rvlstate.demo.{module}", url, str(journal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def report(self) -> Report:
        """What it has done so far. Raises DemoFailedError when it ended before it has told anything."""
        self._ready.wait(STOP_SECONDS)
        if not self._last:
            raise DemoFailedError(f"the {self._module} has done nothing")
        last: Report = json.loads(self._last)
        return last

    def stop(self) -> Report:
        """End it, and have its last report. Raises DemoFailedError unless it ended well."""
        code = self._close()
        if code:
            raise DemoFailedError(f"the {self._module} exited with {code}; its messages are above")
        return self.report

    def _close(self) -> int:
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(STOP_SECONDS)
        return code

    def _read(self) -> None:
        if self._process.stdout:
            with self._process.stdout as lines:
                for line in lines:
                    self._last = line
                    self._ready.set()
        self._ready.set()


@contextmanager
def watched(stage: Stage, writer: Worker, querier: Worker) -> Iterator[None]:
    """Show what both do, and how far the documents are, until the block ends."""
    before = {**writer.report, **querier.report}  # both are at work by now
    stop = threading.Event()
    view = threading.Thread(target=_show, args=(stage, (writer, querier), before, stop), daemon=True)
    view.start()
    try:
        yield
    finally:
        stop.set()
        view.join(STOP_SECONDS)


def view_line(before: Report, now: Report, seconds: float, copies: Copies) -> str:
    """One line of the view, from the counts of both workers now and some seconds before."""
    gained = {name: now[name] - before[name] for name in ("queries", "recalls", "measured", "writes")}
    recall = f"recall {gained['recalls'] / gained['measured']:.2f}" if gained["measured"] else "no recall yet"
    failed = sum(now["errors"].values())
    return (
        f"    | {gained['queries'] / seconds:4.0f} queries/s, {failed} failed, {now['empty']} empty, {recall}"
        f" | {gained['writes'] / seconds:3.0f} writes/s | {copies.staged:5,} staged, {copies.converted:5,} in float16"
    )


def _show(stage: Stage, workers: tuple[Worker, Worker], before: Report, stop: threading.Event) -> None:
    moment = time.monotonic()
    with closing(redis.from_url(stage.url, protocol=2)) as client:
        while not stop.wait(EVERY_SECONDS):
            now = {**workers[0].report, **workers[1].report}
            seconds, moment = time.monotonic() - moment, time.monotonic()
            stage.note(view_line(before, now, seconds, copies_now(client)))
            before = now
