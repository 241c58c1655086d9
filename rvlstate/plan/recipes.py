"""Recipes: which operations, in which order, bring one index from where it stands to where it is declared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from rvlstate.diff.facts import Fact, FieldAdded
from rvlstate.errors import PlannerBugError
from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.state import Record
from rvlstate.plan.impact import Costs
from rvlstate.plan.operations import (
    AddFields,
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropAlias,
    DropIndex,
    ForgetIndex,
    PointAlias,
    RecordIndex,
    TakeName,
    VerifyIndex,
)
from rvlstate.plan.remedies import Classification, covers
from rvlstate.plan.situation import Situation, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One declared index with what was found out about it; `facts` are those that need something done."""

    situation: Situation
    facts: tuple[Fact, ...]
    classification: Classification | None
    world: World
    costs: Costs
    declared: frozenset[str] = frozenset()
    plain_names: bool = False

    @property
    def name(self) -> str:
        """The declared name."""
        return self.situation.wanted.name

    @property
    def atomic(self) -> bool:
        """Whether FT.* may run in one script."""
        return self.world.server.can("atomic_takeover")


def carry_out(task: Task) -> tuple[AnyOperation, ...]:
    """The operations for a declared index, in order; () if nothing is to be done."""
    if task.situation.serving is None:
        steps = _create(task)
    elif task.classification == "in_place":
        steps = [*_attach(task), _alter(task)]
    elif task.classification == "shadow":
        steps = _shadow(task)
    else:
        steps = _attach(task)
    return (*_clear_the_way(task), *_settled(task, steps))


def _clear_the_way(task: Task) -> list[AnyOperation]:
    """Drop what hides the name, and what interrupted runs left behind."""
    situation = task.situation
    drops: list[AnyOperation] = []
    if situation.hijacker is not None:
        drops.append(DropIndex(physical=situation.hijacker.name, because="in_the_way", atomic=task.atomic))
    left = [DropIndex(physical=name, because="left_behind", atomic=task.atomic) for name in situation.leftovers]
    return [*drops, *left]


def _create(task: Task) -> list[AnyOperation]:
    situation, wanted = task.situation, task.situation.wanted
    if task.plain_names:
        physical = wanted.name
        return [*_build(task, physical, None), RecordIndex(serves=_outcome(task, physical))]
    physical = situation.next_physical
    return [
        *_build(task, physical, None),
        PointAlias(name=wanted.name, physical=physical, before=situation.alias_target, serves=_outcome(task, physical)),
        *_further_aliases(task, physical),
    ]


def _shadow(task: Task) -> list[AnyOperation]:
    situation = task.situation
    serving = _present(situation.serving)
    physical = situation.next_physical
    outcome = _outcome(task, physical)
    unreachable = not situation.attached and situation.was_named is None
    steps = [*(_attach(task) if unreachable else []), *_build(task, physical, serving)]
    if situation.name_is_physical:
        steps.append(TakeName(name=task.name, physical=physical, serves=outcome, atomic=task.atomic))
    else:
        before = serving.name if unreachable else situation.alias_target
        steps.append(PointAlias(name=task.name, physical=physical, before=before, serves=outcome))
    steps += _further_aliases(task, physical)
    steps += _release_old_name(task)
    if not situation.name_is_physical:
        steps.append(DropIndex(physical=serving.name, because="replaced", atomic=task.atomic))
    return steps


def _build(task: Task, physical: str, serving: LiveIndex | None) -> list[AnyOperation]:
    """Create, wait, verify; an index that an interrupted run left ready is only waited for and verified."""
    situation, definition = task.situation, task.situation.wanted.definition
    synonyms = serving.synonyms if serving else ()
    found = situation.ready
    ready = found is not None and found.name == physical and found.synonyms == synonyms
    create = CreateIndex(name=task.name, physical=physical, definition=definition, synonyms=synonyms)
    return [
        *([] if ready else [create]),
        AwaitBuild(name=task.name, physical=physical, max_memory_ratio=task.costs.max_memory_ratio, disposable=True),
        VerifyIndex(
            name=task.name,
            physical=physical,
            definition=canonicalise(definition),
            against=serving.name if serving else None,
            same_documents=serving is not None and _keeps_documents(serving.definition, definition),
        ),
    ]


def _keeps_documents(before: IndexDefinition, after: IndexDefinition) -> bool:
    """Whether every document of the old index belongs into the new one."""
    unfiltered = after.filter is None or after.filter == before.filter
    return before.storage == after.storage and covers(after.prefixes, before.prefixes) and unfiltered


def _alter(task: Task) -> AnyOperation:
    added = tuple(fact.field for fact in task.facts if isinstance(fact, FieldAdded))
    return AddFields(fields=added, serves=_outcome(task, _present(task.situation.serving).name))


