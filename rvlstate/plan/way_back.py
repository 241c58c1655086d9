"""The way back from a change that goes through phases, as long as no document was touched by it.

| phase          | then                                                                               |
|----------------|------------------------------------------------------------------------------------|
| staging, ready | the new index and the copies go; an old index that somebody dropped is built again |
| serving        | first the name is led back to the old index, which is built again if it is gone    |
| promoting      | the documents are being put in place: only a backup leads back (see `rollback`)    |
"""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.canonical import canonicalise
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.plan.operations import (
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropAlias,
    DropIndex,
    GiveUpRewrite,
    PointAlias,
    VerifyIndex,
)
from rvlstate.plan.phases import companions, present
from rvlstate.plan.situation import World, next_physical


def way_back(begun: Rewrite, world: World) -> tuple[AnyOperation, ...]:
    """The operations that lead back to before a change was begun; () while its documents are being put in place."""
    rewrite = present(begun, world)
    if rewrite.phase == "promoting":
        return ()
    gone = world.catalog.index(rewrite.physical) is None
    lead = _lead_back(rewrite, world) if rewrite.phase == "serving" or gone else []
    atomic = world.server.can("atomic_takeover")
    made = sorted({rewrite.target, rewrite.interim, rewrite.members} - {"", rewrite.physical})
    drops = [
        DropIndex(physical=physical, because="left_behind", atomic=atomic)
        for physical in made
        if world.catalog.index(physical) is not None
    ]
    return (*lead, *drops, GiveUpRewrite(name=rewrite.name, rewrite=rewrite))


def _lead_back(rewrite: Rewrite, world: World) -> list[AnyOperation]:
    """Every name that leads to the new index leads to the old one again."""
    old, steps = rewrite.physical, list[AnyOperation]()
    if world.catalog.index(old) is None:
        old = _built_again(rewrite, world)
        steps = [
            CreateIndex(name=rewrite.name, physical=old, definition=rewrite.before, synonyms=rewrite.synonyms),
            AwaitBuild(name=rewrite.name, physical=old, disposable=True),
            VerifyIndex(name=rewrite.name, physical=old, definition=canonicalise(rewrite.before)),
        ]
    first, name, kept = rewrite.serves_first, rewrite.name, companions(rewrite.name)[1]
    aliases = sorted({*world.answering(first)} - {name, *companions(name)})
    beside = [DropAlias(name=kept, physical=old, gone="cut_over")] if world.catalog.targets.get(kept) == old else []
    return [
        *steps,
        PointAlias(name=name, physical=old, before=first, serves=_record(rewrite, old, world)),
        *(PointAlias(name=alias, physical=old, before=first) for alias in aliases),
        *beside,
    ]


def _built_again(rewrite: Rewrite, world: World) -> str:
    """What the old index is called when it is built again: as an interrupted way back has called it, if one did."""
    goal, own = canonicalise(rewrite.before), {rewrite.target, rewrite.interim}
    made = [item.physical for item in world.state.intents if item.name == rewrite.name and item.physical not in own]
    record = world.state.record(rewrite.name)
    found = [*made, *([record.physical] if record is not None and record.physical not in own else [])]
    return next(
        (
            physical
            for physical in sorted(found)
            if (index := world.catalog.index(physical)) is not None and world.definition(index) == goal
        ),
        next_physical(rewrite.name, world),
    )


def _record(rewrite: Rewrite, physical: str, world: World) -> Record:
    """What the state said before the change, as far as the change knows."""
    present_record = world.state.record(rewrite.name)
    base = present_record or Record(name=rewrite.name, physical=physical, definition=rewrite.before)
    definition = canonicalise(rewrite.before)
    return replace(base, physical=physical, definition=definition, versions=rewrite.versions)
