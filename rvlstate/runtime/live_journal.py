"""Progress into the journal: what a run tells is passed on, and now and then written down for those who follow it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import RedisError

from rvlstate.events import Event, OnEvent, StepProgressed
from rvlstate.runtime.journal import Journal

REPORT_SECONDS = 1.0
"""Between two notes of how far a step is in the run's report: `status --follow` looks once a second."""

STREAM_SECONDS = 5.0
"""Between two in the stream, whose 10,000 entries then last for half a day of progress."""

DENSE_SECONDS = 60.0
"""For so long a step tells the stream as often as its report: of a short run there is something to plot then."""


class LiveJournal:
    """A listener in front of another one; for use by several threads. What cannot be written down stops nobody."""

    def __init__(
        self, journal: Journal, run_id: str, on_event: OnEvent, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._run_id = run_id
        self._on_event = on_event
        self._clock = clock
        self._lock = threading.Lock()
        self._reported: dict[str, tuple[float, str, str]] = {}
        self._begun: dict[str, float] = {}
        self._streamed: dict[str, tuple[float, str, str]] = {}

    def __call__(self, event: Event) -> None:
        """Pass an event on; write it down if it is progress that is worth it."""
        self._on_event(event)
        if isinstance(event, StepProgressed):
            with self._lock:
                report = self._is_due(self._reported, event, REPORT_SECONDS)
                stream = report and self._is_due(self._streamed, event, self._between(event.step))
            if report:
                with suppress(RedisError):
                    self._journal.step_progressed(self._run_id, event, stream=stream)

    def _between(self, step: str) -> float:
        """The seconds between two notes in the stream."""
        now = self._clock()
        return REPORT_SECONDS if now - self._begun.setdefault(step, now) < DENSE_SECONDS else STREAM_SECONDS

    def _is_due(self, last: dict[str, tuple[float, str, str]], event: StepProgressed, seconds: float) -> bool:
        """Whether enough time has passed since the step was last noted, or its phase changed."""
        now = self._clock()
        before = last.get(event.step)
        if before is not None and before[1] == event.phase and now - before[0] < seconds:
            return False
        last[event.step] = (now, event.phase, event.why)
        return True
