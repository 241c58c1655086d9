"""Recipe for an index that is replaced in phases, its documents staged or left alone: what is still to be done.

| phase     | still to be done                                                                          |
|-----------|-------------------------------------------------------------------------------------------|
| staging   | copies, the new index, catching up, the gate; then the cutover, or a hold in front of it  |
| ready     | nothing while it is held, else catching up, the gate, the cutover                         |
| serving   | keeping the old index until its time is over, then all that follows                       |
| promoting | copies to documents (and a second index where they are written back), settling, tidying up |

What an interrupted run has done is found done: each step looks first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.address import hash_tag
from rvlstate.model.canonical import canonicalise
from rvlstate.plan.document_steps import hook, rehearse, settle
from rvlstate.plan.names import drop_aliases, move_aliases
from rvlstate.plan.operations import (
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropAlias,
    DropIndex,
    HoldCutover,
    KeepOld,
    PointAlias,
    RecordIndex,
    TakeName,
    VerifyIndex,
)
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.replacing_parts import Parts
from rvlstate.plan.situation import taken_up


@dataclass(frozen=True, kw_only=True)
class Replacing(Parts):
    """One index on its way from `rewrite.physical` to `rewrite.target`."""

    def steps(self) -> list[AnyOperation]:
        """All that is still to be done, up to where it has to wait."""
        if is_cut_over(self.rewrite):
            return [*self._finish_cutover(), *self._behind()]
        if self.rewrite.phase == "ready" and self.holds:
            return []
        before = self._catch_up() if self.rewrite.phase == "ready" else self._prepare()
        if self.holds:
            return [*before, *self._pointed(self.next, self.first), HoldCutover(name=self.name, rewrite=self.rewrite)]
        return [*before, *self._cut_over(), *self._behind()]

    @property
    def holds(self) -> bool:
        """Whether the cutover waits for somebody."""
        return self.task.situation.wanted.cutover == "manual"

    @property
    def waits(self) -> bool:
        """Whether the old index is kept now, and nothing is to be done meanwhile: both follow the writers."""
        return not self.staged and self.task.keeps_for > 0

    def _prepare(self) -> list[AnyOperation]:
        made: list[AnyOperation] = []
        if self.staged:
            made = [self.stage(again=False)]
        elif self.rewrite.touches_documents:
            made = [*([] if self.task.begun else [rehearse(self.task, self.rewrite)]), self.write_in_place()]
        return [
            *made,
            CreateIndex(
                name=self.name,
                physical=self.first,
                definition=self.first_definition,
                synonyms=self.rewrite.synonyms,
                begins=None if self.rewrite.touches_documents else self.rewrite,
            ),
            AwaitBuild(
                name=self.name,
                physical=self.first,
                max_memory_ratio=self.task.costs.max_memory_ratio,
                disposable=True,
                staged=self.staged,
            ),
            *self._catch_up(),
        ]

    def _catch_up(self) -> list[AnyOperation]:
        """What was written since, then the gate."""
        late: list[AnyOperation] = []
        if self.staged:
            late = [self.stage(again=True)]
        elif self.rewrite.touches_documents:
            late = [self.write_in_place()]
        return [*late, self.verify(self.first, self.rewrite.physical if self._old_is_there else None)]

    @property
    def _old_is_there(self) -> bool:
        return self.task.world.catalog.index(self.rewrite.physical) is not None

    def _cut_over(self) -> list[AnyOperation]:
        """Hooks, the name, further aliases, and the checks behind them."""
        before, after = self.rewrite.physical, self.first
        return [
            *hook(self.task, "before_cutover", before, after),
            *self._named(self.first),
            *self._unpointed(self.next, self.first),
            *hook(self.task, "after_cutover", before, after),
            *([self.verify(self.first, self.old, behind=True)] if self.task.situation.wanted.checks else []),
        ]

    def _finish_cutover(self) -> list[AnyOperation]:
        """What a run that was killed right behind the cutover may have left undone."""
        if self.rewrite.phase == "promoting":
            # Aliases that were declared meanwhile; a second index gets all of them at its own cutover.
            leads = self.task.world.catalog.targets.get(self.name) == self.first
            return self._named(self.first) if leads and not self.rewrite.interim else []
        return [*self._named(self.first), *self._unpointed(self.next, self.first)]

    def _named(self, physical: str) -> list[AnyOperation]:
        task, serves, further = self.task, self.outcome(physical), self._further(physical)
        aliases = task.world.catalog.targets
        if task.world.catalog.index(self.name) is not None:
            return [*further, TakeName(name=self.name, physical=physical, serves=serves, atomic=task.atomic)]
        before, record = aliases.get(self.name), task.world.state.record(self.name)
        if before == physical:
            known = record is not None and record.learned_by(serves) == record
            return [*([] if known else [RecordIndex(serves=serves)]), *further]
        return [PointAlias(name=self.name, physical=physical, before=before, serves=serves), *further]

    def _further(self, physical: str) -> list[PointAlias]:
        return [step for step in move_aliases(self.task, physical) if isinstance(step, PointAlias)]

    def _behind(self) -> list[AnyOperation]:
        """What follows the cutover: keep the old index for a while, or bring the change to its end."""
        task = self.task
        if self.old is not None and task.keeps_for > 0:
            kept: list[AnyOperation] = [*self._pointed(self.previous, self.old)]
            if not self.staged:
                return kept
            kept.append(
                KeepOld(
                    name=self.name,
                    rewrite=self.rewrite,
                    seconds=task.keeps_for,
                    pace=self.pace,
                    backup=task.situation.wanted.backup,
                    members=self.members,
                )
            )
            return [*kept, *self._complete()]
        return self._complete()

    def _complete(self) -> list[AnyOperation]:
        steps: list[AnyOperation] = [*drop_aliases(self.task)]
        if self.old is not None:
            # Documents that change under a live graph would be taken out of it one by one.
            steps.append(DropIndex(physical=self.old, because="replaced", atomic=self.task.atomic))
        if self.staged:
            steps.append(self.promote())
        if self.rewrite.interim:
            steps += self._second()
        return [*steps, settle(self.task, self.rewrite, self.members)]

    def _second(self) -> list[AnyOperation]:
        """The index over the documents themselves, in the place of that over their copies."""
        interim, target = self.rewrite.interim, self.rewrite.target
        gone = self.rewrite.phase == "promoting" and self.task.world.catalog.index(interim) is None
        return [
            CreateIndex(name=self.name, physical=target, definition=self.definition, synonyms=self.rewrite.synonyms),
            AwaitBuild(name=self.name, physical=target, max_memory_ratio=self.task.costs.max_memory_ratio),
            self.promote(again=True),
            VerifyIndex(
                name=self.name,
                physical=target,
                definition=canonicalise(self.definition),
                against=None if gone else interim,
                staged=self.rewrite,
                catches_up="promote",
                pace=self.pace,
                members=self.members,
            ),
            PointAlias(name=self.name, physical=target, before=interim, serves=self.outcome(target)),
            *(replace(step, before=interim) for step in self._further(target)),
            DropIndex(physical=interim, because="replaced", atomic=self.task.atomic),
        ]

    def _pointed(self, alias: str, physical: str) -> list[AnyOperation]:
        """An alias of our own beside the name, where nobody else has it and the server lets it lead there."""
        catalog = self.task.world.catalog
        ours = {self.rewrite.physical, self.rewrite.target, self.rewrite.interim}
        gone = {*taken_up(self.task.given_up)} - ours
        taken = self.task.is_reserved(alias) or catalog.resolve(alias) not in {None, *ours, *gone}
        if taken or catalog.targets.get(alias) == physical or not self._may_lead(alias, physical):
            return []
        own = tuple(sorted(ours - {""}))
        before = catalog.targets.get(alias)
        return [PointAlias(name=alias, physical=physical, before=None if before in gone else before, beside=own)]

    def _may_lead(self, alias: str, physical: str) -> bool:
        """Whether the server lets an alias lead to an index, which may have to be in the same slot."""
        return self.task.world.server.can("cross_slot_aliases") or hash_tag(alias) == hash_tag(physical)

    def _unpointed(self, alias: str, physical: str) -> list[AnyOperation]:
        there = self.task.world.catalog.targets.get(alias) == physical
        return [DropAlias(name=alias, physical=physical, gone="cut_over")] if there else []
