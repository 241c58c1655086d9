"""Recipes: which operations, in which order, bring one index from where it stands to where it is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from rvlstate.diff.facts import FieldAdded
from rvlstate.errors import PlannerBugError
from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import INTEGERS, Field, VectorField
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.plan.document_steps import give_up, hook, known_failures, renamed_fields
from rvlstate.plan.names import drop_aliases, move_aliases, release_old_name
from rvlstate.plan.operations import (
    AddFields,
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropIndex,
    PointAlias,
    RecordIndex,
    TakeName,
    VerifyIndex,
)
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.recreate import DocumentSteps, around, recreate
from rvlstate.plan.remedies import covers
from rvlstate.plan.replacing import Replacing
from rvlstate.plan.rewriting import scales_of
from rvlstate.plan.task import Task


def carry_out(task: Task) -> tuple[AnyOperation, ...]:
    """The operations for a declared index, in order; () if nothing is to be done."""
    documents = DocumentSteps()
    if task.rewrite is not None and task.rewrite.phased:
        return _in_phases(task, task.rewrite)
    if task.classification == "recreate" and task.rewrite is not None:
        steps = recreate(task, _outcome(task, task.rewrite.target))
    else:
        documents = around(task)
        steps = _index_steps(task)
    # The old name last: its record is what makes the old index known as ours until that is dropped.
    dropped = _clear_up(task)
    return (
        *_clear_the_way(task),
        *documents.before,
        *_settled(task, steps),
        *dropped,
        *release_old_name(task, dropped),
        *documents.after,
    )


def _in_phases(task: Task, rewrite: Rewrite) -> tuple[AnyOperation, ...]:
    """An index that is replaced in phases looks after its own indexes and names; what others left is cleared away."""
    situation = task.situation
    replacing = Replacing(task=task, rewrite=rewrite, outcome=lambda physical: _outcome(task, physical))
    steps = replacing.steps()
    led_away = not situation.attached and not is_cut_over(rewrite)
    first = (_point_back(task) if led_away else _adopt(task)) if steps and not task.begun else []
    dropped = [DropIndex(physical=name, because="replaced", atomic=task.atomic) for name in situation.replaced]
    given_up = give_up(task, task.given_up) if task.given_up is not None else []
    return (*_clear_the_way(task), *given_up, *first, *steps, *dropped)


def _index_steps(task: Task) -> list[AnyOperation]:
    if task.situation.serving is None:
        return _create(task)
    if task.classification in ("in_place", "backfill"):
        return [*_attach(task), _alter(task)]
    return _shadow(task) if task.classification == "shadow" else _attach(task)


def _clear_the_way(task: Task) -> list[AnyOperation]:
    """Drop what hides the name, and what interrupted runs left behind."""
    situation = task.situation
    drops: list[AnyOperation] = []
    if situation.hijacker is not None:
        drops.append(DropIndex(physical=situation.hijacker.name, because="in_the_way", atomic=task.atomic))
    left = [DropIndex(physical=name, because="left_behind", atomic=task.atomic) for name in situation.leftovers]
    return [*drops, *left]


def _clear_up(task: Task) -> list[DropIndex]:
    """Drop what no name leads to any more: indexes that were replaced, now or by an interrupted run."""
    situation = task.situation
    replaced = list(situation.replaced)
    if situation.ready is not None and not _builds(task):
        replaced.append(situation.ready.name)
    if task.classification == "shadow" and situation.serving is not None and not situation.name_is_physical:
        replaced.append(situation.serving.name)
    return [DropIndex(physical=name, because="replaced", atomic=task.atomic) for name in sorted(replaced)]


def _builds(task: Task) -> bool:
    return task.situation.serving is None or task.classification in ("shadow", "recreate")


def _create(task: Task) -> list[AnyOperation]:
    physical = task.new_physical
    outcome = _outcome(task, physical)
    named: AnyOperation = RecordIndex(serves=outcome)
    if physical != task.name:
        named = PointAlias(name=task.name, physical=physical, before=task.situation.alias_target, serves=outcome)
    return [*_build(task, physical, None), named, *move_aliases(task, physical), *drop_aliases(task)]


def _shadow(task: Task) -> list[AnyOperation]:
    situation, physical = task.situation, task.new_physical
    serving, outcome = _present(situation.serving), _outcome(task, physical)
    unreachable = not situation.attached and situation.was_named is None
    steps = [*(_point_back(task) if unreachable else _adopt(task)), *_build(task, physical, serving)]
    steps += hook(task, "before_cutover", serving.name, physical)
    further = move_aliases(task, physical)
    if situation.name_is_physical:
        # Further aliases first: those of a physical index would go with it, and answer nothing for an instant.
        steps += [*further, TakeName(name=task.name, physical=physical, serves=outcome, atomic=task.atomic)]
    else:
        # The name first: with an alias on it, an index that serves nothing yet would not be taken up by another run.
        before = serving.name if unreachable else situation.alias_target
        steps += [PointAlias(name=task.name, physical=physical, before=before, serves=outcome), *further]
    steps += hook(task, "after_cutover", serving.name, physical)
    return [*steps, *_verified_again(task, physical, serving), *drop_aliases(task)]


def _verified_again(task: Task, physical: str, serving: LiveIndex) -> list[AnyOperation]:
    """The checks once more behind the name, against the old index where that is still there."""
    wanted = task.situation.wanted
    if not wanted.checks or task.situation.name_is_physical:
        return []
    return [
        VerifyIndex(
            name=task.name,
            physical=physical,
            definition=canonicalise(wanted.definition),
            against=serving.name,
            same_documents=_keeps_documents(serving.definition, wanted.definition),
            known_failures=known_failures(task, serving.name),
            checks=wanted.checks,
            renamed=renamed_fields(task),
            after_cutover=True,
        )
    ]


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
            known_failures=known_failures(task, serving.name) if serving else 0,
            finds=serving is None,
            checks=situation.wanted.checks if serving else (),
            renamed=renamed_fields(task),
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
    serving = _present(task.situation.serving)
    steps = [] if task.situation.attached else _point_back(task)
    if serving.statistics.indexing and task.world.state.intent(serving.name) is not None:
        steps.append(AwaitBuild(name=task.name, physical=serving.name))
    return [*steps, *move_aliases(task, serving.name), *drop_aliases(task)]


def _point_back(task: Task) -> list[AnyOperation]:
    """Point the name to the index that is ours; one of that very name needs no alias."""
    serving = _present(task.situation.serving)
    if serving.name == task.name:
        return []
    kept = replace(_outcome(task, serving.name), definition=_present(task.situation.definition))
    return [PointAlias(name=task.name, physical=serving.name, before=task.situation.alias_target, serves=kept)]


def _adopt(task: Task) -> list[AnyOperation]:
    """Write down that an index is ours before its name is led away: a killed run would leave it behind for ever."""
    situation, serving = task.situation, _present(task.situation.serving)
    known = task.world.state.known_definitions(serving.name)
    if known or situation.name_is_physical:
        return []
    return [RecordIndex(serves=replace(_outcome(task, serving.name), definition=_present(situation.definition)))]


def _settled(task: Task, steps: list[AnyOperation]) -> list[AnyOperation]:
    """The steps, with the outcome recorded at the end unless a step does so, or the state says so already."""
    if any(isinstance(step, TakeName | AddFields | RecordIndex) or _is_cutover(step) for step in steps):
        return steps
    situation = task.situation
    physical = _present(situation.serving).name
    outcome = _outcome(task, physical)
    if situation.record is not None:
        outcome = situation.record.learned_by(outcome)
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
        scales=_scales(task),
        versions=tuple((name, settings.version) for name, settings in wanted.fields if settings.version),
        counted=_counted(task, physical),
    )


def _counted(task: Task, physical: str) -> int:
    """The failures that an index had when it was taken over; what is built tells them when it is built."""
    record, live = task.situation.record, task.world.catalog.index(physical)
    if record is not None:
        return record.counted if record.physical == physical else 0
    return live.statistics.failures if live is not None else 0


def _scales(task: Task) -> tuple[tuple[str, float], ...]:
    """The scales of fields that hold integers: of this change, else as recorded."""
    record = task.situation.record
    scales = dict(record.scales) if record else {}
    if task.rewrite is not None:
        scales |= scales_of(task.rewrite)
    integers = {field.name for field in task.situation.wanted.definition.fields if _holds_integers(field)}
    return tuple(sorted((name, scale) for name, scale in scales.items() if name in integers))


def _holds_integers(field: Field) -> bool:
    return isinstance(field, VectorField) and field.datatype in INTEGERS


def _final_definition(task: Task) -> IndexDefinition:
    """The wanted definition, but as it is now where only queries would be tuned and nothing is rebuilt."""
    situation = task.situation
    wanted = canonicalise(situation.wanted.definition)
    if task.classification in ("shadow", "recreate") or situation.definition is None:
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
