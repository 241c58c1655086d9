"""Planned again: whether a plan is the one that its inputs lead to, with what was measured when it was made.

A plan that was given holds steps, and so does one made now from the same schema files, state and server. Both must be
the same, or the one that was given is no plan of ours. What may differ, since nobody changed anything for it:

| what                                                        | how it is looked at                               |
|-------------------------------------------------------------|---------------------------------------------------|
| estimates, notes, warnings, texts                           | not at all                                        |
| counts of documents and failures; batch size and rate       | not at all                                        |
| hazards that follow from figures: MEMORY_PEAK, SLOW_BUILD   | not at all                                        |
| for how long an old index is kept on                        | as it was when the plan was made, within minutes  |
| scales of integers that a sample suggested                  | as in the plan                                    |
| whether the name moves at once or on request                | as in the plan                                    |
| FT.ALTER or a new index, by how many documents there were   | as in the plan                                    |
| a scan that an interrupted run had left                     | as in the plan                                    |
| the policy of the project file                              | as in the plan                                    |
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from rvlstate.errors import PlanDiffersError
from rvlstate.model.catalog import Catalog, LiveIndex
from rvlstate.model.codec import dump_value
from rvlstate.model.desired import Desired
from rvlstate.model.state import State
from rvlstate.plan.operations import AnyOperation, AwaitBuild, HoldCutover, KeepOld, RecordIndex
from rvlstate.plan.plan import IndexPlan, Plan, Step
from rvlstate.plan.rewriting import scales_of
from rvlstate.plan.sample import Sample
from rvlstate.plan.situation import World
from rvlstate.plan.steering import Errand

FIGURES = frozenset({"documents", "counted", "pace"})
"""Arguments of operations that are figures of their time, or may change between a plan and its apply."""

BY_FIGURES = frozenset({"MEMORY_PEAK", "SLOW_BUILD"})
CLOCKS_APART = 300.0
"""Seconds by which the clocks of two machines may differ, and that a look at a large server may take."""

BY_COST = frozenset({"backfill", "shadow"})
MANY = 10**9
SHOWN = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a plan is made of again; `made_at` is when the given one says that it was made (ms since 1970, 0: never)."""

    errand: Errand
    world: World
    made_at: int = 0


def refuse_other_plan(plan: Plan, fresh: Plan, inputs: Inputs) -> None:
    """Raise PlanDiffersError unless `plan` is what its inputs lead to; `fresh` is the plan of this moment."""
    state = inputs.world.state
    if not _difference(plan, fresh, state):
        return
    again = [_again(plan, fresh, inputs, moment) for moment in _moments(inputs)]
    if all(_difference(plan, one, state) for one in again):
        raise PlanDiffersError(
            _difference(plan, again[0], state), made_by=plan.rvlstate_version, version=fresh.rvlstate_version
        )


def _moments(inputs: Inputs) -> list[int]:
    """The instants that the given plan may have been made at: it tells whole seconds, and when it was complete."""
    now, apart = inputs.world.now, round(CLOCKS_APART * 1000)
    made = min(inputs.made_at, now + apart)
    return [made, made + 999, made - apart, now] if inputs.made_at else [now]


def _again(plan: Plan, fresh: Plan, inputs: Inputs, moment: int) -> Plan:
    """The plan made again, with what the given one tells of the figures that it was made from."""
    world = inputs.world
    pinned = replace(
        world,
        now=moment,
        server=replace(world.server, maxmemory=0),
        samples={name: _pinned_sample(name, sample, plan) for name, sample in world.samples.items()},
        catalog=_pinned_catalog(world.catalog, plan, fresh),
    )
    errand = replace(inputs.errand, desired=_pinned_desired(inputs.errand.desired, plan))
    return errand.plan(pinned, plan.targets, begun=True)


def _pinned_desired(desired: Desired, plan: Plan) -> Desired:
    waiting = {step.index for step in plan.steps if isinstance(step.operation, HoldCutover)}
    waiting |= {index.name for index in plan.indexes if index.held}
    indexes = tuple(
        replace(wanted, cutover="manual" if wanted.name in waiting else "auto") for wanted in desired.indexes
    )
    return replace(desired, indexes=indexes, policy=plan.policy or desired.policy)


def _pinned_sample(name: str, sample: Sample, plan: Plan) -> Sample:
    scales = dict(sample.scales)
    for step in plan.steps:
        rewrite = getattr(step.operation, "rewrite", None)
        if step.index == name and rewrite is not None:
            scales |= scales_of(rewrite)
    return replace(sample, scales=tuple(sorted(scales.items())))


