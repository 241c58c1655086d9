"""Translate what the client library raises into errors that say what to do; the last line before the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from rvlstate.errors import PermissionMissingError, StateError
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.permissions import current_user
from rvlstate.runtime.server_errors import is_oom, is_permission, refused_command
from rvlstate.runtime.unreachable import reachable


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """Raise ServerUnreachableError, PermissionMissingError or StateError in place of the library's own errors."""
    with reachable(connection.url):
        try:
            yield
        except ResponseError as error:
            if is_permission(error):
                raise _permission(connection, error) from error
            raise refused_write(error) from error


def refused_write(error: ResponseError) -> StateError:
    """The error for a write of state, lock or journal that the server refused."""
    full = is_oom(error)
    told = "\nIts memory is full: CONFIG SET maxmemory BYTES raises the limit, UNLINK KEY gives memory back."
    memory = "free memory or raise maxmemory" if full else "mend that"
    return StateError(
        "the server refused to write the state",
        why=f"It replied: {error}{told if full else ''}",
        next_step=f"{memory}, then run the command again: it goes on from what is recorded as done.",
    )


def _permission(connection: Connection, error: ResponseError) -> PermissionMissingError:
    user = current_user(connection)
    if named := refused_command(error):
        return PermissionMissingError(user, (named,))
    return PermissionMissingError(
        user,
        ("keys of rvlstate",),
        next_step=f"ask for: ACL SETUSER {user} ~{{rvlstate:*   (the server replied: {error})",
    )
