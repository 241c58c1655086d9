"""What the scripts are asked about documents and their staged copies, and what their answers mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from rvlstate.plan.effects import BadRow, Tally
from rvlstate.runtime.documents.batch import Row, shown
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.calls import (
    EXPIRING_FIELDS,
    both_values,
    by_slot,
    no_place_for,
    taken_place,
    written,
    written_together,
)
from rvlstate.runtime.documents.watch import Call

NOTHING, WRITTEN, GONE, FOREIGN, EXPIRING, PROMOTED, TAKEN, MOVED_ON, EXCLUDED, PLACED = range(10)
NO_PLACE, BOTH, DROPPED, AMBIGUOUS = 20, 500, 1000, 2000
"""Replies of look.lua and stage.lua, see content.lua."""

COUNTED_AS = {
    NOTHING: "done",
    WRITTEN: "written",
    GONE: "gone",
    FOREIGN: "foreign",
    PROMOTED: "promoted",
    MOVED_ON: "moved_on",
    EXCLUDED: "excluded",
}

Pair: TypeAlias = "tuple[int, bytes, bytes]"
"""The slot of a document, its key, and that of its copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedCalls:
    """Calls of the scripts for the documents of one staged rewrite.

    `process` is the process of the server in which copies may be renamed, "" where it does not matter.
    """

    blueprint: Blueprint
    beside: Beside
    mode: str
    process: str = ""

    def looking(self, pairs: Sequence[Pair], at_most: int, *, drop: bool = False) -> Looking:
        """What is to be done about documents, asked for at most so many at once; `drop`: they are to have no copy."""
        groups = list(by_slot(sorted(pairs), at_most))
        mode = "drop" if drop else self.mode
        calls = [self._call([(key, copy) for _, key, copy in group], group[0][0], mode, []) for group in groups]
        return Looking(blueprint=self.blueprint, groups=groups, calls=calls)

    def writing(self, rows: Sequence[Row], at_most: int) -> StagedWriting:
        """Copies to be made, or documents to be written, at most so many at once."""
        groups = list(written_together(sorted(rows, key=lambda row: row.slot), at_most))
        calls = [
            self._call(
                [(row.key, row.destination) for row in group],
                group[0].slot,
                self.mode,
                [part for row in group for part in row.arguments()],
            )
            for group in groups
        ]
        return StagedWriting(blueprint=self.blueprint, groups=groups, calls=calls)

    def _call(self, pairs: Sequence[tuple[bytes, bytes]], slot: int, mode: str, arguments: list[bytes]) -> Call:
        documents, copies = [key for key, _ in pairs], [copy for _, copy in pairs]
        keys = [self.beside.marks(slot), self.beside.scratch(slot), *documents, *copies]
        process = f":{self.process}" if self.process and mode == self.mode else ""
        return keys, [self.blueprint.payload, f"{mode}{process}".encode(), *arguments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Calls of look.lua, and the documents that each is about."""

    blueprint: Blueprint
    groups: list[list[Pair]]
    calls: list[Call]

    def rows(self, replies: Sequence[list[Any]]) -> list[Row]:
        """The documents that something is to be computed for."""
        return [
            Row(key, slot, answer[0].decode(), answer[1:], copy)
            for (slot, key, copy), answer in self._answers(replies)
            if isinstance(answer, list)
        ]

    def placed(self, replies: Sequence[list[Any]]) -> list[bytes]:
        """Those that are themselves under their new prefix."""
        return [key for (_, key, _), answer in self._answers(replies) if answer == PLACED]

    def others(self, replies: Sequence[list[Any]]) -> Tally:
        """What became of all the others."""
        tally = Tally()
        for group, answers in zip(self.groups, replies, strict=True):
            found = [
                (key, copy, told) for (_, key, copy), told in zip(group, answers, strict=True) if type(told) is int
            ]
            tally = counted(tally, self.blueprint, found)
        return tally

    def _answers(self, replies: Sequence[list[Any]]) -> Iterator[tuple[Pair, Any]]:
        for group, answers in zip(self.groups, replies, strict=True):
            yield from zip(group, answers, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedWriting:
    """Calls of stage.lua, and the documents that each is about."""

    blueprint: Blueprint
    groups: list[list[Row]]
    calls: list[Call]

    def outcome(self, replies: Sequence[list[int]], hinted: Callable[[bytes], bool] | None) -> Tally:
        """What came of them; `hinted` tells which documents were named as written, None where nobody can."""
        tally, done = Tally(), []
        for group, answers in zip(self.groups, replies, strict=True):
            found = list(zip(group, answers, strict=True))
            done += [row for row, answer in found if answer % DROPPED == WRITTEN]
            told = [(row.key, row.destination, answer) for row, answer in found]
            tally = counted(tally, self.blueprint, told)
        unhinted = sum(not hinted(row.key) for row in done) if hinted is not None else 0
        return replace(written(tally, done), written=tally.written, unhinted=unhinted)


def counted(tally: Tally, blueprint: Blueprint, told: Sequence[tuple[bytes, bytes, int]]) -> Tally:
    """The tally with more answers, each behind a document and its copy."""
    counts = Counter(answer % DROPPED for *_, answer in told)
    rows = [_bad_row(blueprint, key, copy, answer % DROPPED) for key, copy, answer in told if _is_bad(answer % DROPPED)]
    sums: dict[str, Any] = {name: getattr(tally, name) + counts[status] for status, name in COUNTED_AS.items()}
    return replace(
        tally,
        **sums,
        dropped=tally.dropped + sum(answer % AMBIGUOUS // DROPPED for *_, answer in told),
        ambiguous=tally.ambiguous + sum(answer >= AMBIGUOUS for *_, answer in told),
        bad=tally.bad + len(rows),
        bad_rows=(*tally.bad_rows, *rows),
    )


def _is_bad(status: int) -> bool:
    return status in (EXPIRING, TAKEN) or status > NO_PLACE


def _bad_row(blueprint: Blueprint, key: bytes, copy: bytes, status: int) -> BadRow:
    if status == EXPIRING:
        return BadRow(key=shown(key), field="", reason=EXPIRING_FIELDS)
    if status > BOTH:
        return both_values(blueprint, key, status - BOTH - 1)
    return taken_place(key, copy) if status == TAKEN else no_place_for(blueprint, key, status - NO_PLACE)
