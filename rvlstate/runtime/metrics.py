"""What a run, or a look at drift, tells a monitoring system: Prometheus metrics that are kept from events.

Labels are bounded: a project, a command, the indexes of its plan, operations, and the words for results; never a run
or a key. `command` keeps apart what several commands of a project tell in files that one exporter reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

from rvlstate.events import (
    CommandRetried,
    Event,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    ReplicaNotAwaited,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
    StepStarted,
    WatchStarted,
)
from rvlstate.runtime.run_report import REHEARSES

RUN_RESULTS = ("done", "nothing", "failed", "refused", "locked", "interrupted")
"""How a run ends; nothing: there was nothing to do; refused and locked: it did not begin."""

DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "seen": ("documents_seen",),
    "written": ("written", "documents_written"),
    "promoted": ("promoted", "documents_promoted"),
    "bad": ("bad_rows", "documents_bad"),
    "restored": ("documents_restored",),
}
"""What became of documents -> the figures that count it: while a step goes on, and at its end."""

DOCUMENT_STEPS = "_documents"
"""What the operations end with that go through documents."""

STAGING = "stage_documents"
"""The operation whose writes are copies, not documents."""


@dataclass(slots=True)
class _Step:
    """A step at work: what it is, when it began, and what was counted of it so far."""

    index: str
    operation: str
    began: float
    counted: dict[str, float]


class Metrics:
    """Metrics of one project and one command in one process; takes events from several threads."""

    def __init__(
        self,
        project: str,
        command: str = "apply",
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.registry = CollectorRegistry()
        self._all, self._clock, self._now = (project, command), clock, now
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._told, self._began = "", clock()
        self._run = self._gauge("run_in_progress", "Whether a run of this process is in progress: 1 or 0.")
        self._held = self._gauge("lock_held", "Whether the project's lock is held, by anyone: 1 or 0.")
        self._waiting = self._gauge("lock_waiting", "Whether this process waits for the lock: 1 or 0.")
        self._result = self._gauge("last_run_result", "How the last run ended: 1 for that result.", "result")
        self._ended = self._gauge("last_run_timestamp_seconds", "When the last run ended, in seconds since 1970.")
        self._took = self._gauge("last_run_duration_seconds", "How long the last run took.")
        self._ends = self._counter("steps", "Steps that ended, by result.", "index", "result")
        self._active = self._gauge("phase_active", "Whether a phase is at work: 1 or 0.", "index", "phase")
        self._spent = self._counter("phase_seconds", "Seconds spent in each phase.", "index", "phase")
        self._progress = self._gauge("step_progress_ratio", "How far the step at work is, 0 to 1.", "index")
        self._documents = self._counter("documents", "Documents, by what became of them.", "index", "result")
        self._rate = self._gauge("documents_per_second", "Documents a second at this moment.", "index")
        self._checks = self._counter("failed_checks", "Checks of the project that failed in front of a gate.", "index")
        self._gates = self._counter("failed_gates", "Gates that failed, for whatever reason.", "index")
        self._retries = self._counter("command_retries", "Commands sent again after a connection was lost.")
        self._drifted = self._gauge("drifted_indexes", "Managed indexes that differ from what was applied.", "kind")
        self._unmanaged = self._gauge("unmanaged_indexes", "Indexes of the server that no project manages.")
        self._looked = self._gauge("drift_check_timestamp_seconds", "When drift was last looked for, since 1970.")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"rvlstate_{name}", text, ("project", "command", *labels), registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"rvlstate_{name}", text, ("project", "command", *labels), registry=self.registry)

    def expect_run(self) -> None:
        """Say that a run may come: nothing is in progress, and what is counted begins at 0."""
        for gauge in (self._run, self._waiting):
            gauge.labels(*self._all).set(0)
        self._retries.labels(*self._all)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case LockAwaited():
                self._held.labels(*self._all).set(1)
                self._waiting.labels(*self._all).set(1)
            case RunStarted():
                self._begin_run()
            case StepStarted() | StepProgressed() | StepFinished() | StepFailed() | StepSkipped():
                self._take_step(event)
            case CommandRetried():
                self._retries.labels(*self._all).inc()
            case LateWritesFound():
                self._count(event.index, "written", event.converted)
                self._count(event.index, "bad", event.bad)
            case RunFinished():
                self.tell_run(event.result, self._now(), event.seconds)
                self.tell_lock(held=False)
            case OrderReceived() | WatchStarted() | ReplicaNotAwaited():
                pass

    def _take_step(self, event: StepStarted | StepProgressed | StepFinished | StepFailed | StepSkipped) -> None:
        match event:
            case StepStarted():
                self._begin(event)
            case StepProgressed():
                self._move(event)
            case StepFinished():
                self._end(event.step, "done", event.figures)
            case StepFailed():
                self._fail(event)
            case StepSkipped():
                self._ends.labels(*self._all, _index_of(event.step), "skipped").inc()

    def tell_run(self, result: str, ended: float, seconds: float) -> None:
        """How the last run ended, when (seconds since 1970), and how long it took."""
        self._told = result
        self._run.labels(*self._all).set(0)
        for step in list(self._steps):
            self._close(step)
        for known in RUN_RESULTS:
            self._result.labels(*self._all, known).set(known == result)
        self._ended.labels(*self._all).set(ended)
        self._took.labels(*self._all).set(seconds)

    def tell_end(self, result: str) -> None:
        """How the command ended as a whole, "" for well: counts where no run told of its end, or said it was done."""
        with self._lock:
            told = result or "nothing"
            if self._told == "" or (result and self._told == "done"):
                self.tell_run(told, self._now(), self._clock() - self._began)

    def tell_lock(self, *, held: bool) -> None:
        """Whether somebody holds the lock."""
        self._held.labels(*self._all).set(held)

    def tell_drift(self, drifted: Mapping[str, int], unmanaged: int) -> None:
        """What a look at drift found: indexes by kind of drift, and those that nobody manages."""
        for kind, count in drifted.items():
            self._drifted.labels(*self._all, kind).set(count)
        self._unmanaged.labels(*self._all).set(unmanaged)
        self._looked.labels(*self._all).set(self._now())

    def _begin_run(self) -> None:
        self._waiting.labels(*self._all).set(0)
        self.tell_lock(held=True)
        self._run.labels(*self._all).set(1)

    def _begin(self, event: StepStarted) -> None:
        self._steps[event.step] = _Step(event.index, event.operation, self._clock(), {})
        self._active.labels(*self._all, event.index, event.operation).set(1)
        self._progress.labels(*self._all, event.index).set(0)
        self._count_from_zero(event)

    def _count_from_zero(self, event: StepStarted) -> None:
        """A series that begins with its first count looks as if nothing had happened."""
        for result in ("done", "failed", "skipped"):
            self._ends.labels(*self._all, event.index, result)
        for counter in (self._checks, self._gates):
            counter.labels(*self._all, event.index)
        for result in (*DOCUMENTS, "staged") if event.operation.endswith(DOCUMENT_STEPS) else ():
            self._count(event.index, result, 0)

    def _move(self, event: StepProgressed) -> None:
        step = self._steps.get(event.step)
        if step is None:
            return
        self._spend(step)
        self._rate.labels(*self._all, step.index).set(event.documents_per_second)
        if event.total:
            self._progress.labels(*self._all, step.index).set(min(event.done / event.total, 1))
        self._add(step, event.figures)

    def _fail(self, event: StepFailed) -> None:
        index = self._steps[event.step].index if event.step in self._steps else _index_of(event.step)
        operation = self._steps[event.step].operation if event.step in self._steps else ""
        if operation == "verify_index":
            self._gates.labels(*self._all, index).inc()
        self._checks.labels(*self._all, index).inc(event.failed_checks)
        self._end(event.step, "failed", {})

    def _end(self, name: str, result: str, figures: Mapping[str, float]) -> None:
        step = self._steps.get(name)
        if step is None:
            return
        self._add(step, figures)
        self._progress.labels(*self._all, step.index).set(1 if result == "done" else 0)
        self._ends.labels(*self._all, step.index, result).inc()
        self._close(name)

    def _close(self, name: str) -> None:
        step = self._steps.pop(name)
        self._spend(step)
        self._active.labels(*self._all, step.index, step.operation).set(0)
        self._rate.labels(*self._all, step.index).set(0)

    def _spend(self, step: _Step) -> None:
        now = self._clock()
        self._spent.labels(*self._all, step.index, step.operation).inc(max(now - step.began, 0))
        step.began = now

    def _add(self, step: _Step, figures: Mapping[str, float]) -> None:
        """Add what a step counted since it last told; its figures are sums of its own. A rehearsal writes nothing."""
        if step.operation.startswith(REHEARSES):
            return
        for result, names in DOCUMENTS.items():
            value = max((figures[name] for name in names if name in figures), default=0.0)
            before = step.counted.get(result, 0.0)
            if value > before:
                step.counted[result] = value
                told = "staged" if result == "written" and step.operation == STAGING else result
                self._count(step.index, told, value - before)

    def _count(self, index: str, result: str, more: float) -> None:
        self._documents.labels(*self._all, index, result).inc(more)


def _index_of(step: str) -> str:
    """The index that the id of a step names."""
    return step.rpartition("/")[0]
