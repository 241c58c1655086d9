"""Stage documents: make a copy of each one in the desired layout beside it, which nobody writes to but us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.bad_rows import too_many_bad_rows
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Report, Sweep, Tally
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.rewrite_documents import (
    MOST_PASSES,
    NEXT_TO_NOTHING,
    added,
    ensure_members,
    figures_of,
    with_members,
    with_members_intent,
    work_words,
)

SHRINKING = 0.7
"""A pass that still found this share of what the one before found is as short as the writers let it be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDocuments(Defaults):
    """Copy every document that is not in the layout of `rewrite.after` to its staged key, transformed.

    The documents themselves are not touched. `again`: the copies are there, and are brought up to what was written
    since, in passes until one finds nothing, or no less than the one before. `members` is the index that tells which
    documents the filter lets in, "" if there is no filter. `begun`: an interrupted first pass is gone on with.
    """

    operation: Literal["stage_documents"] = "stage_documents"
    name: str
    rewrite: Rewrite
    pace: Pace = FULL_SPEED
    backup: str = ""
    max_bad_rows: int = 0
    members: str = ""
    begun: bool = False
    again: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        if self.again:
            return f"catch up with what was written to the documents of {self.name} since"
        return f"stage copies of the documents of {self.name}: {work_words(self.rewrite)}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        if self.again:
            return "nothing to undo by itself"
        return f"rvlstate rollback {self.name}: the copies go, the documents are as they were"

    @property
    def commands(self) -> tuple[str, ...]:
        """In words: the keys are not known beforehand."""
        return () if self.again else (f"EVALSHA ... COPY to {_place(self.rewrite)} for each document",)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *rewriting(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """An index that knows the filter is there, until the change is complete."""
        return with_members(catalog, self.rewrite, self.members)

    def intend(self, state: State) -> State:
        """The change has begun."""
        known = with_members_intent(state, self.rewrite, self.members)
        begun = state.rewrite(self.name)
        return known if begun is not None and begun.id == self.rewrite.id else known.with_rewrite(self.rewrite)

    def flow(self) -> Flow:
        """One pass that makes the copies, or passes that bring them up to date."""
        yield from ensure_members(self.rewrite, self.members)
        total, found = Tally(), 0
        for number in range(1, MOST_PASSES + 1 if self.again else 2):
            tally: Tally = yield Sweep(
                rewrite=self.rewrite,
                mode="stage",
                pace=self.pace,
                members=self.members,
                backup=self.backup,
                resume=self.begun and number == 1,
                hinted=self.again and number > 1,
                max_bad_rows=self.max_bad_rows,
            )
            total = added(total, tally)
            yield Report(_note(total, number), done=tally.seen, total=tally.seen, figures=figures_of(total))
            if tally.bad > self.max_bad_rows:
                raise too_many_bad_rows(self.name, tally, self.max_bad_rows)
            if tally.unsettled <= tally.seen * NEXT_TO_NOTHING or (number > 1 and tally.unsettled > found * SHRINKING):
                return
            found = tally.unsettled


def _place(rewrite: Rewrite) -> str:
    return f"{rewrite.stage}..." if rewrite.stage else f"{rewrite.moves[0][1]}..."


def _note(tally: Tally, passes: int) -> str:
    told = "one pass" if passes == 1 else f"{passes} passes"
    gone = f"; {tally.dropped:,} copies of documents that are gone or newer removed" if tally.dropped else ""
    bad = f"; {tally.bad:,} documents cannot be transformed" if tally.bad else ""
    return f"{tally.written:,} copies made in {told}{gone}{bad}"
