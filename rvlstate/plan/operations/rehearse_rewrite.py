"""Rehearse a change of documents: everything that can fail is tried before anything is dropped or written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Intent, State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Report, Sweep, Tally, send
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.operations.rewrite_documents import figures_of

NOWHERE = "rvlstate:nowhere:"
"""A prefix that no document has: a rehearsed index stays empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseRewrite(Defaults):
    """Create the target definition over no documents and drop it again, then read and transform all documents.

    Nothing is written; the user's own code sees the first documents only. More than `max_bad_rows` documents that
    cannot be transformed fail the gate. With the last step the change counts as begun. `members` is the index that
    serves where its filter tells which documents are left alone, "" if there is none.
    """

    operation: Literal["rehearse_rewrite"] = "rehearse_rewrite"
    name: str
    rewrite: Rewrite
    pace: Pace = FULL_SPEED
    backup: str = ""
    max_bad_rows: int = 0
    members: str = ""
    atomic: bool = True

    @property
    def summary(self) -> str:
        """What it does."""
        if not self.rewrite.touches_documents:
            return f"rehearse the new definition of {self.name}"
        return f"rehearse the change of the documents of {self.name}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        index = ("FT.CREATE", "FT.DROPINDEX") if self._rehearses_index else ()
        return (*INSPECTING, *index, *rewriting(self.rewrite))

    @property
    def _rehearses_index(self) -> bool:
        return self.rewrite.strategy == "recreate"

    def intend(self, state: State) -> State:
        """The rehearsed index is ours, should it be left behind."""
        if not self._rehearses_index:
            return state
        return state.with_intent(Intent(physical=self.rewrite.scratch, name=self.name, definition=self._rehearsed()))

    def record(self, state: State) -> State:
        """The change has begun."""
        return state.without_intent(self.rewrite.scratch).with_rewrite(self.rewrite)

    def flow(self) -> Flow:
        """Index first, since it is quick; then the documents."""
        if self._rehearses_index:
            yield from self._rehearse_index()
        if not self.rewrite.touches_documents:
            return
        tally: Tally = yield Sweep(
            rewrite=self.rewrite,
            mode="rehearse",
            pace=self.pace,
            backup=self.backup,
            max_bad_rows=self.max_bad_rows,
            members=self.members,
        )
        yield Report(_note(tally), done=tally.seen, total=tally.seen, figures=_figures(tally))

    def _rehearsed(self) -> IndexDefinition:
        return replace(self.rewrite.after, prefixes=(f"{NOWHERE}{self.rewrite.id}:",))

    def _rehearse_index(self) -> Flow:
        drop = DropIndex(physical=self.rewrite.scratch, because="left_behind", atomic=self.atomic)
        yield from drop.flow()
        yield from send(*create_arguments(self.rewrite.scratch, self._rehearsed()))
        yield from drop.flow()


def _figures(tally: Tally) -> dict[str, float]:
    """What was seen; nothing is written yet."""
    figures = figures_of(tally)
    figures["documents_to_write"] = figures.pop("documents_written")
    figures["bytes_to_write"] = figures.pop("bytes_written")
    return figures


def _note(tally: Tally) -> str:
    done = f", {tally.done:,} are so already" if tally.done else ""
    bad = f"; {tally.bad:,} cannot be transformed" if tally.bad else ""
    return f"{tally.written:,} of {tally.seen:,} documents to write{done}{bad}"
