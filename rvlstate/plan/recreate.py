"""Recipes for what changes documents: the steps around an index that stays, and those of one that is made again."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.errors import PlannerBugError
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.plan.document_steps import give_up, hook, rehearse, renamed_fields, settle, write
from rvlstate.plan.names import drop_aliases, kept_aliases
from rvlstate.plan.operations import (
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropIndex,
    PointAlias,
    RecordIndex,
    TakeBaseline,
    VerifyIndex,
)
from rvlstate.plan.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSteps:
    """What is done to documents before the index is changed, and after it serves again."""

    before: tuple[AnyOperation, ...] = ()
    after: tuple[AnyOperation, ...] = ()


def around(task: Task) -> DocumentSteps:
    """The steps for documents that get new fields under an index that goes on serving."""
    rewrite = task.rewrite
    if task.given_up is not None:
        before: list[AnyOperation] = give_up(task, task.given_up)
    else:
        before = []
    if rewrite is None:
        return DocumentSteps(before=tuple(before))
    # The index that serves knows what its own filter lets in.
    members = rewrite.physical if rewrite.before.filter else ""
    if task.classification is not None:
        before += [] if task.begun else [rehearse(task, rewrite)]
        before.append(write(task, rewrite, members))
    return DocumentSteps(before=tuple(before), after=(settle(task, rewrite, _serves_then(task, rewrite)),))


def _serves_then(task: Task, rewrite: Rewrite) -> str:
    """The index that serves once the fields are there, which knows what its filter lets in; "" without a filter."""
    if not rewrite.after.filter:
        return ""
    if task.classification == "shadow" or task.situation.serving is None:
        return task.new_physical
    return task.situation.serving.name


def recreate(task: Task, outcome: Record) -> list[AnyOperation]:
    """Drop, rewrite, create, await, name, verify, settle: what an earlier run did of it is left out or found done."""
    rewrite = task.rewrite
    if rewrite is None:
        raise PlannerBugError(f"the planner expected {task.name} to be recreated")
    members = rewrite.members if rewrite.is_filtered else ""
    steps: list[AnyOperation] = []
    if task.given_up is not None:
        steps += give_up(task, task.given_up)
    if not task.begun:
        steps.append(rehearse(task, rewrite))
    checks, baseline = task.situation.wanted.checks, f"{rewrite.id}:baseline"
    if not rewrite.dropped:
        if checks:
            steps.append(
                TakeBaseline(
                    name=task.name,
                    physical=rewrite.physical,
                    checks=checks,
                    baseline=baseline,
                    definition=rewrite.before,
                    renamed=renamed_fields(task),
                )
            )
        steps += hook(task, "before_cutover", rewrite.physical, rewrite.target)
        steps.append(DropIndex(physical=rewrite.physical, because="recreated", recreates=task.name, atomic=task.atomic))
    if rewrite.touches_documents:
        steps.append(write(task, rewrite, members))
    steps += _made_again(task, rewrite, outcome)
    steps += hook(task, "after_cutover", rewrite.physical, rewrite.target)
    steps.append(
        VerifyIndex(
            name=task.name,
            physical=rewrite.target,
            definition=rewrite.after,
            against=None,
            finds=True,
            checks=checks,
            baseline=baseline if checks else "",
            renamed=renamed_fields(task),
            moves=rewrite.moves,
            after_cutover=True,
        )
    )
    return [*steps, *drop_aliases(task), settle(task, rewrite, members)]


def _made_again(task: Task, rewrite: Rewrite, outcome: Record) -> list[AnyOperation]:
    """The index with its synonyms, and every name that led to the old one."""
    definition = task.situation.wanted.definition
    named: AnyOperation = RecordIndex(serves=outcome)
    aliases = task.world.catalog.targets
    if rewrite.target != task.name:
        before = aliases.get(task.name)
        named = PointAlias(name=task.name, physical=rewrite.target, before=_elsewhere(before, rewrite), serves=outcome)
    further = [
        PointAlias(name=alias, physical=rewrite.target, before=_elsewhere(aliases.get(alias), rewrite))
        for alias in kept_aliases(task, rewrite.aliases)
    ]
    return [
        CreateIndex(name=task.name, physical=rewrite.target, definition=definition, synonyms=rewrite.synonyms),
        AwaitBuild(name=task.name, physical=rewrite.target, max_memory_ratio=task.costs.max_memory_ratio),
        named,
        *further,
    ]


def _elsewhere(target: str | None, rewrite: Rewrite) -> str | None:
    """Where an alias leads before it is pointed to the new index; not to the old one, which is gone by then."""
    return None if target in (rewrite.physical, rewrite.target) else target
