"""The steps that change documents, with the declared pace, backup and limits; every recipe is made from them."""

from __future__ import annotations

from typing import Literal

from rvlstate.diff.facts import FieldRenamed
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.effects import Pace
from rvlstate.plan.operations import (
    AnyOperation,
    DropIndex,
    GiveUpRewrite,
    RehearseRewrite,
    RewriteDocuments,
    RunCutoverHook,
    SettleDocuments,
)
from rvlstate.plan.task import Task


def renamed_fields(task: Task) -> tuple[tuple[str, str], ...]:
    """The fields that go by another name: declared name, name in the index that serves now."""
    return tuple((fact.after.name, fact.before.name) for fact in task.facts if isinstance(fact, FieldRenamed))


def known_failures(task: Task, physical: str) -> int:
    """How many failures that a physical index counts are of documents whose copies were in it."""
    record = task.situation.record
    return record.failures if record is not None and record.physical == physical else 0


def pace_of(task: Task) -> Pace:
    """How documents are gone through, as declared."""
    wanted = task.situation.wanted
    return Pace(batch_size=wanted.batch_size, max_docs_per_second=wanted.max_docs_per_second)


def rehearse(task: Task, rewrite: Rewrite) -> RehearseRewrite:
    """Try everything that can fail."""
    wanted = task.situation.wanted
    return RehearseRewrite(
        name=task.name,
        rewrite=rewrite,
        pace=pace_of(task),
        backup=wanted.backup,
        max_bad_rows=wanted.max_bad_rows,
        members=rewrite.physical if rewrite.is_filtered else "",
        atomic=task.atomic,
    )


def write(task: Task, rewrite: Rewrite, members: str) -> RewriteDocuments:
    """Bring the documents into the desired layout where they are; `members` is the index that knows the filter."""
    wanted = task.situation.wanted
    return RewriteDocuments(
        name=task.name,
        rewrite=rewrite,
        pace=pace_of(task),
        backup=wanted.backup,
        max_bad_rows=wanted.max_bad_rows,
        members=members,
        begun=task.begun,
    )


def settle(task: Task, rewrite: Rewrite, members: str) -> SettleDocuments:
    """Go on until no writer is left that writes the old layout; `members` as above."""
    wanted = task.situation.wanted
    return SettleDocuments(
        name=task.name,
        rewrite=rewrite,
        seconds=task.settle,
        pace=pace_of(task),
        backup=wanted.backup,
        max_bad_rows=wanted.max_bad_rows,
        members=members,
        atomic=task.atomic,
    )


def hook(task: Task, when: Literal["before_cutover", "after_cutover"], before: str, after: str) -> list[AnyOperation]:
    """The user's own command around a cutover from one physical index to another; [] where none is declared."""
    argv = getattr(task.situation.wanted.hooks, when)
    return [RunCutoverHook(name=task.name, hook=when, argv=argv, before=before, after=after)] if argv else []


def give_up(task: Task, rewrite: Rewrite) -> list[AnyOperation]:
    """Remove what a change that is no longer wanted has made so far: its indexes, which nobody asks, and its copies.

    Of one that is settled, what it kept beside the documents: its index serves.
    """
    made = {rewrite.target, rewrite.interim} if rewrite.phased and not rewrite.settled else set[str]()
    made |= {rewrite.members} if rewrite.phased else set()
    there = sorted(physical for physical in made if physical and task.world.catalog.index(physical) is not None)
    drops = [DropIndex(physical=physical, because="given_up", atomic=task.atomic) for physical in there]
    return [*drops, GiveUpRewrite(name=task.name, rewrite=rewrite)]
