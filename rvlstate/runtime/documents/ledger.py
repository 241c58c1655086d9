"""Which batches of a shard are complete: the place from which an interrupted pass goes on, with its counts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rvlstate.plan.effects import BadRow, Tally
from rvlstate.runtime.documents.scan import START

SHOWN_BAD_ROWS = 100
COUNTS = tuple(item.name for item in fields(Tally) if item.name not in ("seconds", "bad_rows"))
"""What of a Tally is added up."""


def added(one: Tally, other: Tally) -> Tally:
    """Both together, with the first bad rows."""
    sums: dict[str, Any] = {name: getattr(one, name) + getattr(other, name) for name in COUNTS}
    rows = tuple(dict.fromkeys((*one.bad_rows, *other.bad_rows)))[:SHOWN_BAD_ROWS]
    return replace(one, **sums, bad_rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a shard is: the cursor before which all is complete, whether that is all, and the counts."""

    cursor: str = START
    complete: bool = False
    tally: Tally = field(default_factory=Tally)


class Ledger:
    """The batches of one shard, in the order in which they were scanned; used by several threads.

    What is complete behind a batch that is not will be done again by whoever goes on: its counts are no part of the
    place. Each restart of the scan has a number of its own, so that batches of the scan before are known as such.
    """

    def __init__(self, place: Place) -> None:
        self._lock = threading.Lock()
        self._place = place
        self._behind = Tally()
        self._scan = self._opened = self._closed = 0
        self._waiting: dict[int, tuple[Tally, str | None]] = {}

    def open(self) -> tuple[int, int]:
        """The ticket of the next batch."""
        with self._lock:
            self._opened += 1
            return self._scan, self._opened

    def close(self, ticket: tuple[int, int], tally: Tally, cursor: str | None) -> None:
        """A batch is complete; `cursor` stands behind it, None if the page that it is of goes on."""
        scan, number = ticket
        with self._lock:
            if scan != self._scan:
                self._place = replace(self._place, tally=added(self._place.tally, _lasting(tally)))
                return
            self._waiting[number] = (tally, cursor)
            while self._closed + 1 in self._waiting:
                self._closed += 1
                self._advance(*self._waiting.pop(self._closed))

    def restart(self) -> None:
        """The scan begins again; what was seen will be seen again, what was written stays written."""
        with self._lock:
            self._place = Place(tally=_lasting(self._total()))
            self._behind = Tally()
            self._scan += 1
            self._opened = self._closed = 0
            self._waiting.clear()

    def place(self) -> Place:
        """How far the shard is."""
        with self._lock:
            return self._place

    def total(self) -> Tally:
        """All that was counted, complete or not."""
        with self._lock:
            return self._total()

    def _total(self) -> Tally:
        total = added(self._place.tally, self._behind)
        for tally, _ in self._waiting.values():
            total = added(total, tally)
        return total

    def _advance(self, tally: Tally, cursor: str | None) -> None:
        self._behind = added(self._behind, tally)
        if cursor is not None:
            counted = added(self._place.tally, self._behind)
            self._place, self._behind = Place(cursor=cursor, complete=cursor == START, tally=counted), Tally()


def _lasting(tally: Tally) -> Tally:
    """What stays true of a tally when the same documents are seen again."""
    return Tally(
        written=tally.written,
        moved_on=tally.moved_on,
        bytes_read=tally.bytes_read,
        bytes_written=tally.bytes_written,
        saturated=tally.saturated,
        promoted=tally.promoted,
        dropped=tally.dropped,
        unhinted=tally.unhinted,
    )


def packed_place(place: Place) -> dict[str, Any]:
    """A place for a checkpoint."""
    counts = {name: getattr(place.tally, name) for name in COUNTS}
    rows = [[row.key, row.field, row.reason, row.detail] for row in place.tally.bad_rows]
    return {"cursor": place.cursor, "complete": place.complete, "counts": counts, "bad_rows": rows}


def unpacked_place(data: dict[str, Any]) -> Place:
    """A place from a checkpoint. Raises KeyError and TypeError for anything else."""
    rows = tuple(
        BadRow(key=key, field=field, reason=reason, detail=detail) for key, field, reason, detail in data["bad_rows"]
    )
    counts = {name: int(data["counts"][name]) for name in COUNTS}
    return Place(cursor=str(data["cursor"]), complete=bool(data["complete"]), tally=Tally(**counts, bad_rows=rows))
