"""Where one declared index stands: what serves its name, what hides it, what an interrupted run left behind.

| record | name answers from              | then                                                          |
|--------|--------------------------------|---------------------------------------------------------------|
| none   | nothing                        | to be created                                                 |
| none   | an index of nobody             | to be taken into management                                   |
| P      | P                              | the normal case                                               |
| P      | a later one that we intended   | an interrupted run got that far: it serves                    |
| P      | a physical index called `name` | hijacked: P is hidden (P gone: that one serves)               |
| P      | another index                  | the alias was moved by hand: P is detached (P gone: it serves)|
| P      | nothing                        | the alias is gone: P is detached (P gone: to be created)      |
| any    | an index of another name       | never taken from it: as if nothing answered                   |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from rvlstate.model.address import REVISION, physical_name, revision_of
from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.reveal import reveal
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record, State
from rvlstate.plan.sample import Sample


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that a plan is made from on the live side.

    `foreign` maps physical indexes to the other project that manages them; `address` says which server this is;
    `samples` maps a declared index to what some of its documents told; `project` names whose state it is, and `now` is
    the time, in ms since 1970. `copies` are indexes that the state does not know, over staged copies that are there.
    """

    catalog: Catalog
    state: State
    server: ServerProfile
    foreign: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    samples: Mapping[str, Sample] = field(default_factory=dict)
    project: str = ""
    now: int = 0
    copies: frozenset[str] = frozenset()

    def definition(self, index: LiveIndex) -> IndexDefinition:
        """The definition of a live index, with what FT.INFO hides filled in from what was recorded."""
        return reveal(index.definition, self.state.known_definitions(index.name))

    @cached_property
    def revisions(self) -> Mapping[str, int]:
        """The highest revision of each name that is live or recorded; braces of a hash tag are not part of the name."""
        highest: dict[str, int] = {}
        physicals = [index.name for index in self.catalog.indexes] + [other.physical for other in self.state.records]
        for match in filter(None, map(REVISION.match, physicals)):
            for name in {match["name"], match["name"].removeprefix("{").removesuffix("}")}:
                highest[name] = max(highest.get(name, 0), int(match["revision"]))
        return highest

    @cached_property
    def owners(self) -> Mapping[str, tuple[str, ...]]:
        """Physical index -> the names that it was recorded for, then those that it was intended for."""
        found: dict[str, tuple[str, ...]] = {}
        pairs = [(record.physical, record.name) for record in self.state.records]
        for physical, name in [*pairs, *((intent.physical, intent.name) for intent in self.state.intents)]:
            found[physical] = (*found.get(physical, ()), name)
        return found

    @cached_property
    def aliases_of(self) -> Mapping[str, tuple[str, ...]]:
        """Physical index -> the aliases that lead to it."""
        found: dict[str, tuple[str, ...]] = {}
        for alias, target in self.catalog.aliases:
            found[target] = (*found.get(target, ()), alias)
        return found

    @property
    def remembered(self) -> State:
        """The state without intents about indexes that are not there: killed runs dropped them, or never made them."""
        there = {index.name for index in self.catalog.indexes} | set(self.catalog.unreadable)
        return replace(self.state, intents=tuple(intent for intent in self.state.intents if intent.physical in there))

    def answering(self, physical: str) -> tuple[str, ...]:
        """The aliases that lead to a physical index."""
        return self.aliases_of.get(physical, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where one declared index stands.

    `serving` is the index to start from and `attached` tells whether the name answers from it; `hijacker` is a
    physical index that hides the name's alias; `ready` is an idle index of ours that has the wanted definition;
    `leftovers` are others of ours that nothing leads to, and `replaced` those to be given up once all is done;
    `was_named` is the old name of a rename to be done; `stranger` is an index of that name which is in the way of the
    rename; `occupied` is the managed index whose physical index has this very name; `hidden_aliases` are declared
    further aliases that a physical index of their name hides; `pending` is a change of its documents that was begun.
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
    replaced: tuple[str, ...] = ()
    next_physical: str = ""
    was_named: str | None = None
    stranger: str | None = None
    occupied: str | None = None
    hidden_aliases: tuple[str, ...] = ()
    pending: Rewrite | None = None

    @property
    def basis(self) -> IndexDefinition | None:
        """What the declaration is compared with: while an index is being replaced, what was there before.

        That may be gone then, or the new one may serve already.
        """
        if self.pending is not None and self.pending.strategy != "backfill":
            return self.pending.before
        return self.definition

    @property
    def name_is_physical(self) -> bool:
        """Whether the declared name is that of the physical index which serves it."""
        return self.serving is not None and self.serving.name == self.wanted.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Which physical indexes are those of other names than `own`; `record` is that of the wanted index.

    `claimed`: physical index -> another declared name that is served from it.
    """

    own: tuple[str | None, ...]
    record: Record | None
    world: World
    claimed: Mapping[str, str]

    def owner(self, physical: str) -> str | None:
        """The other name that a physical index serves, or was recorded or intended for; None if there is none."""
        if physical in self.claimed:
            return self.claimed[physical]
        if self.record is not None and physical == self.record.physical:
            return None
        return next((name for name in self.world.owners.get(physical, ()) if name not in self.own), None)


def situate_all(desired: Desired, world: World) -> dict[str, Situation]:
    """Where every declared index stands; no physical index serves two of them."""
    claimed: dict[str, str] = {}
    situations: dict[str, Situation] = {}
    # Who has the physical name, or a record, comes before who has an alias only.
    for wanted in sorted(desired.indexes, key=lambda item: (world.catalog.index(item.name) is None, item.name)):
        situation = situate(wanted, world, claimed)
        if situation.serving is not None:
            claimed[situation.serving.name] = wanted.name
        situations[wanted.name] = situation
    return {wanted.name: situations[wanted.name] for wanted in desired.indexes}


def situate(wanted: DesiredIndex, world: World, claimed: dict[str, str] | None = None) -> Situation:
    """Find out where a declared index stands; `claimed`: physical indexes that serve other declared names."""
    record, was_named = _record_of(wanted, world)
    others = Others(own=(wanted.name, was_named), record=record, world=world, claimed=claimed or {})
    serving, attached, hijacker = _serving(wanted.name, record, world, others)
    stranger = None
    if was_named is not None:
        stranger, hijacker, attached = world.catalog.resolve(wanted.name), None, False
        stranger = None if serving is not None and stranger == serving.name else stranger
    pending = world.state.rewrite(wanted.name)
    idle = _idle_indexes(others, [*_names(serving, hijacker), *taken_up(pending)])
    ready = _ready(wanted, record, idle, world)
    unneeded = [index for index in idle if index is not ready]
    leftovers = tuple(index.name for index in unneeded if _is_loose(index, record, world))
    return Situation(
        wanted=wanted,
        record=record,
        serving=serving,
        definition=world.definition(serving) if serving else None,
        attached=attached,
        alias_target=world.catalog.targets.get(wanted.name),
        hijacker=hijacker,
        ready=ready,
        leftovers=leftovers,
        replaced=tuple(index.name for index in unneeded if index.name not in leftovers),
        next_physical=ready.name if ready else next_physical(wanted.name, world),
        was_named=was_named,
        stranger=stranger,
        occupied=others.owner(wanted.name) if world.catalog.index(wanted.name) else None,
        hidden_aliases=tuple(alias for alias in wanted.aliases if world.catalog.index(alias) is not None),
        pending=pending,
    )


def _record_of(wanted: DesiredIndex, world: World) -> tuple[Record | None, str | None]:
    own = world.state.record(wanted.name)
    if own is not None or wanted.renamed_from is None:
        return own, None
    old = world.state.record(wanted.renamed_from)
    return old, (wanted.renamed_from if old else None)


def taken_up(pending: Rewrite | None) -> list[str]:
    """The indexes that a change which goes through phases looks after itself."""
    if pending is None or not pending.phased:
        return []
    return [pending.physical, pending.interim, pending.target, pending.members]


def _names(*indexes: LiveIndex | None) -> list[str]:
    return [index.name for index in indexes if index is not None]


def _serving(
    name: str, record: Record | None, world: World, others: Others
) -> tuple[LiveIndex | None, bool, LiveIndex | None]:
    """The index to start from, whether the name answers from it, and what hides it."""
    catalog = world.catalog
    answers_from = catalog.resolve(name)
    answering = catalog.index(answers_from) if answers_from and not others.owner(answers_from) else None
    recorded = catalog.index(record.physical) if record and not others.owner(record.physical) else None
    if recorded is None or record is None:
        return answering, True, None
    if answering is None:
        return recorded, False, None
    if answering.name == recorded.name or _succeeds(answering, record, name, world):
        return answering, True, None
    hijacker = answering if answering.name == name else None
    return recorded, False, hijacker


def _succeeds(answering: LiveIndex, record: Record, name: str, world: World) -> bool:
    """Whether we meant to serve the name from this index after the recorded one.

    An earlier revision is one that was replaced and is not dropped yet: somebody moved the alias back to it.
    """
    intent = world.state.intent(answering.name)
    if intent is None or intent.name != name:
        return False
    return (revision_of(answering.name, name) or 0) > (revision_of(record.physical, name) or 0)


def _idle_indexes(others: Others, busy: list[str]) -> tuple[LiveIndex, ...]:
    """Physical indexes of ours for this name that do not serve it, newest first."""
    world, name = others.world, others.own[0] or ""
    ours = {intent.physical for intent in world.state.intents if intent.name in others.own}
    if others.record is not None:
        ours.add(others.record.physical)
    found = [world.catalog.index(physical) for physical in sorted(ours - set(busy)) if not others.owner(physical)]
    idle = [index for index in found if index is not None]
    return tuple(sorted(idle, key=lambda index: revision_of(index.name, name) or 0, reverse=True))


def _is_loose(index: LiveIndex, record: Record | None, world: World) -> bool:
    """Whether nothing leads to an index: no alias, and not the record either."""
    return not world.answering(index.name) and (record is None or index.name != record.physical)


def _ready(wanted: DesiredIndex, record: Record | None, idle: tuple[LiveIndex, ...], world: World) -> LiveIndex | None:
    """The newest that is as wanted; not one that an alias leads to, since it would be removed if its build failed."""
    goal = canonicalise(wanted.definition)
    return next(
        (
            index
            for index in idle
            if _is_of(index, wanted, record) and not world.answering(index.name) and world.definition(index) == goal
        ),
        None,
    )


def _is_of(index: LiveIndex, wanted: DesiredIndex, record: Record | None) -> bool:
    """Whether an index was made or recorded for this very name, not only for a name that it had before."""
    recorded = record is not None and record.physical == index.name
    return recorded or revision_of(index.name, wanted.name) is not None


def next_physical(name: str, world: World, *, ahead: int = 1) -> str:
    """The next free revision of a name, or one further `ahead`; one that was intended and never made is free."""
    revision = world.revisions.get(name, 0) + ahead
    return physical_name(name, revision, one_slot=not world.server.can("cross_slot_aliases"))
