"""Give up a change of documents that was begun and is no longer declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING, rewriting, tidying
from rvlstate.plan.effects import Flow, Sweep, Tidy
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.rewrite_documents import count_old_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpRewrite(Defaults):
    """Remove what `rewrite` kept beside the documents; the documents stay as they are.

    The planner does so only where no document was written yet, or where fields were added that no index reads.
    """

    operation: Literal["give_up_rewrite"] = "give_up_rewrite"
    name: str
    rewrite: Rewrite

    @property
    def summary(self) -> str:
        """What it does."""
        if self.rewrite.settled:
            return f"remove what the change of the documents of {self.name} kept beside them"
        if not self.rewrite.touches_documents:
            return f"give up the change of {self.name} that an earlier run began"
        return f"give up the change of the documents of {self.name} that an earlier run began"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo: declare that change again to have it done"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *(rewriting(self.rewrite) if self._has_moved_copies else tidying()))

    @property
    def _has_moved_copies(self) -> bool:
        """Whether copies are among documents of others, under a new prefix, rather than under one of their own."""
        return self.rewrite.promotion == "new_prefix" and not self.rewrite.settled

    def record(self, state: State) -> State:
        """It is not under way any more; one that was settled is complete, and late writes are known by it."""
        done = state.without_rewrite(self.name)
        if self.rewrite.settled:
            return done.laid_out(self.rewrite)
        serving = {record.physical for record in done.records}
        rewrite = self.rewrite
        made = [rewrite.target, rewrite.interim, rewrite.members] if rewrite.phased else []
        for physical in made:
            done = done if physical in serving else done.without_intent(physical)
        return done

    def flow(self) -> Flow:
        """Remove the copies that are still as they were made, and tidy up."""
        if self._has_moved_copies:
            yield Sweep(rewrite=self.rewrite, mode="unstage")
        if self.rewrite.settled:
            yield from count_old_failures(self.rewrite)
        yield Tidy(rewrite=self.rewrite)
