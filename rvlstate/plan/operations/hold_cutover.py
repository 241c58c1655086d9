"""Hold: the new index is built and verified, and its cutover waits for somebody to ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.effects import Flow, Report
from rvlstate.plan.operations.base import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCutover(Defaults):
    """Write down that `rewrite` is ready for its cutover, and stop there."""

    operation: Literal["hold_cutover"] = "hold_cutover"
    name: str
    rewrite: Rewrite

    @property
    def summary(self) -> str:
        """What it does."""
        return f"hold before the cutover of {self.name} (rvlstate cutover {self.name} makes it)"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return f"nothing to undo by itself: rvlstate rollback {self.name} takes the whole change back"

    @property
    def permissions(self) -> tuple[str, ...]:
        """No command on indexes."""
        return ()

    def record(self, state: State) -> State:
        """Ready."""
        begun = state.rewrite(self.name)
        return state.with_rewrite(replace(begun or self.rewrite, phase="ready"))

    def flow(self) -> Flow:
        """Nothing is asked of the server."""
        after = "; what is written until then is caught up with first" if self.rewrite.touches_documents else ""
        yield Report(f"{self.rewrite.serves_first} is ready: rvlstate cutover {self.name}{after}")
