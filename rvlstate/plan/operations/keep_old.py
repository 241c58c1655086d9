"""Keep the old index for a while after the cutover, with both indexes up to date: the way back is an alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Pause, Report, Sweep, Tally
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.rewrite_documents import (
    added,
    ensure_members,
    figures_of,
    with_members,
    with_members_intent,
)

LONGEST_PAUSE = 1.0
"""Seconds between two passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOld(Defaults):
    """Go on staging what is written in the old layout for `seconds`, while the old index could still serve again."""

    operation: Literal["keep_old"] = "keep_old"
    name: str
    rewrite: Rewrite
    seconds: float
    pace: Pace = FULL_SPEED
    backup: str = ""
    members: str = ""

    @property
    def summary(self) -> str:
        """What it does."""
        return f"keep {self.rewrite.physical} for {self.seconds:,.0f} s, and go on staging what is written"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return f"nothing to undo by itself: rvlstate rollback {self.name} leads back to {self.rewrite.physical}"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *rewriting(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """An index that knows the filter is there, until the documents are settled."""
        return with_members(catalog, self.rewrite, self.members)

    def intend(self, state: State) -> State:
        """An index that knows the filter is ours, should it be left behind."""
        return with_members_intent(state, self.rewrite, self.members)

    def flow(self) -> Flow:
        """Pass, wait, pass, until the time is over."""
        yield from ensure_members(self.rewrite, self.members)
        spent, total = 0.0, Tally()
        while spent < self.seconds:
            tally: Tally = yield Sweep(
                rewrite=self.rewrite,
                mode="stage",
                pace=self.pace,
                members=self.members,
                backup=self.backup,
                hinted=spent > 0,
                aside=True,
            )
            total = added(total, tally)
            pause = min(max(self.seconds - spent - tally.seconds, 0.0), LONGEST_PAUSE)
            yield Report(
                f"{total.written:,} late writes staged; rvlstate abort, then rollback {self.name}, still leads back",
                done=min(round(spent), round(self.seconds)),
                total=round(self.seconds),
                figures=figures_of(total),
                left=max(self.seconds - spent - tally.seconds, 0.0),
            )
            yield Pause(pause)
            spent += tally.seconds + pause
