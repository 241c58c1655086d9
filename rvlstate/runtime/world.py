"""Read the world that a plan is made from: state, server and catalog, in one go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from rvlstate.model.desired import Desired
from rvlstate.plan.build import candidate_names
from rvlstate.plan.recovery import has_name, over_copies, trace_in, uncertain
from rvlstate.plan.situation import World
from rvlstate.runtime.clock import now_ms
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.leftovers import staged_keys
from rvlstate.runtime.profile import inspect_server
from rvlstate.runtime.state_store import StateStore


def inspect_world(connection: Connection, store: StateStore, desired: Desired) -> World:
    """State, server profile and catalog as they are now."""
    state = store.load()
    profile = inspect_server(connection)
    catalog = inspect_catalog(connection, candidate_names(desired, state), profile)
    world = World(
        catalog=catalog,
        state=state,
        server=profile,
        foreign=store.foreign(),
        address=connection.url,
        project=desired.project,
        now=now_ms(),
    )
    return with_copies(connection, world, store.projects)


def with_copies(connection: Connection, world: World, others: Callable[[], Collection[str]]) -> World:
    """The world with what is known of staged copies under indexes that serve and that the state does not know.

    Whether there are any is looked for in all keys, which is worth it in this one case only; `others` tells the other
    projects on the server.
    """
    if not any(has_name(index.name, world) for index in uncertain(world)):
        return world
    projects = others()
    found = {trace_in(key, world.project, projects) for key in staged_keys(connection)}
    return replace(world, copies=over_copies(world, found))
