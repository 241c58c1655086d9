"""Names: which aliases lead to an index once its task is done, and which are given up."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.plan.operations import AnyOperation, DropAlias, DropIndex, ForgetIndex, PointAlias
from rvlstate.plan.phases import companions
from rvlstate.plan.task import Task


def move_aliases(task: Task, physical: str) -> list[AnyOperation]:
    """Point declared further aliases, and those seen on any index of ours, which would go with it, to `physical`."""
    aliases = task.world.catalog.targets
    keep = sorted((_seen(task) - _given_up(task)) | set(task.situation.wanted.aliases))
    return [
        PointAlias(name=alias, physical=physical, before=aliases.get(alias))
        for alias in keep
        if aliases.get(alias) != physical
    ]


def kept_aliases(task: Task, before: Iterable[str]) -> list[str]:
    """The further aliases of an index that was made again: declared ones, and those that led to it `before`."""
    seen = {alias for alias in {*before, *_seen(task)} if not task.is_reserved(alias)}
    return sorted((seen - _given_up(task) - {task.name, *companions(task.name)}) | set(task.situation.wanted.aliases))


def drop_aliases(task: Task) -> list[AnyOperation]:
    """Remove further aliases that were declared and are not any more, unless they lead elsewhere by now."""
    aliases, ours = task.world.catalog.targets, _ours(task)
    return [
        DropAlias(name=alias, physical=aliases[alias], gone="undeclared")
        for alias in sorted(_given_up(task))
        if aliases.get(alias) in ours
    ]


def release_old_name(task: Task, dropped: Iterable[DropIndex]) -> list[AnyOperation]:
    """After a rename the old alias goes, unless it went with `dropped`; an old physical index keeps its name."""
    old = task.situation.was_named
    if old is None:
        return []
    target = task.world.catalog.targets.get(old)
    if target in _ours(task) - {drop.physical for drop in dropped}:
        return [DropAlias(name=old, physical=target, gone="renamed")]
    return [ForgetIndex(name=old)]


def _seen(task: Task) -> set[str]:
    """Aliases that lead to an index of ours and that nobody else cares for."""
    seen = {alias for physical in _ours(task) for alias in task.world.answering(physical)}
    return {
        alias
        for alias in seen - {task.name, *companions(task.name)}
        if not task.is_reserved(alias) and not task.world.state.record(alias)
    }


def _given_up(task: Task) -> set[str]:
    """Further aliases that were declared and are not any more; one that another index takes is moved by that one."""
    record, wanted = task.situation.record, task.situation.wanted
    before = set(record.aliases) if record else set[str]()
    return {alias for alias in before - {wanted.name, *wanted.aliases} if not task.is_reserved(alias)}


def _ours(task: Task) -> set[str]:
    """The live indexes that the name is, was or might have been served from."""
    situation = task.situation
    ready = [situation.ready.name] if situation.ready else []
    serving = [situation.serving.name] if situation.serving else []
    return {*serving, *ready, *situation.leftovers, *situation.replaced}
