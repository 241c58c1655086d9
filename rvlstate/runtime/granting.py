"""The grants for a project on its server: what the server knows decides which commands a line may name."""

from __future__ import annotations

from collections.abc import Sequence

from rvlstate.model.desired import Desired
from rvlstate.model.state import State
from rvlstate.plan.commands import FORMS, ON_A_CLUSTER
from rvlstate.plan.grants import ROLES, Grant, Role, Ways, grant
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.profile import inspect_server

CHECKS_PREFIXES = 8
"""From this major version of RediSearch on an index is shown only to who may read all keys that it covers."""


def grants_for(
    connection: Connection, desired: Desired, state: State, roles: Sequence[Role], *, documents: bool
) -> tuple[Grant, ...]:
    """The users for these roles, or for all. Raises PermissionMissingError, ServerUnreachableError."""
    profile = inspect_server(connection)
    ways = Ways(
        known=_known(connection),
        reads_prefixes=int(profile.search.partition(".")[0]) >= CHECKS_PREFIXES,
        one_slot=not profile.can("cross_slot_aliases"),
    )
    return tuple(grant(role, desired, state, ways, documents=documents) for role in roles or ROLES)


def _known(connection: Connection) -> frozenset[str]:
    """The commands of the table that the server has; a line that names another one is refused as a whole."""
    names = sorted(FORMS)
    (replies,) = connection.ask([("COMMAND INFO", *(name.replace(" ", "|") for name in names))])
    found = {name for name, reply in zip(names, replies, strict=True) if reply}
    return frozenset(found if is_clustered(connection) else found - set(ON_A_CLUSTER))


__all__ = ["Grant", "Role", "grants_for"]
