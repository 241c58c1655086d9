"""Rebuilding: a new state from the live server, for one that was lost or damaged, with the changes that it knew of."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rvlstate.errors import StateError
from rvlstate.model.state import State
from rvlstate.plan.build import candidate_names
from rvlstate.plan.phases import companions
from rvlstate.plan.recovery import recovered, trace_in
from rvlstate.plan.situation import World
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.leftovers import staged_keys
from rvlstate.runtime.profile import inspect_server

if TYPE_CHECKING:
    from rvlstate.project import Project


def rebuild(project: Project) -> State:
    """The state to be written: what serves every declared name, and what is left of changes that were under way.

    Changes that the stored state still tells are kept as they are. Reads every key of the server once. Writes nothing.
    """
    world = _world(project)
    others = project.store.projects()
    keys = staged_keys(project.connection)
    traces = {trace for key in keys if (trace := trace_in(key, project.name, others)) is not None}
    return recovered(project.desired, world, traces)


def _world(project: Project) -> World:
    profile, kept = inspect_server(project.connection), _kept(project)
    names = candidate_names(project.desired, kept)
    names |= {alias for wanted in project.desired.indexes for alias in companions(wanted.name)}
    catalog = inspect_catalog(project.connection, names, profile)
    live = {index.name for index in catalog.indexes}
    kept = replace(kept, intents=tuple(intent for intent in kept.intents if intent.physical in live))
    return World(
        catalog=catalog,
        state=kept,
        server=profile,
        foreign=project.store.foreign(),
        address=project.connection.url,
        project=project.name,
    )


def _kept(project: Project) -> State:
    """What the stored state says about changes under way, where it can be read: no live index tells that."""
    with suppress(StateError):
        stored = project.store.load()
        return State(rewrites=stored.rewrites, intents=stored.intents if stored.rewrites else ())
    return State()
