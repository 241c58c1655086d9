"""The meter: from counts as they grow to a smoothed rate and the time that is left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from rvlstate.events import StepProgressed
from rvlstate.runtime.stop import PAUSED

SMOOTHING_SECONDS = 8.0
"""The rate forgets what was earlier than some of these: slow enough not to flicker, fast enough to show a throttle."""

LEAST_SECONDS = 0.5
"""Shorter spans than this tell nothing about the rate: batches come in bursts."""

LONGEST_GAP = 5.0
"""After a longer silence (a pause, a stalled server) the rate goes on from where it was, as if no time had passed."""

BETWEEN_TELLS = 0.2
"""Seconds between two tellings of the same phase: five a second look alive, more only cost."""


class Meter:
    """Measures one step; `clock` is in seconds. Counts that fall begin a new pass, whose rate is measured anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: float | None = None
        self._told: tuple[float, str, str] = (-math.inf, "", "")
        self._done = self._documents = 0.0
        self._speed = self._rate = 0.0
        self._weight = 0.0
        self._silent = self._was_paused = False

    def due(self, phase: str, why: str = "", *, last: bool = False) -> bool:
        """Whether it is worth telling how far the step is: now and then, and at once when phase or cause change."""
        now = self._clock()
        if not last and (phase, why) == self._told[1:] and now - self._told[0] < BETWEEN_TELLS:
            return False
        self._told = (now, phase, why)
        return True

    def tell(
        self,
        step: str,
        note: str,
        *,
        done: int,
        total: int,
        phase: str = "",
        why: str = "",
        documents: float | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> StepProgressed:
        """The event for counts of this moment; `documents` are told apart where `done` counts something else."""
        self._measure(done, done if documents is None else documents, paused=why.startswith(PAUSED))
        return StepProgressed(
            step=step,
            note=note,
            done=done,
            total=total,
            phase=phase,
            documents_per_second=round(self._rate, 1),
            eta_seconds=self._left(done, total),
            why=why,
            figures=dict(figures or {}),
        )

    def _measure(self, done: float, documents: float, *, paused: bool) -> None:
        now = self._clock()
        if self._at is None or done < self._done or documents < self._documents:
            self._at, self._done, self._documents = now, done, documents
            self._speed = self._rate = self._weight = 0.0
            return
        span = now - self._at
        if span < LEAST_SECONDS and not paused:
            return
        silent = span > LONGEST_GAP and self._weight > 0 and not self._silent
        self._silent = silent  # one long silence is a pause; several are the rate
        if not (silent or paused or self._was_paused):
            fresh = 1 - math.exp(-span / SMOOTHING_SECONDS)
            # The first samples count in full: an average that begins at zero would take its time to be true.
            self._weight += fresh * (1 - self._weight)
            share = fresh / self._weight
            self._speed += ((done - self._done) / span - self._speed) * share
            self._rate += ((documents - self._documents) / span - self._rate) * share
        self._at, self._done, self._documents, self._was_paused = now, done, documents, paused

    def _left(self, done: int, total: int) -> float | None:
        """Seconds; None where that is not known: a pass also sees what was written since its total was counted."""
        if done >= total or self._speed <= 0:
            return None
        return round((total - done) / self._speed, 1)
