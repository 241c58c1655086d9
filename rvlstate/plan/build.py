"""Build the plan of a whole declared set against a whole server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rvlstate.errors import UsageError
from rvlstate.model.canonical import canonicalise
from rvlstate.model.codec import dump_value
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.fingerprint import fingerprint
from rvlstate.model.state import Record, State
from rvlstate.plan.losses import unseen_aliases, with_lost_names
from rvlstate.plan.order import refuse_cycles
from rvlstate.plan.phases import companions
from rvlstate.plan.plan import Plan, Server, Step
from rvlstate.plan.predict import check, predict
from rvlstate.plan.recovery import forgotten, forgotten_words
from rvlstate.plan.removal import abandoned
from rvlstate.plan.situation import Situation, World, situate_all
from rvlstate.plan.stale import snapshot
from rvlstate.plan.steps import ordered_steps
from rvlstate.plan.work import Work, abandoned_work, declared_work, removed_work, with_possible_renames

FREE: Any = {"batch_size": 1, "max_docs_per_second": 0, "cutover": "auto"}
"""What may change between a plan and its apply: how fast documents are gone through, and when the name moves."""


HIDDEN_SHOWN = 5


def build_plan(
    desired: Desired,
    world: World,
    *,
    targets: tuple[str, ...] = (),
    begun: bool = False,
    created_at: str = "",
    version: str = "",
) -> Plan:
    """The plan that leads from the live server to the declared set, `targets` (and what they depend on) or all of it.

    `begun`: the targets are those of an earlier plan, which may have deleted one of them.
    Raises DependencyCycleError, UsageError for an unknown target, PlannerBugError.
    """
    refuse_cycles({wanted.name: wanted.depends_on for wanted in desired.indexes})
    chosen = _chosen(desired, world, targets, begun=begun)
    situations = situate_all(desired, world)
    works = [
        declared_work(situations[wanted.name], desired, world) for wanted in desired.indexes if wanted.name in chosen
    ]
    works += [
        removed_work(record, desired, world, situations)
        for record in world.state.records
        if record.name in chosen and _is_removed(record, desired, situations)
    ]
    works += [abandoned_work(name, desired, world) for name in _abandoned(desired, world) if not targets]
    works = with_possible_renames(works, desired, world)
    steps = ordered_steps(works)
    works = with_lost_names(works, steps, world.catalog)
    _self_check(works, steps, desired, world, chosen)
    live = snapshot(world.catalog, _names(desired, world), _prefixes(desired))
    return Plan(
        project=desired.project,
        lineage=world.state.lineage,
        serial=world.state.serial,
        server=Server(
            redis=world.server.redis,
            search=world.server.search,
            cluster=world.server.cluster,
            capabilities=tuple(sorted(world.server.capabilities)),
        ),
        live_fingerprint=fingerprint(live),
        desired_fingerprint=fingerprint(
            [_declaration(wanted) for wanted in sorted(desired.indexes, key=lambda item: item.name)]
        ),
        live=live,
        indexes=tuple(work.plan for work in sorted(works, key=lambda work: work.plan.name)),
        steps=steps,
        unmanaged=_unmanaged(situations, world),
        warnings=(*_warnings(world), *unseen_aliases(steps, world)),
        targets=tuple(sorted(targets)),
        address=world.address,
        created_at=created_at,
        rvlstate_version=version,
        policy=replace(desired.policy, allow=()),
    )


def _chosen(desired: Desired, world: World, targets: tuple[str, ...], *, begun: bool) -> frozenset[str]:
    known = {wanted.name for wanted in desired.indexes} | {record.name for record in world.state.records}
    unknown = sorted(set(targets) - known)
    if unknown and not begun:
        raise UsageError(
            f"there is no index {unknown[0]} in the project or its state",
            next_step=f"choose from: {', '.join(sorted(known)) or 'nothing is declared'}",
        )
    if not targets:
        return frozenset(known)
    chosen, todo = set[str](), list(targets)
    while todo:
        name = todo.pop()
        if name not in chosen:
            chosen.add(name)
            wanted = desired.index(name)
            todo += [*wanted.depends_on, *([wanted.renamed_from] if wanted.renamed_from else [])] if wanted else []
    return frozenset(chosen & known)


def _is_removed(record: Record, desired: Desired, situations: dict[str, Situation]) -> bool:
    """Whether a record has no declaration; one that is being renamed belongs to its new name."""
    if desired.index(record.name) is not None:
        return False
    return all(situation.was_named != record.name for situation in situations.values())


def _abandoned(desired: Desired, world: World) -> list[str]:
    """Names that are neither declared nor recorded, with an index, or a change of documents, that a run left."""
    state = world.state
    left = {intent.name for intent in state.intents if abandoned(intent.name, world)}
    left |= {rewrite.name for rewrite in state.rewrites}
    return sorted(name for name in left if desired.index(name) is None and state.record(name) is None)


def _self_check(
    works: list[Work], steps: tuple[Step, ...], desired: Desired, world: World, chosen: frozenset[str]
) -> None:
    """Architecture rule 7: the predicted effect of the plan is the declared set."""
    held_back = {work.plan.name for work in works if work.plan.refused or work.plan.held}
    outside = {wanted.name for wanted in desired.indexes} - chosen
    catalog, state = predict((step.operation for step in steps), world.catalog, world.state)
    check(desired, catalog, state, skip=frozenset(held_back | outside))


def _names(desired: Desired, world: World) -> set[str]:
    ours = {record.physical for record in world.state.records} | {intent.physical for intent in world.state.intents}
    return candidate_names(desired, world.state) | ours


def candidate_names(desired: Desired, state: State) -> set[str]:
    """Every name that may be an alias of ours: to be asked, since servers before 8.10 cannot list aliases."""
    names = {name for wanted in desired.indexes for name in (wanted.name, *wanted.aliases)}
    names |= {wanted.renamed_from for wanted in desired.indexes if wanted.renamed_from}
    names |= {intent.name for intent in state.intents}
    names |= {alias for begun in state.rewrites if begun.phased for alias in companions(begun.name)}
    return names | {name for record in state.records for name in (record.name, *record.aliases)}


def _prefixes(desired: Desired) -> tuple[str, ...]:
    return tuple(sorted({prefix for wanted in desired.indexes for prefix in wanted.definition.prefixes}))


def _declaration(wanted: DesiredIndex) -> object:
    """What a plan depends on of a declaration."""
    told = replace(wanted, definition=canonicalise(wanted.definition), source="", **FREE)
    return dump_value(told)


def _unmanaged(situations: dict[str, Situation], world: World) -> tuple[str, ...]:
    known = {*world.owners, *world.foreign}
    for situation in situations.values():
        known |= {index.name for index in (situation.serving, situation.hijacker, situation.ready) if index}
    return tuple(sorted({index.name for index in world.catalog.indexes} - known - {*forgotten(world)}))


def _warnings(world: World) -> tuple[str, ...]:
    lost = forgotten(world)
    return (*([forgotten_words(lost)] if lost else []), *_memory_warnings(world), *_hidden(world))


def _hidden(world: World) -> tuple[str, ...]:
    """A user of few rights does not see every index: a hazard that follows from one of those is not told."""
    names = world.catalog.unreadable
    if not names:
        return ()
    shown = ", ".join(names[:HIDDEN_SHOWN]) + (f" and {len(names) - HIDDEN_SHOWN} more" * (len(names) > HIDDEN_SHOWN))
    return (
        (
            f"this user may not read {shown}: whether other indexes hold the documents of this plan is not known; "
            "give the user their names as keys to have that looked at."
        ),
    )


def _memory_warnings(world: World) -> tuple[str, ...]:
    if world.server.maxmemory and world.server.maxmemory_policy.startswith("allkeys"):
        return (
            (
                f"maxmemory-policy is {world.server.maxmemory_policy}: the server may evict the state and the lock of "
                "rvlstate, and documents: prefer noeviction or a volatile- policy."
            ),
        )
    return ()
