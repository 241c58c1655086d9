"""Read the world that a plan is made from: state, server and catalog, in one go."""

from __future__ import annotations

from rvlstate.model.desired import Desired
from rvlstate.plan.build import candidate_names
from rvlstate.plan.situation import World
from rvlstate.runtime.clock import now_ms
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.profile import inspect_server
from rvlstate.runtime.state_store import StateStore


def inspect_world(connection: Connection, store: StateStore, desired: Desired) -> World:
    """State, server profile and catalog as they are now."""
    state = store.load()
    profile = inspect_server(connection)
    catalog = inspect_catalog(connection, candidate_names(desired, state), profile)
    return World(
        catalog=catalog,
        state=state,
        server=profile,
        foreign=store.foreign(),
        address=connection.url,
        project=desired.project,
        now=now_ms(),
    )
