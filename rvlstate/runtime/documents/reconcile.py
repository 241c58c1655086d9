"""One batch reconciled: looked at, computed, kept, and written where it is still what was read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from rvlstate.plan.effects import BadRow, Tally
from rvlstate.runtime.documents.batch import Row, original_of, shown
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.computing import Computed, Functions, computed
from rvlstate.runtime.documents.members import Members
from rvlstate.runtime.documents.node import Node
from rvlstate.runtime.documents.originals import Originals
from rvlstate.runtime.documents.scripts import script

CALL_KEYS = 64
CALL_BYTES = 256 << 10
"""What one script call works on at most, so that the server is blocked for about a millisecond."""

GONE, FOREIGN, EXPIRING = -1, -2, -3
"""Replies of read.lua in place of states; 0 is "nothing to do"."""

WRITTEN, MOVED_ON, TAKEN, NO_PLACE = 1, 0, -2, 10
"""Replies of write.lua; -1 is "gone"."""


@dataclass(slots=True)
class Quota:
    """How many documents the user's own code may still see in a rehearsal."""

    left: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, wanted: int) -> int:
        """So many of the documents may be shown."""
        with self._lock:
            taken = min(wanted, self.left)
            self.left -= taken
        return taken


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Brings batches of keys of one node into the desired layout; used by several threads.

    `before_write` is called once for each batch that writes, and raises if that must not be. `quota` None: not a
    rehearsal, so that everything is written. `largest` is the largest absolute value seen in each field of vectors.
    """

    blueprint: Blueprint
    beside: Beside
    functions: Functions
    members: Members | None = None
    originals: Originals | None = None
    quota: Quota | None = None
    before_write: Callable[[], None]
    largest: dict[str, float] = field(default_factory=dict)
    _size: float = 4096.0
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def reconcile(self, node: Node, keys: Sequence[bytes]) -> Tally:
        """One batch; documents may be seen again, nothing is done twice."""
        tally = Tally(seen=len(keys))
        if self.members is not None:
            allowed = self.members.among(keys)
            tally = replace(tally, excluded=len(keys) - len(allowed))
            keys = allowed
        rows, tally = self._look(node, keys, tally)
        result = self._computed(rows)
        self.largest |= {name: max(value, self.largest.get(name, 0.0)) for name, value in result.largest.items()}
        tally = replace(
            tally,
            done=tally.done + len(rows) - len(result.rows) - len(result.bad),
            saturated=tally.saturated + result.saturated,
            bad=tally.bad + len(result.bad),
            bad_rows=(*tally.bad_rows, *result.bad),
        )
        if self.quota is not None:
            return _written(tally, result.rows)
        return self._write(node, result.rows, tally)

    def _look(self, node: Node, keys: Sequence[bytes], tally: Tally) -> tuple[list[Row], Tally]:
        destinations = [self.blueprint.destination(key) for key in keys]
        items = sorted(
            ((self.beside.slot(key), key, to) for key, to in zip(keys, destinations, strict=True)),
            key=lambda item: item[0],
        )
        groups = list(_by_slot(items, max(1, min(CALL_KEYS, int(CALL_BYTES / self._size)))))
        calls = [
            (
                [self.beside.marks(slot), self.beside.scratch(slot), *(key for _, key, _ in group)],
                [self.blueprint.payload, self._flags(group)],
            )
            for slot, group in groups
        ]
        replies = node.run(script(self.blueprint.adapter, "read"), calls) if calls else []
        rows: list[Row] = []
        for (_, group), answers in zip(groups, replies, strict=True):
            rows += [
                Row(key, slot, answer[0].decode(), answer[1:], to or key)
                for (slot, key, to), answer in zip(group, answers, strict=True)
                if isinstance(answer, list)
            ]
            tally = _not_to_do(tally, [key for _, key, _ in group], answers)
        read = sum(row.bytes_read for row in rows)
        if rows:
            self._size = max(64.0, read / len(rows))
        return rows, replace(tally, bytes_read=tally.bytes_read + read)

    def _flags(self, group: Sequence[tuple[int, bytes, bytes | None]]) -> bytes:
        if not self.blueprint.rewrite.moves:
            return b""
        return b"".join(b"0" if to is None else b"1" for _, _, to in group)

    def _computed(self, rows: list[Row]) -> Computed:
        # The user's own code need not be safe for threads.
        alone = self._one_at_a_time if self.blueprint.runs_user_code else nullcontext()
        with alone:
            if self.quota is None or not self.blueprint.runs_user_code:
                return computed(self.blueprint, rows, self.functions)
            shown_rows = self.quota.take(len(rows))
            first = computed(self.blueprint, rows[:shown_rows], self.functions)
            rest = computed(self.blueprint, rows[shown_rows:], None)
        return Computed([*first.rows, *rest.rows], [*first.bad, *rest.bad], first.saturated + rest.saturated)

    def _write(self, node: Node, rows: list[Row], tally: Tally) -> Tally:
        if not rows:
            return tally
        if self.originals is not None:
            self.originals.keep([original_of(self.blueprint, row) for row in rows])
        self.before_write()
        moving = bool(self.blueprint.rewrite.moves)
        groups = list(_written_together(sorted(rows, key=lambda row: row.slot)))
        calls = []
        for group in groups:
            keys = [self.beside.marks(group[0].slot), self.beside.scratch(group[0].slot), *(row.key for row in group)]
            if moving:
                keys += [row.destination for row in group]
            arguments = [part for row in group for part in row.arguments()]
            calls.append((keys, [self.blueprint.payload, b"1" if moving else b"0", *arguments]))
        replies = node.run(script(self.blueprint.adapter, "write"), calls)
        for group, answers in zip(groups, replies, strict=True):
            tally = self._count(tally, group, answers)
        return tally

    def _count(self, tally: Tally, group: list[Row], answers: list[int]) -> Tally:
        written = [row for row, answer in zip(group, answers, strict=True) if answer == WRITTEN]
        bad = [
            self._unwritable(row, answer)
            for row, answer in zip(group, answers, strict=True)
            if answer == TAKEN or answer > NO_PLACE
        ]
        return replace(
            _written(tally, written),
            moved_on=tally.moved_on + answers.count(MOVED_ON),
            gone=tally.gone + answers.count(GONE),
            bad=tally.bad + len(bad),
            bad_rows=(*tally.bad_rows, *bad),
        )

    def _unwritable(self, row: Row, answer: int) -> BadRow:
        if answer == TAKEN:
            reason = f"there is a document under its new key {shown(row.destination)}, which is taken for the newer one"
            return BadRow(key=shown(row.key), field="", reason=reason)
        item = self.blueprint.rewrite.fields[answer - NO_PLACE - 1] if self.blueprint.rewrite.fields else None
        place = item.writes.identifier if item is not None and item.writes is not None else ""
        return BadRow(
            key=shown(row.key),
            field=item.field if item is not None else "",
            reason=f"the document has no place for {place}: what is above it is missing or no object",
        )


def _not_to_do(tally: Tally, keys: Sequence[bytes], answers: Sequence[Any]) -> Tally:
    reason = "it has fields that expire, which a JSON document cannot have"
    expiring = [
        BadRow(key=shown(key), field="", reason=reason)
        for key, answer in zip(keys, answers, strict=True)
        if answer == EXPIRING
    ]
    return replace(
        tally,
        done=tally.done + answers.count(0),
        gone=tally.gone + answers.count(GONE),
        foreign=tally.foreign + answers.count(FOREIGN),
        bad=tally.bad + len(expiring),
        bad_rows=(*tally.bad_rows, *expiring),
    )


def _written(tally: Tally, rows: list[Row]) -> Tally:
    return replace(
        tally,
        written=tally.written + len(rows),
        bytes_written=tally.bytes_written + sum(row.bytes_written for row in rows),
    )


def _by_slot(
    items: Sequence[tuple[int, bytes, Any]], at_most: int
) -> Iterator[tuple[int, list[tuple[int, bytes, Any]]]]:
    """Items of one slot, at most so many together."""
    for slot, group in groupby(items, key=lambda item: item[0]):
        members = list(group)
        for start in range(0, len(members), at_most):
            yield slot, members[start : start + at_most]


def _written_together(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one slot, as many as one script call may write."""
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (row.slot != group[0].slot or len(group) == CALL_KEYS or size + row.bytes_read > CALL_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.bytes_read
    if group:
        yield group