def _pinned_catalog(catalog: Catalog, plan: Plan, fresh: Plan) -> Catalog:
    awaited = {step.operation.physical for step in plan.steps if isinstance(step.operation, AwaitBuild)}
    now = {index.name: index for index in fresh.indexes}
    few, many = set[str | None](), set[str | None]()
    for index in plan.indexes:
        other = now.get(index.name)
        if other is not None and {index.classification, other.classification} == BY_COST:
            (few if index.classification == "backfill" else many).add(other.physical_before)

    def pinned(index: LiveIndex) -> LiveIndex:
        documents = 0 if index.name in few else MANY if index.name in many else index.statistics.documents
        figures = replace(index.statistics, indexing=int(index.name in awaited), documents=documents)
        return replace(index, statistics=figures)

    return replace(catalog, indexes=tuple(map(pinned, catalog.indexes)))


def _difference(plan: Plan, fresh: Plan, state: State) -> str:
    """The first thing in which a plan differs from the one made again, as a sentence; "" if nothing does."""
    mine = _own_steps(plan, fresh, state)
    pairs = enumerate(zip_longest(mine, fresh.steps), start=1)
    steps = (_step_difference(number, ours, theirs) for number, (ours, theirs) in pairs)
    found = next((told for told in steps if told), "")
    return found or _index_differences({index.name: index for index in plan.indexes}, fresh)


def _own_steps(plan: Plan, fresh: Plan, state: State) -> list[Step]:
    """The steps without those by which a repair takes note of failures, which no planning makes."""
    if plan.basis != "recorded":
        return list(plan.steps)
    busy = {step.index for step in fresh.steps}
    return [step for step in plan.steps if step.index in busy or not _takes_note(step, state)]


def _takes_note(step: Step, state: State) -> bool:
    operation, record = step.operation, state.record(step.index)
    if not isinstance(operation, RecordIndex) or record is None:
        return False
    return operation.serves == replace(record, counted=operation.serves.counted)


def _step_difference(number: int, mine: Step | None, theirs: Step | None) -> str:
    if mine is None or theirs is None:
        shown = mine or theirs
        summary = shown.operation.summary if shown else ""
        return f"step {number} is {'not there' if mine is None else 'not planned'}: {summary}"
    if (mine.index, mine.operation.summary) != (theirs.index, theirs.operation.summary):
        return f"step {number} is: {mine.operation.summary}; planned again it is: {theirs.operation.summary}"
    at = f"step {number} ({mine.operation.summary})"
    return _argument_difference(at, _arguments(mine), _arguments(theirs)) or _seconds_difference(at, mine, theirs)


def _arguments(step: Step) -> dict[str, Any]:
    return {**_without_figures(step.operation), "id": step.id, "needs": list(step.needs)}


def _without_figures(operation: AnyOperation) -> dict[str, Any]:
    data: dict[str, Any] = _pruned(dump_value(operation))
    if isinstance(operation, KeepOld):
        del data["seconds"]
    return data


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(part) for key, part in value.items() if key not in FIGURES}
    return [_pruned(part) for part in value] if isinstance(value, list) else value


def _argument_difference(at: str, mine: Any, theirs: Any, place: str = "") -> str:
    """Where two arguments differ first, as deep as that is; "" if they do not."""
    if mine == theirs:
        return ""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        key = next(key for key in sorted(mine) if mine[key] != theirs[key])
        return _argument_difference(at, mine[key], theirs[key], f"{place}.{key}" if place else key)
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        number = next(number for number, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
        return _argument_difference(at, mine[number], theirs[number], f"{place}[{number}]")
    return f"{at}: {place} is {_shown(mine)}; planned again it is {_shown(theirs)}"


def _seconds_difference(at: str, mine: Step, theirs: Step) -> str:
    ours, again = mine.operation, theirs.operation
    if not isinstance(ours, KeepOld) or not isinstance(again, KeepOld):
        return ""
    if abs(ours.seconds - again.seconds) <= CLOCKS_APART:
        return ""
    return f"{at}: seconds is {ours.seconds:,.0f}; planned again it is {again.seconds:,.0f}"


def _index_differences(mine: dict[str, IndexPlan], fresh: Plan) -> str:
    theirs = {index.name: index for index in fresh.indexes}
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            return f"the index {name} is {'not there' if name not in mine else 'not planned'}"
        told = _argument_difference(name, _told(mine[name]), _told(theirs[name]))
        if told:
            return told
    return ""


def _told(index: IndexPlan) -> dict[str, Any]:
    """What somebody who reads the plan agrees to about an index."""
    return {
        "action": index.action,
        "classification": index.classification,
        "physical": [index.physical_before, index.physical_after],
        "renamed_from": index.renamed_from,
        "hazards": sorted(_codes(hazard.code for hazard in index.hazards)),
        "changes": [
            dump_value(replace(change, reason="")) for change in sorted(index.changes, key=lambda item: item.address)
        ],
    }


def _codes(codes: Iterable[str]) -> list[str]:
    return [code for code in codes if code not in BY_FIGURES]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
