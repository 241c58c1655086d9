"""What a change that goes through phases waits for, in the words that a person needs to go on."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.plan.operations import AnyOperation, HoldCutover
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.promotion import ALTERNATIVES, promotion_of
from rvlstate.plan.rewriting import Rewriting, document_work_of
from rvlstate.plan.situation import World
from rvlstate.plan.task import Task


def held_words(task: Task, operations: Iterable[AnyOperation]) -> tuple[str, ...]:
    """Where the work on an index stops before its end; () if it does not."""
    rewrite, name = task.rewrite, task.name
    if rewrite is None or not rewrite.phased or is_cut_over(rewrite) or task.situation.wanted.cutover != "manual":
        return ()
    if any(isinstance(operation, HoldCutover) for operation in operations):
        return (f"cutover: manual: stops when {rewrite.serves_first} is ready; rvlstate cutover {name} then goes on",)
    late = "; what is written meanwhile is caught up with first" if rewrite.touches_documents else ""
    silent = "" if task.world.catalog.resolve(name) else f". Until then nothing answers to {name}"
    return (f"{rewrite.serves_first} is ready: rvlstate cutover {name} leads the name to it{late}{silent}",)


def phase_notes(task: Task, rewriting: Rewriting, world: World) -> tuple[str, ...]:
    """How a change goes through its phases, and why so."""
    rewrite, name = task.rewrite, task.name
    if rewrite is None or not rewrite.phased:
        return ()
    notes = []
    if rewrite.strategy == "staged" and not task.begun:
        _, reason = promotion_of(document_work_of(rewriting, world))
        notes.append(reason)
        if rewrite.promotion == "rename":
            notes.append(f"answers carry staged keys until promotion; where that cannot be borne: {ALTERNATIVES}")
    if is_cut_over(rewrite) and task.keeps_for > 0:
        notes.append(
            f"{rewrite.physical} is kept for {task.keeps_for:,.0f} s more: rvlstate rollback {name} leads back to it, "
            f"rvlstate complete {name} gives it up now"
        )
    return tuple(notes)
