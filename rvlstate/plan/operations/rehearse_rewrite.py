"""Rehearse a change of documents: everything that can fail is tried before anything is dropped or written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.errors import GateFailedError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Intent, State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Report, Sweep, Tally
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.operations.rewrite_documents import DOCUMENT_COMMANDS, figures_of, send_create

NOWHERE = "rvlstate:nowhere:"
"""A prefix that no document has: a rehearsed index stays empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseRewrite(Defaults):
    """Create the target definition over no documents and drop it again, then read and transform all documents.

    Nothing is written; the user's own code sees the first documents only. More than `max_bad_rows` documents that
    cannot be transformed fail the gate. With the last step the change counts as begun.
    """

    operation: Literal["rehearse_rewrite"] = "rehearse_rewrite"
    name: str
    rewrite: Rewrite
    pace: Pace = FULL_SPEED
    backup: str = ""
    max_bad_rows: int = 0
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
        documents = DOCUMENT_COMMANDS if self.rewrite.touches_documents else ()
        return ("FT._LIST", "FT.INFO", *index, *documents)

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
        )
        if tally.bad > self.max_bad_rows:
            raise too_many_bad_rows(self.name, tally, self.max_bad_rows, "nothing was changed.")
        yield Report(_note(tally), done=tally.seen, total=tally.seen, figures=_figures(tally))

    def _rehearsed(self) -> IndexDefinition:
        return replace(self.rewrite.after, prefixes=(f"{NOWHERE}{self.rewrite.id}:",))

    def _rehearse_index(self) -> Flow:
        drop = DropIndex(physical=self.rewrite.scratch, because="left_behind", atomic=self.atomic)
        yield from drop.flow()
        yield from send_create(create_arguments(self.rewrite.scratch, self._rehearsed()))
        yield from drop.flow()


def too_many_bad_rows(name: str, tally: Tally, allowed: int, standing: str) -> GateFailedError:
    """The failure of the gate, with the count and the first documents; `standing` says how things stand."""
    rows = [f"{row.key}: {row.field}: {row.reason}" for row in tally.bad_rows[:5]]
    details = [line for row in tally.bad_rows[:1] for line in row.detail.splitlines()]
    more = [f"... and {tally.bad - len(rows):,} more"] if tally.bad > len(rows) else []
    return GateFailedError(
        f"{tally.bad:,} {'document' if tally.bad == 1 else 'documents'} of {name} cannot be transformed, "
        f"max_bad_rows allows {allowed:,}",
        why="\n".join([*rows, *more, *details, standing]),
        next_step=f"mend or delete these documents, or raise indexes.{name}.max_bad_rows, then run apply again.",
    )


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
