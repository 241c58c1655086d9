"""Recovery: what of changes in phases is found on the server when the state that knew of them is lost.

Staged copies, and the place for them that an index covers, carry the name of their project and the id of their change.
That is enough to take such a change back, and not enough to go on with it: only the state knew what was done.

| found                              | the state that is made of it                                            |
|------------------------------------|-------------------------------------------------------------------------|
| copies, the name answers elsewhere | a change that is being prepared: the next apply, or a rollback, ends it |
| the name answers from an index     | one that is cut over, with the old index to go back to, or one that     |
| over copies                        | puts documents in place, where that is gone: nothing is removed then    |
| an index of a kept or held change  | known as ours: the next apply drops it                                  |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from rvlstate.model.address import BESIDE, REVISION, name_of, revision_of
from rvlstate.model.braces import with_braces, without_braces
from rvlstate.model.canonical import STAGED, canonicalise
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired
from rvlstate.model.rewrite import Phase, Rewrite
from rvlstate.model.state import Intent, Record, State
from rvlstate.plan.phases import SUFFIXES, companions
from rvlstate.plan.promotion import stage_prefix
from rvlstate.plan.situation import World, next_physical

_ID = re.compile(r"(?P<name>.+)-(?P<number>[0-9]+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Trace:
    """A change that left copies, or an index over some: the declared name, and the serial of the state at its begin."""

    name: str
    number: int

    @property
    def id(self) -> str:
        """The id of the change."""
        return f"{self.name}-{self.number}"


def trace_in(text: str, project: str, others: Collection[str] = ()) -> Trace | None:
    """The change that a staged key, or the prefix of some, belongs to; None if it is none of this project's.

    `others` are the other projects on the server: the name of one may begin with that of another.
    """
    own = _place(project)
    if not text.startswith(own) or any(text.startswith(_place(other)) for other in others if len(other) > len(project)):
        return None
    found = _ID.fullmatch(text[len(own) :].partition("{")[0].removesuffix(":"))
    return Trace(name=with_braces(found["name"]), number=int(found["number"])) if found else None


def _place(project: str) -> str:
    return f"{STAGED}{without_braces(project)}."


def uncertain(world: World) -> tuple[LiveIndex, ...]:
    """The indexes over a place for staged copies of this project that its state knows nothing of.

    Such an index keeps that prefix when its change is complete and all copies are gone.
    """
    known = {*world.owners, *world.foreign}
    return tuple(index for index in world.catalog.indexes if index.name not in known and _traces_of(index, world))


def forgotten(world: World) -> tuple[str, ...]:
    """Those of them that a change has left in its middle: there are copies, or no name answers from it."""
    return tuple(
        index.name for index in uncertain(world) if index.name in world.copies or not has_name(index.name, world)
    )


def over_copies(world: World, traces: Collection[Trace | None]) -> frozenset[str]:
    """The indexes that the state does not know and that cover copies of one of these changes."""
    return frozenset(index.name for index in uncertain(world) if not _traces_of(index, world).isdisjoint(traces))


def has_name(physical: str, world: World) -> bool:
    """Whether a name leads to a physical index, or is its own; the aliases that we put beside one do not count."""
    aliases = [alias for alias in world.answering(physical) if not alias.endswith(SUFFIXES)]
    return bool(aliases) or REVISION.match(physical) is None


def forgotten_words(names: Collection[str]) -> str:
    """What to do about indexes that the state forgot."""
    return (
        f"{', '.join(names)}: over staged copies of a change that the state knows nothing of: rvlstate state rebuild "
        "takes it up again, so that it can be taken back"
    )


def _traces_of(index: LiveIndex, world: World) -> set[Trace]:
    found = {trace_in(prefix, world.project, set(world.foreign.values())) for prefix in index.definition.prefixes}
    return {trace for trace in found if trace is not None}


def recovered(desired: Desired, world: World, traces: Iterable[Trace]) -> State:
    """The state as the live server tells it, with the changes that left `traces`.

    The state of `world` holds what is still to be trusted of the one before. No later change gets the id of one that
    left a trace.
    """
    found, kept = sorted(set(traces), reverse=True), world.state
    live = {trace for index in world.catalog.indexes for trace in _traces_of(index, world)}
    state = State(records=_records(desired, world), rewrites=kept.rewrites, intents=kept.intents)
    for name in sorted({trace.name for trace in found} - {begun.name for begun in kept.rewrites}):
        newest = next(trace for trace in found if trace.name == name)
        state = state.with_rewrite(_change(newest, world))
    recorded = {record.physical for record in state.records}
    for intent in _ours(desired, state, world):
        state = state if intent.physical in recorded else state.with_intent(intent)
    return replace(state, serial=max((trace.number for trace in {*found, *live}), default=0))


def _records(desired: Desired, world: World) -> tuple[Record, ...]:
    return tuple(
        Record(
            name=wanted.name,
            physical=index.name,
            definition=world.definition(index),
            counted=index.statistics.failures,
        )
        for wanted in desired.indexes
        for index in (world.catalog.index(world.catalog.resolve(wanted.name) or ""),)
        if index is not None
    )


def _change(trace: Trace, world: World) -> Rewrite:
    """So much of the change that left a trace as is needed to take it back."""
    answers = world.catalog.resolve(trace.name) or ""
    over = [index for index in world.catalog.indexes if trace in _traces_of(index, world)]
    new = next((index for index in over if index.name == answers), over[0] if over else None)
    serves = new is not None and new.name == answers
    old = _old(trace.name, new, world) if serves and new is not None else answers
    phase: Phase = "staging"
    if serves:
        phase = "serving" if old else "promoting"
    alone = new is not None and all(prefix.startswith(STAGED) for prefix in new.definition.prefixes)
    before = _definition(old, new, world)
    target = new.name if new is not None else ""
    return Rewrite(
        id=trace.id,
        name=trace.name,
        strategy="staged",
        before=before,
        after=canonicalise(before),
        physical=old,
        target=next_physical(trace.name, world) if alone else target,
        interim=target if alone else "",
        phase=phase,
        promotion="write_back" if alone else "rename",
        stage=stage_prefix(world.project, trace.id),
        aliases=tuple(sorted(world.answering(old))) if old else (),
    )


def _definition(old: str, new: LiveIndex | None, world: World) -> IndexDefinition:
    index = world.catalog.index(old) or new
    return world.definition(index) if index is not None else IndexDefinition(prefixes=("",), fields=())


def _old(name: str, new: LiveIndex, world: World) -> str:
    """The index that served before: the one that is kept, else the newest revision below; "" if there is none."""
    kept = world.catalog.targets.get(companions(name)[1])
    revision = revision_of(new.name, name) or 0
    below = [(revision_of(index.name, name) or 0, index) for index in world.catalog.indexes]
    older = [index.name for number, index in sorted(below, key=lambda item: item[0]) if 0 < number < revision]
    fitting = [physical for physical in older if physical not in world.foreign]
    return kept if kept in fitting else (fitting[-1] if fitting else "")


def _helpers(names: Collection[str], world: World) -> list[Intent]:
    """The indexes that changes made for themselves, beside one that they built or were to build."""
    own = [(name_of(BESIDE.sub("", index.name)), index) for index in world.catalog.indexes if BESIDE.search(index.name)]
    return [
        Intent(physical=index.name, name=name, definition=world.definition(index))
        for name, index in own
        if name is not None and name in names and index.name not in world.foreign
    ]


def _ours(desired: Desired, state: State, world: World) -> list[Intent]:
    """Idle indexes that changes of ours made: over copies, or led to by an alias of ours beside a declared name.

    And those that they made for themselves.
    """
    found = _helpers({*(wanted.name for wanted in desired.indexes), *(begun.name for begun in state.rewrites)}, world)
    changed = {begun.physical: begun.name for begun in state.rewrites if begun.physical}
    beside = {
        world.catalog.targets[alias]: wanted.name
        for wanted in desired.indexes
        for alias in companions(wanted.name)
        if alias in world.catalog.targets and revision_of(world.catalog.targets[alias], wanted.name) is not None
    }
    for index in world.catalog.indexes:
        names = [trace.name for trace in sorted(_traces_of(index, world))]
        name = next(iter(names), changed.get(index.name) or beside.get(index.name))
        taken = index.name in world.foreign or (names and has_name(index.name, world))
        if name is not None and not taken and REVISION.match(index.name):
            found.append(Intent(physical=index.name, name=name, definition=world.definition(index)))
    return found