def _attach(task: Task) -> list[AnyOperation]:
    """Make the name answer from the index that is ours, and wait for a scan that an interrupted run started."""
    situation = task.situation
    serving = _present(situation.serving)
    steps: list[AnyOperation] = []
    if not situation.attached and serving.name != task.name:
        kept = replace(_outcome(task, serving.name), definition=_present(situation.definition))
        steps.append(PointAlias(name=task.name, physical=serving.name, before=situation.alias_target, serves=kept))
        steps += _release_old_name(task)
    if serving.statistics.indexing and task.world.state.intent(serving.name) is not None:
        steps.append(AwaitBuild(name=task.name, physical=serving.name))
    return [*steps, *_further_aliases(task, serving.name)]


def _release_old_name(task: Task) -> list[AnyOperation]:
    """After a rename: the old alias goes; an old physical index keeps its name, and only its record goes."""
    old = task.situation.was_named
    if old is None:
        return []
    serving = _present(task.situation.serving)
    if serving.name == old:
        return [ForgetIndex(name=old)]
    return [DropAlias(name=old, physical=serving.name, gone="renamed")]


def _further_aliases(task: Task, physical: str) -> list[AnyOperation]:
    """Point declared further aliases, and those seen on the index that is replaced; remove those undeclared since."""
    situation, aliases = task.situation, dict(task.world.catalog.aliases)
    serving = situation.serving.name if situation.serving else None
    managed = {*task.declared, *(record.name for record in task.world.state.records)}
    seen = {alias for alias, target in aliases.items() if serving is not None and target == serving}
    given_up = set(situation.record.aliases if situation.record else ()) - set(situation.wanted.aliases)
    keep = sorted((seen | set(situation.wanted.aliases)) - managed - given_up)
    moves: list[AnyOperation] = [
        PointAlias(name=alias, physical=physical, before=aliases.get(alias))
        for alias in keep
        if aliases.get(alias) != physical
    ]
    drops = [DropAlias(name=a, physical=aliases[a], gone="undeclared") for a in sorted(given_up) if a in aliases]
    return [*moves, *drops]


def _settled(task: Task, steps: list[AnyOperation]) -> list[AnyOperation]:
    """The steps, with the outcome recorded at the end unless a step does so, or the state says so already."""
    if any(isinstance(step, TakeName | AddFields | RecordIndex) or _is_cutover(step) for step in steps):
        return steps
    situation = task.situation
    physical = _present(situation.serving).name
    outcome = replace(_outcome(task, physical), build_rate=task.world.state.build_rate(task.name))
    if outcome == situation.record and task.world.state.intent(physical) is None:
        return steps
    return [*steps, RecordIndex(serves=outcome)]


def _is_cutover(step: AnyOperation) -> bool:
    return isinstance(step, PointAlias) and step.serves is not None


def _outcome(task: Task, physical: str) -> Record:
    """The record of the index once all is done."""
    wanted = task.situation.wanted
    return Record(
        name=task.name,
        physical=physical,
        definition=_final_definition(task),
        depends_on=wanted.depends_on,
        aliases=wanted.aliases,
    )


def _final_definition(task: Task) -> IndexDefinition:
    """The wanted definition, but as it is now where only queries would be tuned and nothing is rebuilt."""
    situation = task.situation
    wanted = canonicalise(situation.wanted.definition)
    if task.classification == "shadow" or situation.definition is None:
        return wanted
    present = situation.definition
    fields = tuple(present.field(field.name) or field for field in wanted.fields)
    return canonicalise(replace(present, fields=fields))


Present = TypeVar("Present")


def _present(value: Present | None) -> Present:
    """A value that the situation table guarantees; None would be a bug of the planner."""
    if value is None:
        raise PlannerBugError("the planner expected an index to be there")
    return value


def remove(record: Record, world: World, in_use: frozenset[str]) -> tuple[AnyOperation, ...]:
    """The operations for a name that is no longer declared; its documents stay.

    `in_use` are the physical indexes that declared names are served from: after an interrupted rename, the old
    record still names one of them, and only the name goes.
    """
    catalog, atomic = world.catalog, world.server.can("atomic_takeover")
    aliased = dict(catalog.aliases).get(record.name) == record.physical
    if record.physical in in_use and aliased:
        return (DropAlias(name=record.name, physical=record.physical, gone="renamed"),)
    if record.physical in in_use or catalog.index(record.physical) is None:
        return (ForgetIndex(name=record.name),)
    drop = DropIndex(physical=record.physical, because="deleted", forgets=record.name, atomic=atomic)
    ours = [intent.physical for intent in world.state.intents if intent.name == record.name]
    rest = [
        DropIndex(physical=physical, because="left_behind", atomic=atomic)
        for physical in ours
        if catalog.index(physical) is not None and physical != record.physical
    ]
    if aliased:
        return (*rest, DropAlias(name=record.name, physical=record.physical), drop)
    return (*rest, drop)
