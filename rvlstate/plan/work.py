"""The work on each index: what the plan says about it, and the operations that do it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.canonical import canonicalise
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.state import Record
from rvlstate.plan import judge
from rvlstate.plan.deviations import drift_of
from rvlstate.plan.document_impact import better_built_anew
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.held import held_words, phase_notes
from rvlstate.plan.impact import Costs, estimate_build, memory_hazard, memory_refusal, slow_hazard
from rvlstate.plan.needs import unmet_needs
from rvlstate.plan.operations import AnyOperation, DropIndex
from rvlstate.plan.payload import payload_hazards, sample_notes
from rvlstate.plan.phases import is_cut_over, keeps_for
from rvlstate.plan.plan import Action, Impact, IndexPlan
from rvlstate.plan.queries import query_notes
from rvlstate.plan.recipes import carry_out
from rvlstate.plan.recovery import forgotten_words
from rvlstate.plan.remedies import Classification
from rvlstate.plan.removal import clear_abandoned, remove
from rvlstate.plan.rewriting import Rewriting, rewriting_of, unshareable
from rvlstate.plan.situation import Situation, World
from rvlstate.plan.task import Task
from rvlstate.plan.temporary import losing_documents
from rvlstate.plan.work_impact import builds, impact_of, index_impact, while_busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One index of the plan with its operations; `physicals` are the live indexes that it accounts for."""

    plan: IndexPlan
    operations: tuple[AnyOperation, ...] = ()
    depends_on: tuple[str, ...] = ()
    physicals: tuple[str, ...] = ()


def declared_work(situation: Situation, desired: Desired, world: World) -> Work:
    """What is to be done about one declared index."""
    costs = Costs(
        server=world.server,
        build_rate=world.state.build_rate(situation.wanted.name),
        max_memory_ratio=desired.policy.max_memory_ratio,
    )
    rewriting = _by_cost(rewriting_of(situation, world, desired.policy), costs)
    situation, judged = rewriting.situation, rewriting.judged
    task = Task(
        situation=situation,
        facts=judge.actionable(judged),
        classification=judge.classify(judged),
        world=world,
        costs=costs,
        declared=desired.owners,
        plain_names=desired.policy.naming == "plain",
        rewrite=rewriting.rewrite,
        begun=rewriting.begun,
        given_up=rewriting.given_up,
        settle=desired.policy.settle,
        keeps_for=_keeps_for(rewriting, desired, world),
    )
    impact = impact_of(task, judged)
    refused = _obstacles(task, rewriting, impact)
    operations = () if refused else carry_out(task)
    if lost := losing_documents(operations, world):
        refused, operations = lost, ()
    held = () if refused else held_words(task, operations)
    return Work(
        plan=_index_plan(task, rewriting, impact, operations, refused=refused, held=held),
        operations=operations,
        depends_on=situation.wanted.depends_on,
    )


def _by_cost(rewriting: Rewriting, costs: Costs) -> Rewriting:
    """Fields that are written first are added by FT.ALTER, or by a new index where that is the cheaper way."""
    serving = rewriting.situation.serving
    if judge.classify(rewriting.judged) != "backfill" or serving is None or rewriting.rewrite is None:
        return rewriting
    wanted = rewriting.situation.wanted.definition
    documents = serving.statistics.documents
    reason = better_built_anew(rewriting.rewrite.before, documents, costs)
    if not reason or memory_refusal(estimate_build(wanted, serving, costs), costs):
        return rewriting
    judged = tuple(
        (fact, replace(remedy, classification="shadow", reason=f"{remedy.reason}; {reason}"))
        if remedy.classification == "backfill"
        else (fact, remedy)
        for fact, remedy in rewriting.judged
    )
    return replace(rewriting, judged=judged)


def _keeps_for(rewriting: Rewriting, desired: Desired, world: World) -> float:
    rewrite = rewriting.rewrite
    if rewrite is None or not rewrite.phased:
        return 0.0
    return keeps_for(rewrite, rewriting.situation, desired.policy, world)


