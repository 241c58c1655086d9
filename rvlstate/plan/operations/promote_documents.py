"""Promote documents: staged copies take the place of their documents, and late writes are converted where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Report, Sweep, Tally
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.rewrite_documents import (
    MOST_PASSES,
    NEXT_TO_NOTHING,
    added,
    ensure_members,
    figures_of,
    left_words,
    with_members,
    with_members_intent,
)
from rvlstate.plan.operations.stage_documents import SHRINKING

FIRST_PASSES = 2
"""One that promotes what was staged, and one that finds what was written during the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteDocuments(Defaults):
    """Put the staged copies of `rewrite` in the place of their documents, wherever nobody wrote since.

    By RENAME or by COPY, see `Rewrite.promotion`; newer writes, in whichever layout, stay. From here on the original
    values are gone, unless there is a backup. `again`: all were promoted, and late writes are brought over.
    """

    operation: Literal["promote_documents"] = "promote_documents"
    name: str
    rewrite: Rewrite
    pace: Pace = FULL_SPEED
    backup: str = ""
    members: str = ""
    again: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        if self.again:
            return f"catch up with what was written to the documents of {self.name} since"
        match self.rewrite.promotion:
            case "write_back":
                return f"write the staged copies of {self.name} back over their documents"
            case "new_prefix":
                return f"bring late writes to the documents of {self.name} under their new prefix"
            case "rename" | "":
                return f"rename the staged copies of {self.name} to their documents"

    @property
    def undo(self) -> str:
        """How to undo it."""
        if self.rewrite.promotion == "new_prefix":
            return "nothing to undo: the old keys are still there"
        if self.backup:
            return f"rvlstate rollback {self.name} (original values are kept in {self.backup})"
        return "not possible: the original values are not kept (indexes.<name>.backup keeps them)"

    @property
    def reversible(self) -> bool:
        """The original values are gone."""
        return self.rewrite.promotion == "new_prefix"

    @property
    def commands(self) -> tuple[str, ...]:
        """In words: the keys are not known beforehand."""
        match self.rewrite.promotion:
            case "write_back":
                return (f"EVALSHA ... COPY from {self.rewrite.stage}... for each document",)
            case "new_prefix":
                return ()
            case "rename" | "":
                return (f"EVALSHA ... RENAME from {self.rewrite.stage}... for each document",)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *rewriting(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """An index that knows the filter is there, until the documents are settled."""
        return with_members(catalog, self.rewrite, self.members)

    def intend(self, state: State) -> State:
        """There is no way back to the old index from here."""
        begun = state.rewrite(self.name)
        known = with_members_intent(state, self.rewrite, self.members)
        return known.with_rewrite(replace(begun or self.rewrite, phase="promoting"))

    def flow(self) -> Flow:
        """Pass after pass, until one finds nothing or writers keep it from finding less."""
        yield from ensure_members(self.rewrite, self.members)
        total, found = Tally(), 0
        for number in range(1, MOST_PASSES + 1):
            tally: Tally = yield Sweep(
                rewrite=self.rewrite, mode="promote", pace=self.pace, members=self.members, backup=self.backup
            )
            total = added(total, tally)
            yield Report(_note(total), done=tally.seen, total=tally.seen, figures=figures_of(total))
            if tally.unsettled <= tally.seen * NEXT_TO_NOTHING or (
                number > FIRST_PASSES and tally.unsettled > found * SHRINKING
            ):
                return
            found = tally.unsettled


def _note(tally: Tally) -> str:
    late = f"; {tally.written:,} late writes converted" if tally.written else ""
    gone = f"; {tally.dropped:,} copies of documents that are gone or newer removed" if tally.dropped else ""
    return f"{tally.promoted:,} documents promoted{late}{gone}{left_words(tally)}"
