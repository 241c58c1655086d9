"""A task: one declared index with everything that was found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rvlstate.diff.facts import Fact
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.impact import Costs
from rvlstate.plan.remedies import Classification
from rvlstate.plan.situation import Situation, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One declared index with what was found out about it; `facts` are those that need something done.

    `declared` maps every declared name and further alias to the index that declares it; `plain_names` is the policy
    for new ones. `rewrite` is the change of its documents, `begun` by an earlier run or not, `given_up` one that an
    earlier run began and that is no longer wanted; `settle` is the policy for how long writers must have been quiet,
    and `keeps_for` tells how many seconds the old index is kept.
    """

    situation: Situation
    facts: tuple[Fact, ...]
    classification: Classification | None
    world: World
    costs: Costs
    declared: Mapping[str, str]
    plain_names: bool = False
    rewrite: Rewrite | None = None
    begun: bool = False
    given_up: Rewrite | None = None
    settle: float = 5.0
    keeps_for: float = 0.0

    @property
    def name(self) -> str:
        """The declared name."""
        return self.situation.wanted.name

    def is_reserved(self, name: str) -> bool:
        """Whether another declared index has that name or alias."""
        return self.declared.get(name, self.name) != self.name

    @property
    def atomic(self) -> bool:
        """Whether FT.* may run in one script."""
        return self.world.server.can("atomic_takeover")

    @property
    def new_physical(self) -> str:
        """What the new index is called; the plain name only for one that is built anew and that nothing would hide."""
        situation = self.situation
        anew = situation.serving is None and situation.alias_target is None and situation.ready is None
        return self.name if self.plain_names and anew else situation.next_physical