def _obstacles(task: Task, rewriting: Rewriting, impact: Impact) -> tuple[str, ...]:
    """Why nothing can be done about an index."""
    situation, world = task.situation, task.world
    wanted = situation.wanted
    # What is there already works: needs are checked where something is to be built.
    needs = unmet_needs(wanted.name, canonicalise(wanted.definition), world.server) if builds(task) else ()
    too_big = memory_refusal(impact, task.costs) if builds(task) else ""
    return (
        *([f"{wanted.name}: {forgotten_words(unknown)}"] if (unknown := _unknown(situation, world)) else []),
        *judge.refusals(rewriting.judged, situation, world),
        *rewriting.refusals,
        *unshareable(rewriting, world),
        *needs,
        *([f"{wanted.name}: {too_big}"] if too_big else []),
    )


def _unknown(situation: Situation, world: World) -> tuple[str, ...]:
    """The index that would be taken into management although a change has left it in its middle."""
    serving = situation.serving
    return (serving.name,) if serving is not None and serving.name in world.copies else ()


def _index_plan(
    task: Task,
    rewriting: Rewriting,
    impact: Impact,
    operations: tuple[AnyOperation, ...],
    *,
    refused: tuple[str, ...],
    held: tuple[str, ...],
) -> IndexPlan:
    situation, world = task.situation, task.world
    wanted, unverifiable = situation.wanted, rewriting.comparison.unverifiable
    hazards = [
        *payload_hazards(rewriting, world, index_impact(task)),
        *(hazard for operation in operations for hazard in operation.hazards),
        *([memory_hazard(impact, task.costs), slow_hazard(while_busy(impact, task))] if builds(task) else []),
        _downtime(task),
    ]
    foreign = situation.hijacker is not None and situation.hijacker.name in world.foreign
    return IndexPlan(
        name=wanted.name,
        action=_action(task, operations),
        classification="refused" if refused else _class(task, operations),
        physical_before=_physical_before(task),
        physical_after=_physical_after(task),
        changes=judge.changes_of(rewriting.judged),
        drift=drift_of(situation, world),
        unverifiable=unverifiable,
        hazards=tuple(sorted({hazard for hazard in hazards if hazard is not None})),
        impact=impact,
        notes=(
            *(() if foreign else judge.hijack_notes(situation)),
            *judge.unknown_notes(task.classification, unverifiable),
            *judge.rename_notes(situation, rewriting.judged),
            *query_notes(wanted.name, rewriting.judged, moves=task.classification == "shadow" and not task.begun),
            *sample_notes(rewriting, world),
            *(() if refused else phase_notes(task, rewriting, world)),
        ),
        refused=refused,
        held=held,
        renamed_from=situation.was_named,
        fields=len(wanted.definition.fields),
    )


def _downtime(task: Task) -> Hazard | None:
    if task.classification != "recreate":
        return None
    message = f"{task.name} answers nothing from the drop until it is built again."
    return Hazard(code="SEARCH_DOWNTIME", message=message)


def _action(task: Task, operations: tuple[AnyOperation, ...]) -> Action:
    if task.begun and (task.classification == "recreate" or _is_phased(task)):
        return "update"
    if task.situation.serving is None:
        return "create"
    if task.classification is not None:
        return "update"
    if not operations:
        return "no-op"
    only_state = all(operation.operation == "record_index" for operation in operations)
    return "adopt" if only_state else "update"


def _class(task: Task, operations: tuple[AnyOperation, ...]) -> Classification | None:
    if task.situation.serving is None and task.classification != "recreate" and not (task.begun and _is_phased(task)):
        return "in_place"
    if task.classification is None and any(operation.commands for operation in operations):
        return "in_place"
    return task.classification


def _is_phased(task: Task) -> bool:
    return task.rewrite is not None and task.rewrite.phased


def _physical_before(task: Task) -> str | None:
    """The index that serves, or is to; in front of a cutover the old one, wherever somebody led the name."""
    rewrite, serving = task.rewrite, task.situation.serving
    if task.begun and rewrite is not None and rewrite.phased and not is_cut_over(rewrite):
        return rewrite.physical if task.world.catalog.index(rewrite.physical) is not None else None
    return serving.name if serving else None


