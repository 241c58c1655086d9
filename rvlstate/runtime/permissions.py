"""What the user of a connection may do, asked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import redis

from rvlstate.errors import PermissionMissingError
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.server_errors import is_command_permission, is_permission

PROBE = "0"
"""A name for everything: as a number it also passes where a command wants a count (EVAL)."""

MOST_ARGUMENTS = 6
HARMLESS: Mapping[str, tuple[str, ...]] = {
    "ACL WHOAMI": (),
    "COMMAND INFO": ("PING",),
    "CONFIG GET": ("maxmemory",),
    "DBSIZE": (),
    "EVAL": ("return 0", "0"),
    "EVALSHA": ("0" * 40, "0"),
    "EXISTS": (PROBE,),
    "GET": (PROBE,),
    "INFO": ("server",),
    "PING": (),
    "SCAN": ("0", "COUNT", "1"),
    "TYPE": (PROBE,),
}
"""Forms of commands that change nothing. FT.* are harmless without arguments: the server refuses that (measured)."""

SCRIPT = ("EVAL", "return 0", "1")
"""The beginning of a script with one key, as the state is written by."""


def current_user(connection: Connection) -> str:
    """The user of the connection; as the URL names it where the server does not tell."""
    (reply,) = connection.ask([("ACL WHOAMI",)])
    if isinstance(reply, redis.ResponseError):
        return str(connection.search.connection_pool.connection_kwargs.get("username") or "default")
    return str(reply)


def missing_permissions(connection: Connection, commands: Iterable[str]) -> tuple[str, ...]:
    """Those of `commands` (`FT.CREATE`, `CONFIG GET`) that the user certainly may not run, sorted.

    A command that is allowed but for the keys of the probe is not among them; see `missing_keys`.
    """
    wanted = sorted({name.upper().replace("|", " ") for name in commands})
    denied = _denied_by_dry_run(connection, wanted)
    if denied is None:
        denied = _denied_by_trying(connection, wanted)
    return tuple(name for name in wanted if name in denied)


def missing_keys(connection: Connection, keys: Iterable[str], *, by: tuple[str, ...] = SCRIPT) -> tuple[str, ...]:
    """Those of `keys` that the user certainly may not reach, sorted; `by` is the command in front of the key.

    Index names are keys of FT.* where no coordinator is at work. Nothing is certain where ACL DRYRUN is not allowed.
    """
    wanted = sorted(set(keys))
    user = current_user(connection)
    replies = connection.ask([("ACL DRYRUN", user, *by, key) for key in wanted])
    return tuple(key for key, reply in zip(wanted, replies, strict=True) if _denies_key(reply))


def permission_missing(
    connection: Connection, commands: Iterable[str], *, next_step: str = ""
) -> PermissionMissingError:
    """The error for commands that the server has refused to the user of the connection."""
    names = tuple(sorted({name.replace(" ", "|") for name in commands}))
    return PermissionMissingError(current_user(connection), names, next_step=next_step)


def _denied_by_dry_run(connection: Connection, wanted: list[str]) -> set[str] | None:
    """The commands that ACL DRYRUN denies, with as many arguments as it takes; None if the user may not ask."""
    user = current_user(connection)
    questions = [(name, count) for name in wanted for count in range(MOST_ARGUMENTS + 1)]
    replies = connection.ask([("ACL DRYRUN", user, *name.split(), *[PROBE] * count) for name, count in questions])
    if any(isinstance(reply, redis.ResponseError) and is_permission(reply) for reply in replies):
        return None
    return {name for (name, _), reply in zip(questions, replies, strict=True) if _denies_command(reply)}


def _denied_by_trying(connection: Connection, wanted: list[str]) -> set[str]:
    harmless = {name: (name, *HARMLESS.get(name, ())) for name in wanted if name in HARMLESS or name.startswith("FT.")}
    replies = connection.ask(list(harmless.values()))
    return {name for name, reply in zip(harmless, replies, strict=True) if is_command_permission(reply)}


def _denies_command(reply: object) -> bool:
    # ACL DRYRUN says so in a text, not in an error.
    return isinstance(reply, str) and "no permissions to run" in reply


def _denies_key(reply: object) -> bool:
    return isinstance(reply, str) and "no permissions to access" in reply
