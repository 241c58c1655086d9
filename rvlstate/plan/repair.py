"""Repair: the plan that leads back to what was last applied, whatever the schema files say by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rvlstate.model.desired import Policy
from rvlstate.model.state import State
from rvlstate.plan.drift import Drift, IndexDrift, declared_from
from rvlstate.plan.operations import (
    AnyOperation,
    GiveUpRewrite,
    PromoteDocuments,
    RecordIndex,
    RehearseRewrite,
    RestoreDocuments,
    RewriteDocuments,
    SettleDocuments,
    StageDocuments,
)
from rvlstate.plan.plan import Plan, Step
from rvlstate.plan.steering import Errand

DOCUMENTS = (
    GiveUpRewrite,
    PromoteDocuments,
    RehearseRewrite,
    RestoreDocuments,
    RewriteDocuments,
    SettleDocuments,
    StageDocuments,
)
"""Operations on documents, which drift never touched: they are laid out as they were when it was applied."""


LEADS_BACK = "a repair: this plan leads back to what was last applied, whatever the schema files declare by now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The plan that undoes drift, None if no plan can undo any of it; `left` says what it leaves, and why."""

    plan: Plan | None
    left: tuple[str, ...] = ()


Planning = Callable[[tuple[str, ...]], Plan]
"""Makes the plan for some names."""


def repairing(project: str, state: State, policy: Policy) -> Errand:
    """What was last applied is to be so again, at once: nothing is held in front of a cutover or kept behind it."""
    plain = replace(policy, retain_old=0.0)
    return Errand(desired=declared_from(project, state, plain), basis="recorded")


def make_repair(drift: Drift, state: State, plan_for: Planning) -> Repair:
    """The repair of what a look at drift found; `plan_for` is the errand's."""
    left = [reason for index in drift.indexes for reason in _beyond_plans(index, state)]
    names = [index.name for index in drift.indexes if index.by_hand and state.rewrite(index.name) is None]
    plan, refused = _planned(names, plan_for)
    noted = [_noted(index, state) for index in drift.indexes if index.failing_since is not None]
    steps = [step for step in noted if step is not None and not (plan and _changes(plan, step.index))]
    if steps:
        plan = plan or plan_for(tuple(step.index for step in steps))
        plan = replace(plan, steps=(*plan.steps, *steps))
    left += refused
    if drift.counts_unmanaged:
        left += [f"{name}: nobody declared it: rvlstate import {name} takes it over" for name in drift.unmanaged]
    if plan is None or not plan.steps:
        return Repair(plan=None, left=tuple(left))
    return Repair(plan=replace(plan, warnings=(LEADS_BACK, *plan.warnings)), left=tuple(left))


def _planned(names: list[str], plan_for: Planning) -> tuple[Plan | None, list[str]]:
    """The plan for as many of the names as can be repaired, and why the others cannot."""
    reasons: list[str] = []
    while names:
        plan = plan_for(tuple(names))
        unfit = {index.name: index.refused[0] for index in plan.indexes if index.refused}
        for step in plan.steps:
            if isinstance(step.operation, DOCUMENTS):
                reason = (
                    f"{step.index}: what was changed reads documents in another layout than they have; drop the "
                    f"physical index (FT.DROPINDEX, its documents stay), and the repair of that builds it again"
                )
                unfit.setdefault(step.index, reason)
        if not unfit:
            return plan, [*reasons, *(_not_worth_a_build(name) for name in names if not _changes(plan, name))]
        reasons += [reason for _, reason in sorted(unfit.items())]
        kept = [name for name in names if name not in unfit]
        # What depends on one that cannot be repaired brings it into each of its plans: then nothing is left to try.
        names = kept if len(kept) < len(names) else []
    return None, reasons


def _beyond_plans(index: IndexDrift, state: State) -> list[str]:
    """What no plan undoes about an index, with what does."""
    told = []
    if index.by_hand and state.rewrite(index.name) is not None:
        ways = " or ".join(command.text for command in index.commands)
        told.append(f"{index.name}: a change of it is under way, which has ways of its own: {ways}")
    if "incomplete" in index.kinds:
        told.append(f"{index.name}: the server builds it, no plan does: rvlstate drift says what to do if it gave up")
    if "late" in index.kinds:
        told.append(f"{index.name}: documents in the old layout: rvlstate watch {index.name} converts them")
    return told


def _noted(index: IndexDrift, state: State) -> Step | None:
    """Take note of the failures that an index has counted by now."""
    record, change = state.record(index.name), index.failing_since
    if record is None or change is None or not isinstance(change.after, int):
        return None
    operation: AnyOperation = RecordIndex(serves=replace(record, counted=change.after))
    return Step(id=f"{index.name}/failures", index=index.name, operation=operation)


def _changes(plan: Plan, name: str) -> bool:
    """Whether the plan does anything about an index: what is built anew counts its failures anew."""
    return any(step.index == name for step in plan.steps)


def _not_worth_a_build(name: str) -> str:
    return f"{name}: what was changed matters to queries alone; it is put right when the index is next built"