def _physical_after(task: Task) -> str | None:
    serving = task.situation.serving
    if task.rewrite is not None and (task.classification == "recreate" or task.rewrite.phased):
        return task.rewrite.target
    return task.new_physical if serving is None or task.classification == "shadow" else serving.name


def removed_work(record: Record, desired: Desired, world: World, situations: dict[str, Situation]) -> Work:
    """What is to be done about a record that no schema declares any more."""
    in_use = frozenset(situation.serving.name for situation in situations.values() if situation.serving)
    claimed = frozenset(alias for wanted in desired.indexes for alias in wanted.aliases)
    refused = _kept_from_removal(record, desired, world)
    operations = () if refused else remove(record, world, in_use, claimed)
    if lost := losing_documents(operations, world):
        refused, operations = lost, ()
    live = world.catalog.index(record.physical)
    plan = IndexPlan(
        name=record.name,
        action="delete",
        classification="refused" if refused else "in_place",
        physical_before=record.physical if live else None,
        physical_after=None,
        hazards=tuple(sorted({hazard for operation in operations for hazard in operation.hazards})),
        impact=Impact(documents=live.statistics.documents if live else 0),
        refused=refused,
        fields=len(record.definition.fields),
    )
    return Work(plan=plan, operations=operations, depends_on=record.depends_on)


def _kept_from_removal(record: Record, desired: Desired, world: World) -> tuple[str, ...]:
    """Why a record that no schema declares any more must not be removed."""
    name, begun = record.name, world.state.rewrite(record.name)
    if desired.protects(name):
        return (f"{name}: prevent_destroy protects it, and no schema declares it: restore the schema file",)
    halfway = begun is not None and (begun.dropped or (begun.phased and begun.phase == "promoting"))
    if begun is not None and halfway and begun.touches_documents and not begun.settled:
        # Forgotten, nobody could tell any more which documents are in which layout, nor bring them back.
        back = f"restore the schema file and apply, or go back with rvlstate rollback {name}"
        return (f"{name}: its documents are being rewritten (not complete), and no schema declares it: {back}",)
    return ()


def abandoned_work(name: str, desired: Desired, world: World) -> Work:
    """What is to be done about a name that an interrupted run began to create, and that nothing declares any more."""
    protected = desired.protects(name)
    operations = () if protected else clear_abandoned(name, world)
    plan = IndexPlan(
        name=name,
        action="delete" if operations else "no-op",
        classification="in_place" if operations else None,
        physical_before=next((item.physical for item in operations if isinstance(item, DropIndex)), None),
        physical_after=None,
        hazards=tuple(sorted({hazard for operation in operations for hazard in operation.hazards})),
    )
    return Work(plan=plan, operations=operations)


def with_possible_renames(works: list[Work], desired: Desired, world: World) -> list[Work]:
    """Mark a creation whose definition equals that of a deletion: most likely a rename that was not declared."""
    deleted = sorted(work.plan.name for work in works if work.plan.action == "delete")
    marked = []
    for work in works:
        wanted = desired.index(work.plan.name)
        twin = _twin(wanted, deleted, world) if wanted and work.plan.action == "create" else None
        marked.append(replace(work, plan=_mark_rename(work.plan, twin)) if twin else work)
    return marked


def _twin(wanted: DesiredIndex, deleted: list[str], world: World) -> str | None:
    goal = canonicalise(wanted.definition)
    for name in deleted:
        record = world.state.record(name)
        if record is not None and canonicalise(record.definition) == goal:
            return name
    return None


def _mark_rename(plan: IndexPlan, twin: str) -> IndexPlan:
    message = f"{plan.name} looks like {twin} under another name: renamed_from: {twin} moves the name without a build."
    hazard = Hazard(code="POSSIBLE_RENAME", message=message)
    return replace(plan, hazards=tuple(sorted({*plan.hazards, hazard})))
