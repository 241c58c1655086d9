"""Settle documents: go on converting what writers still write in the old layout, until nobody does, then tidy up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import GateFailedError
from rvlstate.model.catalog import Catalog
from rvlstate.model.rewrite import Promotion, Rewrite
from rvlstate.model.state import State
from rvlstate.plan.bad_rows import too_many_bad_rows
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Mode, Pace, Pause, Report, Sweep, Tally, Tidy
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.operations.rewrite_documents import (
    MOST_PASSES,
    added,
    count_old_failures,
    ensure_members,
    figures_of,
    left_words,
    with_members_intent,
)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two passes."""

LEAST_PATIENCE, PATIENCE = 60.0, 12.0
"""Seconds, and multiples of `seconds`, after which writers of the old layout will not stop by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDocuments(Defaults):
    """Pass over the documents until for `seconds` no write in the old layout has come; the change is complete then.

    What is kept beside the documents goes. While writers go on in the old layout the step fails, with the figures:
    search answers meanwhile, and apply goes on from here.
    """

    operation: Literal["settle_documents"] = "settle_documents"
    name: str
    rewrite: Rewrite
    seconds: float = 5.0
    pace: Pace = FULL_SPEED
    backup: str = ""
    max_bad_rows: int = 0
    members: str = ""
    atomic: bool = True

    @property
    def summary(self) -> str:
        """What it does."""
        if not self.rewrite.touches_documents:
            return f"complete the change of {self.name}"
        return f"settle the documents of {self.name}: {self.seconds:g} s without a write in the old layout"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *rewriting(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """The index that knew the filter goes."""
        return catalog.without_index(self.rewrite.members)

    def intend(self, state: State) -> State:
        """An index that knows the filter is ours, should it be left behind."""
        return with_members_intent(state, self.rewrite, self.members)

    def record(self, state: State) -> State:
        """The change is complete, late writes are known by it, and an index that was dropped for it is nobody's."""
        rewrite = self.rewrite
        done = state.without_rewrite(self.name).laid_out(rewrite).without_intent(rewrite.members)
        if rewrite.strategy == "backfill":
            return done
        for physical in {rewrite.physical, rewrite.interim} - {rewrite.target, ""}:
            done = done.without_intent(physical)
        return done

    def flow(self) -> Flow:
        """Pass, wait, pass; then remove what was only needed for that."""
        yield from ensure_members(self.rewrite, self.members)
        if self.rewrite.touches_documents:
            yield from self._settle()
        if self.rewrite.promotion == "new_prefix":
            yield from self._retire()
        yield from DropIndex(physical=self.rewrite.members, because="left_behind", atomic=self.atomic).flow()
        yield from count_old_failures(self.rewrite)
        yield Tidy(rewrite=self.rewrite)

    @property
    def _mode(self) -> Mode:
        """Copies that are left go with the documents that they are of; behind a second index none is asked for."""
        modes: dict[Promotion, Mode] = {"rename": "promote", "new_prefix": "promote"}
        return modes.get(self.rewrite.promotion, "write")

    def _retire(self) -> Flow:
        """Remove old keys once nobody writes to them: an update or a deletion that finds its key gone would be lost."""
        for _ in range(MOST_PASSES):
            tally: Tally = yield Sweep(rewrite=self.rewrite, mode="retire", pace=self.pace, members=self.members)
            yield Report("", figures={"old_keys_removed": float(tally.promoted)} if tally.promoted else {})
            if not tally.unsettled:
                return

    def _settle(self) -> Flow:
        quiet, spent, total = 0.0, 0.0, Tally()
        while True:
            tally: Tally = yield Sweep(
                rewrite=self.rewrite, mode=self._mode, pace=self.pace, members=self.members, backup=self.backup
            )
            total = added(total, tally)
            if tally.bad > self.max_bad_rows:
                raise too_many_bad_rows(self.name, tally, self.max_bad_rows)
            quiet = 0.0 if tally.unsettled else quiet + tally.seconds
            spent += tally.seconds
            yield Report(_note(total, tally), done=tally.seen, total=tally.seen, figures=figures_of(total))
            if not tally.unsettled and quiet >= self.seconds:
                return
            if spent > max(LEAST_PATIENCE, PATIENCE * self.seconds):
                raise self._never_quiet(tally)
            pause = min(max(self.seconds - quiet, SHORTEST_PAUSE), LONGEST_PAUSE)
            yield Pause(pause)
            quiet, spent = quiet + pause, spent + pause

    def _never_quiet(self, tally: Tally) -> GateFailedError:
        return GateFailedError(
            f"applications still write documents of {self.name} in the old layout",
            why=f"The last pass found {tally.unsettled:,} of them; search answers, but such documents are missing from "
            "it until a pass has converted them.",
            next_step="deploy the writers with the new layout, then run apply again: it goes on from here.",
        )


def _note(total: Tally, tally: Tally) -> str:
    late = f"{total.written:,} late writes converted" if total.written else "no late writes"
    bad = f"; {tally.bad:,} documents left as they are" if tally.bad else ""
    return f"{late}{bad}{left_words(tally)}"
