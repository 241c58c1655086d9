"""Wait until a physical index has been built by the background scan of the server, and by that of its replicas."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from rvlstate.errors import GateFailedError, StepFailedError
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Asking, Effect, Flow, Gauge, Memory, Pause, Report, look
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.replicas import Behind, Lag

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two looks: short at first, since most builds are small."""

CALM_LOOKS = 2
"""Looks in a row that must say "built": FT.INFO shows an instant of calm between a scan's request and its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitBuild(Defaults):
    """Wait for the scan of `physical`; `max_memory_ratio` of maxmemory (0: any) stops it before the server is full.

    `disposable` tells that nothing is served from it yet, so that it is removed when the build fails. `staged`: it
    covers documents in the old layout beside their copies, each of which counts as a failure and is none.
    """

    operation: Literal["await_build"] = "await_build"
    name: str
    physical: str
    max_memory_ratio: float = 0.0
    disposable: bool = False
    staged: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        return f"wait until {self.physical} is built"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        removes = ("FT.DROPINDEX",) if self.disposable else ()
        return (*INSPECTING, "INFO", "ROLE", *removes)

    def flow(self) -> Flow:
        """Look until the scan has ended, and until that of every replica has that can be asked."""
        built = yield from self.own_build()
        waited = yield from await_replicas(self.physical)
        if waited:
            yield built

    def own_build(self) -> Generator[Effect, Any, Report]:
        """Look until the scan has ended; the percentage alone is never believed (see facts: it counts other keys).

        What was told last. Enough for an index that is asked on the primary alone.
        """
        pause, calm, told = FIRST_PAUSE, 0, Report("")
        while calm < CALM_LOOKS:
            seen = yield from look(self.physical)
            index = self._still_there(seen)
            memory = yield Gauge()
            self._refuse_when_full(memory)
            self._refuse_aborted_scan(index.statistics)
            calm = calm + 1 if is_calm(index.statistics) else 0
            told = self._progress(index.statistics)
            yield told
            if calm < CALM_LOOKS:
                yield Pause(FIRST_PAUSE if calm else pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
        return told

    def _still_there(self, seen: LiveIndex | None) -> LiveIndex:
        if seen is None or seen.name != self.physical:
            raise StepFailedError(
                self.summary,
                why=f"{self.physical} is gone: somebody dropped it while it was built.",
                next_step="run apply again: it builds the index anew.",
            )
        return seen

    def _refuse_when_full(self, memory: Memory) -> None:
        if self.max_memory_ratio and memory.limit and memory.used > memory.limit * self.max_memory_ratio:
            raise GateFailedError(
                f"memory ran short while {self.physical} was built",
                why=f"The server uses {memory.used:,} of {memory.limit:,} bytes, "
                f"more than policy.max_memory_ratio allows ({self.max_memory_ratio:.0%}).",
                next_step="free memory or raise maxmemory, then run apply again.",
            )

    def _refuse_aborted_scan(self, statistics: Statistics) -> None:
        if statistics.scan_error:
            raise GateFailedError(
                f"the server gave up building {self.physical}",
                why=f"It reports: {statistics.scan_error}",
                next_step="free memory or raise maxmemory, then run apply again.",
            )

    def _progress(self, statistics: Statistics) -> Report:
        waiting = statistics.indexing and not statistics.percent and not statistics.documents
        note = "queued behind other scans of the server" if waiting else f"{statistics.documents:,} documents indexed"
        # Keys written meanwhile let the server count more than it set out to scan.
        return Report(
            note,
            done=min(round(statistics.percent * 1000), 999 + is_calm(statistics)),
            total=1000,
            figures=self._figures(statistics),
        )

    def _figures(self, statistics: Statistics) -> dict[str, float]:
        failures = {} if self.staged else {"indexing_failures": float(statistics.failures)}
        return {"documents": float(statistics.documents), **failures}


def is_calm(statistics: Statistics) -> bool:
    """Whether no scan is running or pending, as far as one FT.INFO can tell."""
    return statistics.indexing == 0 and statistics.percent >= 1


def await_replicas(index: str) -> Asking:
    """Wait until the replicas that can be asked have built an index as well; whether there was anything to wait for.

    Each builds it by itself, from when it hears of it: who reads there, or is led there by a failover, would get
    partial answers before.
    """
    pause, waited = FIRST_PAUSE, False
    while behind := (yield Lag(index, begins=not waited)):
        waited = True
        yield _lag_told(behind)
        yield Pause(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return waited


def _lag_told(behind: tuple[Behind, ...]) -> Report:
    last = min(behind, key=lambda one: (one.scanned, one.replica))
    more = f", and {len(behind) - 1} more" if len(behind) > 1 else ""
    note = f"waiting for replica {last.replica}: {last.note or f'{last.documents:,} documents indexed'}{more}"
    return Report(note, done=min(last.scanned, 999), total=1000, figures={"documents": float(last.documents)})
