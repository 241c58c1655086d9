"""The pacer: holds every batch of documents back until it may go, and says in words why a run is slow."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import redis

from rvlstate.errors import StepFailedError
from rvlstate.runtime.control import rate_words
from rvlstate.runtime.gauges import GaugeWatch
from rvlstate.runtime.pressure import Pressure
from rvlstate.runtime.stop import PAUSED, StopRequest

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

LONGEST_WAIT = 0.25
"""Seconds after which a batch that is held back looks again: limits change while it waits."""

RATE_SECONDS = 5.0
"""Full speed is what was seen within the last so many seconds before there was trouble."""

UNKNOWN_RATE = 1000.0
"""Documents a second that count as full speed where trouble came before the first batch."""

OVERSLEPT_SECONDS = 0.05

REASON_SECONDS = 3.0
"""For how long after it held a batch back a limit is told as the reason."""


class Throttle(Protocol):
    """Who knows the limit that was ordered."""

    @property
    def rate(self) -> float:
        """Documents a second, 0 for no limit."""
        ...

    @property
    def rate_by(self) -> str:
        """Who gave the order."""
        ...


@dataclass(frozen=True, slots=True)
class _Limit:
    """Documents a second, and why."""

    rate: float
    why: str


class Pacer:
    """Combines the declared limit, the ordered one, back-pressure, pause and stop; for use by several threads.

    A context manager: inside of it the gauges of the nodes are watched. The limit holds for all threads together, over
    spans of a batch or more: a batch goes at once and the next one waits until it has been paid for.
    """

    def __init__(
        self,
        *,
        stop: StopRequest,
        nodes: Callable[[], Sequence[redis.Redis]],
        throttle: Throttle | None = None,
        max_docs_per_second: float = 0.0,
        heeds_memory: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pressure = Pressure(heeds_memory=heeds_memory)
        self._stop = stop
        self._throttle = throttle
        self._declared = max_docs_per_second
        self._clock = clock
        self._watch = GaugeWatch(nodes, take=self.pressure.take, learn=self.pressure.learn)
        self._lock = threading.Lock()
        self._owed = 0.0
        self._paid_at = clock()
        self._seen: deque[tuple[float, int]] = deque()
        self._full_rate = 0.0
        self._held: tuple[float, str] = (0.0, "")

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()

    @property
    def reason(self) -> str:
        """Why the run is slow or stands still, "" if nothing holds it back."""
        if self._stop.held_by:
            return f"{PAUSED} {self._stop.held_by}"
        if trouble := self.pressure.trouble:
            return trouble
        at, why = self._held
        return why if why and self._clock() - at < REASON_SECONDS else ""

    @property
    def figures(self) -> dict[str, float]:
        """What the gauges say, for whoever plots it: `latency_ms`, once it is known."""
        latency = self.pressure.latency_seconds
        return {} if latency is None else {"latency_ms": round(latency * 1000, 3)}

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that a node was seen to use."""
        return self.pressure.peak_memory_bytes

    def admit(self, documents: int) -> None:
        """Wait until a batch of so many documents may go.

        Raises InterruptedRunError when somebody asked to stop, StepFailedError when memory is about to run out.
        """
        self._stop.check()
        while (wait := self._turn(documents)) > 0:
            self._stop.pause(min(wait, LONGEST_WAIT))

    def note(self, documents: int, seconds: float) -> None:
        """Take note of a batch that took so many seconds."""
        now = self._clock()
        with self._lock:
            if self.pressure.share < 1.0:
                # How slow a run was held tells nothing of full speed: taken for it, each trouble would hold it slower.
                self._seen.clear()
                return
            self._seen.append((now - seconds, documents))
            while self._seen[0][0] < now - RATE_SECONDS and len(self._seen) > 1:
                self._seen.popleft()
            span = max(now - self._seen[0][0], seconds, 1e-3)
            self._full_rate = sum(count for _, count in self._seen) / span

    def _turn(self, documents: int) -> float:
        """Seconds to wait for, or 0 for a batch that goes now and is to be paid for by the next one."""
        if self.pressure.critical:
            raise _memory_ran_short(self.pressure.critical)
        with self._lock:
            now, limit = self._clock(), self._limit()
            passed, self._paid_at = now - self._paid_at, now
            if limit is None:
                self._owed = 0.0
                return 0.0
            # Who overslept a little may be as much earlier the next time.
            self._owed = max(self._owed - passed * limit.rate, -limit.rate * OVERSLEPT_SECONDS)
            if self._owed <= 0:
                self._owed += documents
                return 0.0
            self._held = (now, limit.why)
            return self._owed / limit.rate

    def _limit(self) -> _Limit | None:
        """The lowest of the limits, None if there is none."""
        limits = []
        if self._declared:
            limits.append(_Limit(self._declared, f"limited to {rate_words(self._declared)}"))
        if self._throttle is not None and (rate := self._throttle.rate):
            limits.append(_Limit(rate, f"limited to {rate_words(rate)} by {self._throttle.rate_by}"))
        if (share := self.pressure.share) < 1.0:
            limits.append(_Limit((self._full_rate or UNKNOWN_RATE) * share, ""))
        return min(limits, key=lambda limit: limit.rate, default=None)


def _memory_ran_short(figures: str) -> StepFailedError:
    return StepFailedError(
        "go through the documents",
        why=f"Memory is about to run out: {figures}\nThe batches that had begun were finished; no other was begun.",
        next_step="free memory or raise maxmemory, then run rvlstate apply: it goes on from here.",
    )
