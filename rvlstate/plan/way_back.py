"""The way back from a change that goes through phases, as long as no document was touched by it.

| phase          | then                                                                               |
|----------------|------------------------------------------------------------------------------------|
| staging, ready | the new index and the copies go; a name that was led elsewhere is led back         |
| serving        | first the name is led back to the old index                                        |
| any of these   | an old index that is gone is built again before                                    |
| promoting      | the documents are being put in place: only a backup leads back (see `rollback`)    |
"""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.address import BESIDE
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
    RecordIndex,
    VerifyIndex,
)
from rvlstate.plan.phases import companions, present
from rvlstate.plan.situation import World, next_physical


def way_back(begun: Rewrite, world: World) -> tuple[AnyOperation, ...]:
    """The operations that lead back to before a change was begun; () while its documents are being put in place."""
    rewrite = present(begun, world)
    if rewrite.phase == "promoting":
        return ()
    lead = _lead_back(rewrite, world) if _is_led_away(rewrite, world) else []
    atomic = world.server.can("atomic_takeover")
    made = sorted({rewrite.target, rewrite.interim, rewrite.members, *_beside(rewrite, world)} - {"", rewrite.physical})
    drops = [
        DropIndex(physical=physical, because="given_up", atomic=atomic)
        for physical in made
        if world.catalog.index(physical) is not None
    ]
    return (*lead, *_kept_alias(rewrite, world), *drops, GiveUpRewrite(name=rewrite.name, rewrite=rewrite))


def _beside(rewrite: Rewrite, world: World) -> list[str]:
    """Indexes that the change made for itself: of one that was recovered only they may tell what it was to build."""
    return [item.physical for item in world.state.intents if item.name == rewrite.name and BESIDE.search(item.physical)]


def _is_led_away(rewrite: Rewrite, world: World) -> bool:
    """Whether the name, a further alias or the state leads elsewhere than to the old index."""
    record, old, name = world.state.record(rewrite.name), rewrite.physical, rewrite.name
    return bool(old) and (
        world.catalog.index(old) is None
        or rewrite.phase == "serving"
        # A physical index of that name hides the alias: that is another matter, and drift tells it.
        or world.catalog.resolve(name) not in (old, name)
        or (record is not None and record.physical != old)
        or bool(_aliases_of_new(rewrite, world))
    )


def _aliases_of_new(rewrite: Rewrite, world: World) -> list[str]:
    return sorted({*world.answering(rewrite.serves_first)} - {rewrite.name, *companions(rewrite.name)})


def _lost_aliases(rewrite: Rewrite, world: World) -> list[str]:
    """Further aliases that went with the old index: nothing answers to them."""
    own = {rewrite.name, *companions(rewrite.name)}
    return sorted(alias for alias in rewrite.aliases if alias not in own and world.catalog.resolve(alias) is None)


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
    name, record = rewrite.name, _record(rewrite, old, world)
    before = world.catalog.targets.get(name)
    named: AnyOperation = PointAlias(name=name, physical=old, before=before, serves=record)
    if old in (before, name):
        named = RecordIndex(serves=record)
    return [
        *steps,
        named,
        *(
            PointAlias(name=alias, physical=old, before=rewrite.serves_first)
            for alias in _aliases_of_new(rewrite, world)
        ),
        *(PointAlias(name=alias, physical=old) for alias in _lost_aliases(rewrite, world)),
    ]


def _kept_alias(rewrite: Rewrite, world: World) -> list[AnyOperation]:
    """The alias of our own to the old index goes: the name leads there."""
    kept, old = companions(rewrite.name)[1], rewrite.physical
    return [DropAlias(name=kept, physical=old, gone="cut_over")] if world.catalog.targets.get(kept) == old else []


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
    live = world.catalog.index(physical)
    counted = live.statistics.failures if live is not None else 0
    return replace(base, physical=physical, definition=definition, versions=rewrite.versions, counted=counted)
