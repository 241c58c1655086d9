"""Removal: the operations for names that no schema declares any more. Documents always stay."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.model.address import REVISION
from rvlstate.model.state import Record
from rvlstate.plan.operations import AnyOperation, DropAlias, DropIndex, ForgetIndex, GiveUpRewrite
from rvlstate.plan.situation import World


def remove(record: Record, world: World, in_use: frozenset[str], claimed: frozenset[str]) -> tuple[AnyOperation, ...]:
    """The operations for a recorded name that is no longer declared.

    `in_use` are the physical indexes that declared names are served from: after an interrupted rename, the old
    record still names one of them, and only the name goes. `claimed` are the further aliases that are declared: such
    a name is moved to its new index, in one instant, by the task of that index.
    """
    rest = (
        *_clear(world, [physical for physical in abandoned(record.name, world) if physical not in in_use]),
        *_given_up(record.name, world),
    )
    aliased = world.catalog.targets.get(record.name) == record.physical and record.name not in claimed
    if record.physical in in_use and aliased:
        return (*rest, DropAlias(name=record.name, physical=record.physical, gone="renamed"))
    if record.physical in in_use or world.catalog.index(record.physical) is None:
        return (*rest, ForgetIndex(name=record.name))
    atomic = world.server.can("atomic_takeover")
    drop = DropIndex(physical=record.physical, because="deleted", forgets=record.name, atomic=atomic)
    return (*rest, *([DropAlias(name=record.name, physical=record.physical)] if aliased else []), drop)


def clear_abandoned(name: str, world: World) -> tuple[AnyOperation, ...]:
    """The operations for a name that an interrupted run began to create and that was given up since."""
    return (*_clear(world, abandoned(name, world)), *_given_up(name, world))


def _given_up(name: str, world: World) -> tuple[AnyOperation, ...]:
    """A change of documents that was begun for a name that is gone; the documents stay as they are."""
    begun = world.state.rewrite(name)
    return (GiveUpRewrite(name=name, rewrite=begun),) if begun is not None else ()


def abandoned(name: str, world: World) -> tuple[str, ...]:
    """The live indexes that were meant for a name and that no record, of this name or another, says are served."""
    recorded = {record.physical for record in world.state.records}
    return tuple(
        intent.physical
        for intent in world.state.intents
        if intent.name == name and intent.physical not in recorded and world.catalog.index(intent.physical) is not None
    )


def _clear(world: World, physicals: Iterable[str]) -> tuple[AnyOperation, ...]:
    """Drop what interrupted runs left; what answers to a declared name is deleted, which needs an agreement."""
    atomic = world.server.can("atomic_takeover")
    return tuple(
        DropIndex(physical=physical, because="deleted" if _answers(physical, world) else "left_behind", atomic=atomic)
        for physical in physicals
    )


def _answers(physical: str, world: World) -> bool:
    return bool(world.answering(physical)) or not REVISION.match(physical)
