"""What the scripts are asked about documents, and what their answers mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias, TypeVar

from rvlstate.plan.effects import BadRow, Tally
from rvlstate.runtime.documents.batch import Row, shown
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.watch import Call

CALL_KEYS = 64
CALL_BYTES = 256 << 10
"""What one script call works on at most, so that the server is blocked for about a millisecond."""

GONE, FOREIGN, EXPIRING = -1, -2, -3
"""Replies of read.lua in place of states; 0 is "nothing to do"."""

WRITTEN, MOVED_ON, TAKEN, NO_PLACE = 1, 0, -2, 10
"""Replies of write.lua; -1 is "gone"."""

EXPIRING_FIELDS = "it has fields that expire, which a JSON document cannot have"

Item: TypeAlias = "tuple[int, bytes, bytes | None]"
AnyItem = TypeVar("AnyItem", bound="tuple[Any, ...]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of the scripts for the documents of one rewrite."""

    blueprint: Blueprint
    beside: Beside

    def reading(self, keys: Sequence[bytes], at_most: int) -> Reading:
        """What is to be done to documents, asked for at most so many at once."""
        place = self.blueprint.destination
        items = [(self.beside.slot(key), key, place(key)) for key in keys]
        groups = list(by_slot(sorted(items, key=lambda item: item[0]), at_most))
        calls: list[Call] = [
            (self._keys(group[0][0], [key for _, key, _ in group]), [self.blueprint.payload, self._flags(group)])
            for group in groups
        ]
        return Reading(groups=groups, calls=calls)

    def writing(self, rows: Sequence[Row], at_most: int, *, watched: bool = False) -> Writing:
        """Documents to be written, at most so many at once; `watched` ones are known to be as they were read."""
        groups = list(written_together(sorted(rows, key=lambda row: row.slot), at_most))
        return Writing(
            blueprint=self.blueprint, groups=groups, calls=[self._write_call(group, watched) for group in groups]
        )

    def _write_call(self, group: list[Row], watched: bool) -> Call:
        moving = bool(self.blueprint.rewrite.moves)
        keys = [row.key for row in group] + [row.destination for row in group if moving]
        arguments = [part for row in group for part in row.arguments(watched=watched)]
        return self._keys(group[0].slot, keys), [self.blueprint.payload, b"1" if moving else b"0", *arguments]

    def _keys(self, slot: int, keys: list[bytes]) -> list[bytes]:
        return [self.beside.marks(slot), self.beside.scratch(slot), *keys]

    def _flags(self, group: Sequence[Item]) -> bytes:
        if not self.blueprint.rewrite.moves:
            return b""
        return b"".join(b"0" if to is None else b"1" for _, _, to in group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Calls of read.lua, and the documents that each is about."""

    groups: list[list[Item]]
    calls: list[Call]

    def rows(self, replies: Sequence[list[Any]]) -> list[Row]:
        """The documents that something is to be done to."""
        return [
            Row(key, slot, answer[0].decode(), answer[1:], to or key)
            for group, answers in zip(self.groups, replies, strict=True)
            for (slot, key, to), answer in zip(group, answers, strict=True)
            if isinstance(answer, list)
        ]

    def others(self, replies: Sequence[list[Any]]) -> Tally:
        """The documents that nothing is to be done to."""
        answers = [answer for group in replies for answer in group]
        keys = [key for group in self.groups for _, key, _ in group]
        expiring = [
            BadRow(key=shown(key), field="", reason=EXPIRING_FIELDS)
            for key, answer in zip(keys, answers, strict=True)
            if answer == EXPIRING
        ]
        return Tally(
            done=answers.count(0),
            gone=answers.count(GONE),
            foreign=answers.count(FOREIGN),
            bad=len(expiring),
            bad_rows=tuple(expiring),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Calls of write.lua, and the documents that each is about."""

    blueprint: Blueprint
    groups: list[list[Row]]
    calls: list[Call]

    def outcome(self, replies: Sequence[Any]) -> tuple[Tally, list[Row]]:
        """What came of the documents, and those about which nothing was answered."""
        tally, unanswered = Tally(), []
        for group, answers in zip(self.groups, replies, strict=True):
            if isinstance(answers, list):
                tally = self._counted(tally, group, answers)
            else:
                unanswered += group
        return tally, unanswered

    def _counted(self, tally: Tally, group: list[Row], answers: list[int]) -> Tally:
        pairs = list(zip(group, answers, strict=True))
        bad = [self._unwritable(row, answer) for row, answer in pairs if answer == TAKEN or answer > NO_PLACE]
        return replace(
            written(tally, [row for row, answer in pairs if answer == WRITTEN]),
            moved_on=tally.moved_on + answers.count(MOVED_ON),
            gone=tally.gone + answers.count(GONE),
            bad=tally.bad + len(bad),
            bad_rows=(*tally.bad_rows, *bad),
        )

    def _unwritable(self, row: Row, answer: int) -> BadRow:
        if answer == TAKEN:
            return taken_place(row.key, row.destination)
        return no_place_for(self.blueprint, row.key, answer - NO_PLACE)


def taken_place(key: bytes, destination: bytes) -> BadRow:
    """A document that cannot be moved."""
    reason = f"there is a document under its new key {shown(destination)}, which is taken for the newer one"
    return BadRow(key=shown(key), field="", reason=reason)


def no_place_for(blueprint: Blueprint, key: bytes, number: int) -> BadRow:
    """A document that has no place for its field of this number, from 1."""
    item = blueprint.rewrite.fields[number - 1] if blueprint.rewrite.fields else None
    place = item.writes.identifier if item is not None and item.writes is not None else ""
    return BadRow(
        key=shown(key),
        field=item.field if item is not None else "",
        reason=f"the document has no place for {place}: what is above it is missing or no object",
    )


def both_values(blueprint: Blueprint, key: bytes, at: int) -> BadRow:
    """A document with an old and another new value of its field of this number, from 0."""
    item = blueprint.rewrite.fields[at]
    old, new = " and ".join(item.removes), item.writes.identifier if item.writes is not None else ""
    reason = f"it holds {old} and another value at {new} already, and one of the two would be lost: remove one of them"
    return BadRow(key=shown(key), field=item.field, reason=reason)


def written(tally: Tally, rows: Sequence[Row]) -> Tally:
    """The tally with rows that were written."""
    return replace(
        tally,
        written=tally.written + len(rows),
        bytes_written=tally.bytes_written + sum(row.bytes_written for row in rows),
    )


def by_slot(items: Sequence[AnyItem], at_most: int) -> Iterator[list[AnyItem]]:
    """Items of one slot, which is what each begins with, at most so many together."""
    for _, group in groupby(items, key=lambda item: item[0]):
        members = list(group)
        for start in range(0, len(members), at_most):
            yield members[start : start + at_most]


def written_together(rows: Sequence[Row], at_most: int) -> Iterator[list[Row]]:
    """Rows of one slot, as many as one script call may write."""
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (row.slot != group[0].slot or len(group) == at_most or size + row.bytes_read > CALL_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.bytes_read
    if group:
        yield group
