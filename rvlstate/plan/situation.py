"""Where one declared index stands: what serves its name, what hides it, what an interrupted run left behind.

| record | name answers from              | then                                                          |
|--------|--------------------------------|---------------------------------------------------------------|
| none   | nothing                        | to be created                                                 |
| none   | an index                       | to be taken into management                                   |
| P      | P                              | the normal case                                               |
| P      | an index that we intended      | an interrupted run got that far: it serves                    |
| P      | a physical index called `name` | hijacked: P is hidden (P gone: that one serves)               |
| P      | another index                  | the alias was moved by hand: P is detached (P gone: it serves)|
| P      | nothing                        | the alias is gone: P is detached (P gone: to be created)      |
"""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.model.address import physical_name, revision_of
from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import DesiredIndex
from rvlstate.model.reveal import reveal
from rvlstate.model.state import Record, State


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a plan is made from on the live side."""

    catalog: Catalog
    state: State
    server: ServerProfile

    def definition(self, index: LiveIndex) -> IndexDefinition:
        """The definition of a live index, with what FT.INFO hides filled in from what was recorded."""
        return reveal(index.definition, self.state.known_definitions(index.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where one declared index stands.

    `serving` is the index to start from and `attached` tells whether the name answers from it; `hijacker` is a
    physical index that hides the name's alias; `ready` is an index left by an interrupted run that has the wanted
    definition; `leftovers` are others of ours that serve nothing; `was_named` is the old name of a rename to be done;
    `stranger` is an index of that name which is in the way of the rename.
    """

    wanted: DesiredIndex
    record: Record | None = None
    serving: LiveIndex | None = None
    definition: IndexDefinition | None = None
    attached: bool = True
    alias_target: str | None = None
    hijacker: LiveIndex | None = None
    ready: LiveIndex | None = None
    leftovers: tuple[str, ...] = ()
    next_physical: str = ""
    was_named: str | None = None
    stranger: str | None = None

    @property
    def name_is_physical(self) -> bool:
        """Whether the declared name is that of the physical index which serves it."""
        return self.serving is not None and self.serving.name == self.wanted.name


def situate(wanted: DesiredIndex, world: World) -> Situation:
    """Find out where a declared index stands."""
    record, was_named = _record_of(wanted, world)
    serving, attached, hijacker = _serving(wanted.name, record, world)
    stranger = None
    if was_named is not None:
        stranger, hijacker, attached = world.catalog.resolve(wanted.name), None, False
        stranger = None if serving is not None and stranger == serving.name else stranger
    idle = _idle_indexes(wanted, record, world, serving, hijacker)
    ready = _ready(wanted, idle, world)
    return Situation(
        wanted=wanted,
        record=record,
        serving=serving,
        definition=world.definition(serving) if serving else None,
        attached=attached,
        alias_target=dict(world.catalog.aliases).get(wanted.name),
        hijacker=hijacker,
        ready=ready,
        leftovers=tuple(index.name for index in idle if ready is None or index.name != ready.name),
        next_physical=ready.name if ready else next_physical(wanted.name, world),
        was_named=was_named,
        stranger=stranger,
    )


def _record_of(wanted: DesiredIndex, world: World) -> tuple[Record | None, str | None]:
    own = world.state.record(wanted.name)
    if own is not None or wanted.renamed_from is None:
        return own, None
    old = world.state.record(wanted.renamed_from)
    return old, (wanted.renamed_from if old else None)


def _serving(name: str, record: Record | None, world: World) -> tuple[LiveIndex | None, bool, LiveIndex | None]:
    """The index to start from, whether the name answers from it, and what hides it."""
    catalog = world.catalog
    answers_from = catalog.resolve(name)
    answering = catalog.index(answers_from) if answers_from else None
    recorded = catalog.index(record.physical) if record else None
    if answering is None or recorded is None or answering.name == recorded.name:
        if answering is None and recorded is not None:
            return recorded, False, None
        return answering, True, None
    intent = world.state.intent(answering.name)
    if intent is not None and intent.name == name:
        return answering, True, None
    hijacker = answering if answering.name == name else None
    return recorded, False, hijacker


def _idle_indexes(
    wanted: DesiredIndex, record: Record | None, world: World, *busy: LiveIndex | None
) -> tuple[LiveIndex, ...]:
    """Physical indexes of ours for this name that nothing answers from, newest first."""
    taken = {index.name for index in busy if index is not None}
    ours = [intent.physical for intent in world.state.intents if intent.name == wanted.name]
    if record is not None:
        ours.append(record.physical)
    live = [index for index in world.catalog.indexes if index.name in ours and index.name not in taken]
    served = {physical for _, physical in world.catalog.aliases}
    idle = [index for index in live if index.name not in served]
    return tuple(sorted(idle, key=lambda index: revision_of(index.name, wanted.name) or 0, reverse=True))


def _ready(wanted: DesiredIndex, idle: tuple[LiveIndex, ...], world: World) -> LiveIndex | None:
    goal = canonicalise(wanted.definition)
    return next((index for index in idle if world.definition(index) == goal), None)


def next_physical(name: str, world: World) -> str:
    """The next free revision of a name."""
    known = [
        *(index.name for index in world.catalog.indexes),
        *(intent.physical for intent in world.state.intents),
        *(record.physical for record in world.state.records),
    ]
    highest = max((revision_of(physical, name) or 0 for physical in known), default=0)
    return physical_name(name, highest + 1, one_slot=not world.server.can("cross_slot_aliases"))
