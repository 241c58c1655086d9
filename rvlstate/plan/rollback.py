"""Rollback: the operations that lead from after a change of documents, or from its middle, back to before it.

| where it stands                                             | then                                                |
|-------------------------------------------------------------|-----------------------------------------------------|
| complete, or the new index is being built                   | drop it, restore, create the old one, point names   |
| the old index was dropped, documents partly rewritten       | restore, create the old one, point names            |
| fields are written into documents, the old index serves     | restore under it                                    |
| begun, and neither dropped nor written                      | refused: nothing to take back                       |
| a rollback was interrupted                                  | as above; what was done is seen, and not done again |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import VectorField
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.plan.effects import Pace
from rvlstate.plan.operations import (
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    FinishRollback,
    PointAlias,
    RecordIndex,
    RestoreDocuments,
    VerifyIndex,
)
from rvlstate.plan.phases import companions
from rvlstate.plan.reading import looks_like
from rvlstate.plan.rewriting import share
from rvlstate.plan.situation import World, next_physical


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What is taken back: the rewrite of a backup in the folder `backup`, and what the state said before it.

    `rewrite` is as the state has it while it is not complete, else as the backup has it.
    """

    rewrite: Rewrite
    backup: str
    record: Record | None = None
    pace: Pace

    @property
    def name(self) -> str:
        """The declared index."""
        return self.rewrite.name


def rollback_steps(rollback: Rollback, world: World) -> tuple[AnyOperation, ...]:
    """The operations, in order; those that an interrupted rollback has carried out do nothing the second time."""
    rewrite = rollback.rewrite
    physical = _physical(rollback, world)
    drops = _drops(rollback, world, physical)
    names = _names(rewrite, world, (physical, *drops))
    atomic = world.server.can("atomic_takeover")
    serving = world.catalog.index(physical) if physical not in drops else None
    restore = RestoreDocuments(
        name=rewrite.name,
        rewrite=replace(rewrite, aliases=names),
        backup=rollback.backup,
        drops=drops,
        pace=rollback.pace,
        atomic=atomic,
        searchable=serving is not None and world.catalog.resolve(rewrite.name) == physical,
    )
    return (
        restore,
        CreateIndex(name=rewrite.name, physical=physical, definition=rewrite.before, synonyms=rewrite.synonyms),
        AwaitBuild(name=rewrite.name, physical=physical),
        VerifyIndex(name=rewrite.name, physical=physical, definition=canonicalise(rewrite.before)),
        *_pointed(rollback, physical, names, world),
        FinishRollback(name=rewrite.name, rewrite=rewrite),
    )


def rollback_refusals(rollback: Rollback, world: World) -> tuple[str, ...]:
    """Why nothing can be taken back, one sentence each; () if it can."""
    rewrite, pending = rollback.rewrite, world.state.rewrite(rollback.name)
    if not rewrite.touches_documents:
        return (f"{rewrite.name}: no document was changed: declare the index as it was, and apply",)
    record, same = world.state.record(rewrite.name), _same(rewrite.before, rewrite.after)
    if pending is None and record is not None and not same and _same(record.definition, rewrite.before):
        return (f"{rewrite.name}: there is nothing to take back: its index is as it was before the change",)
    if pending is not None and pending.strategy == "recreate" and not pending.dropped:
        return (
            f"{rewrite.name}: the change was begun, and no document is written yet: declare it as it was, and apply",
        )
    if record is not None and not any(_holds(record.definition, of, rewrite) for of in (rewrite.before, rewrite.after)):
        return (
            f"{rewrite.name}: its documents were changed again since this backup: take the later change back first",
        )
    return _losers(rollback, world)


def _holds(definition: IndexDefinition, layout: IndexDefinition, rewrite: Rewrite) -> bool:
    """Whether an index reads documents in the layout of another, as far as the rewrite touched them."""
    places = {field.writes.identifier for field in rewrite.fields if field.writes is not None}
    return definition.storage == layout.storage and _shapes(definition, places) <= _shapes(layout, places)


def _shapes(definition: IndexDefinition, places: set[str]) -> set[tuple[str, str, int]]:
    return {
        (field.identifier, field.datatype, field.dims)
        for field in definition.fields
        if isinstance(field, VectorField) and field.identifier in places
    }


