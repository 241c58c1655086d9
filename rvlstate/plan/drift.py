"""Drift: what others changed on the server since it was last applied."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.state import Record, State
from rvlstate.plan.judge import drift_of, hijack_notes
from rvlstate.plan.plan import Change
from rvlstate.plan.situation import World, situate


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDrift:
    """What was changed about one managed index; `notes` explain cause and cure where they are known."""

    name: str
    physical: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All drift of a project. `in_progress` describes an apply that is running, whose changes are not drift."""

    project: str
    indexes: tuple[IndexDrift, ...] = ()
    unmanaged: tuple[str, ...] = ()
    in_progress: str = ""
    interrupted: str = ""

    @property
    def found(self) -> bool:
        """Whether anything drifted."""
        return bool(self.indexes)


def find_drift(world: World, project: str) -> Drift:
    """Compare every record with the live server; declarations play no part."""
    indexes = []
    for record in world.state.records:
        situation = situate(_as_declared(record), world)
        changes = drift_of(situation, world)
        if changes:
            notes = hijack_notes(situation)
            indexes.append(IndexDrift(name=record.name, physical=record.physical, changes=changes, notes=notes))
    known = {*world.owners, *world.foreign, *(record.name for record in world.state.records)}
    unmanaged = tuple(index.name for index in world.catalog.indexes if index.name not in known)
    return Drift(project=project, indexes=tuple(indexes), unmanaged=unmanaged)


def _as_declared(record: Record) -> DesiredIndex:
    return DesiredIndex(name=record.name, definition=record.definition, aliases=record.aliases)


def declared_from(project: str, state: State) -> Desired:
    """The declared set that the state alone describes, for commands that need no schema files."""
    return Desired(project=project, indexes=tuple(_as_declared(record) for record in state.records))