def _losers(rollback: Rollback, world: World) -> tuple[str, ...]:
    """Other indexes that read what would change in the documents."""
    rewrite = rollback.rewrite
    own = {rewrite.physical, rewrite.target, rewrite.interim, rewrite.members, rewrite.scratch}
    own |= {intent.physical for intent in world.state.intents if intent.name == rewrite.name}
    own |= {record.physical for record in world.state.records if record.name == rewrite.name}
    return tuple(
        f"{rewrite.name}: its documents must not be restored, since {index.name} reads the same ones, and would lose "
        f"them: drop {index.name} first"
        for index in world.catalog.indexes
        if index.name not in own and share(index.definition, rewrite.after) and _reads_new(index.definition, rewrite)
    )


def _reads_new(definition: IndexDefinition, rewrite: Rewrite) -> bool:
    """Whether an index over the new layout reads something that only the new layout has."""
    if rewrite.changes_storage or rewrite.moves:
        return True
    written = {field.writes.identifier for field in rewrite.fields if field.writes is not None}
    return any(field.identifier in written for field in definition.fields)


def _physical(rollback: Rollback, world: World) -> str:
    """What the old index will be called: as before, unless somebody else has that name by now."""
    rewrite, catalog = rollback.rewrite, world.catalog
    made = [i.physical for i in world.state.intents if i.name == rewrite.name and _same(i.definition, rewrite.before)]
    for name in (rewrite.physical, *made):
        index = catalog.index(name)
        leads_to = catalog.targets.get(name)
        if index is None and (leads_to is None or leads_to in (rewrite.target, rewrite.serves_first)):
            return name
        if index is not None and (_is_old(index, rewrite) or _is_ours(name, rollback, world)):
            return name
    return next_physical(rewrite.name, world)


def _drops(rollback: Rollback, world: World, physical: str) -> tuple[str, ...]:
    """What has to go before documents are restored: the new index, and helpers that were left behind."""
    rewrite = rollback.rewrite
    record = world.state.record(rewrite.name)
    names = {rewrite.target, rewrite.interim, rewrite.physical, rewrite.members, rewrite.scratch} - {""}
    names |= {record.physical} if record else set()
    found = [(name, world.catalog.index(name)) for name in sorted(names)]
    return tuple(
        name
        for name, index in found
        if index is not None and _is_ours(name, rollback, world) and not (name == physical and _is_old(index, rewrite))
    )


def _is_ours(physical: str, rollback: Rollback, world: World) -> bool:
    """Whether a physical index is known to be one of this declared index, and of nothing else."""
    if physical in (rollback.rewrite.members, rollback.rewrite.scratch):
        return True
    return rollback.name in world.owners.get(physical, ()) and physical not in world.foreign


def _is_old(index: LiveIndex, rewrite: Rewrite) -> bool:
    """Whether a live index is as it was before; where both look alike, it counts as the new one and is built again."""
    return looks_like(index.definition, rewrite.before) and not looks_like(index.definition, rewrite.after)


def _same(one: IndexDefinition, other: IndexDefinition) -> bool:
    return canonicalise(one) == canonicalise(other)


def _names(rewrite: Rewrite, world: World, physicals: tuple[str, ...]) -> tuple[str, ...]:
    """All aliases that lead to the index, or led to it before; not those that lead elsewhere by now."""
    record, targets = world.state.record(rewrite.name), world.catalog.targets
    wanted = {*rewrite.aliases, *(record.aliases if record else ())}
    wanted |= {alias for physical in physicals for alias in world.answering(physical)}
    elsewhere = {alias for alias in wanted if targets.get(alias, physicals[0]) not in physicals}
    return tuple(sorted(wanted - elsewhere - {rewrite.name, *companions(rewrite.name)}))


def _pointed(rollback: Rollback, physical: str, names: tuple[str, ...], world: World) -> list[AnyOperation]:
    """The name first: from then on the index is known to be what serves it."""
    serves = _record(rollback, physical, world)
    first: AnyOperation = RecordIndex(serves=serves)
    if physical != rollback.name:
        first = PointAlias(name=rollback.name, physical=physical, serves=serves)
    return [first, *(PointAlias(name=alias, physical=physical) for alias in names)]


def _record(rollback: Rollback, physical: str, world: World) -> Record:
    """What the state said before the change; of a backup that does not tell, as far as the rewrite does."""
    present, before = world.state.record(rollback.name), rollback.record
    base = before or present or Record(name=rollback.name, physical=physical, definition=rollback.rewrite.before)
    definition = canonicalise(rollback.rewrite.before)
    return replace(base, name=rollback.name, physical=physical, definition=definition, counted=0)
