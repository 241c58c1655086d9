"""What the user of a connection may do, asked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import redis

from rvlstate.errors import PermissionMissingError
from rvlstate.plan.commands import FORMS, OPTIONAL, Scope
from rvlstate.plan.rights import Needs, work_needs
from rvlstate.runtime.asking_rights import Ask, Question, way_of_asking
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What a user lacks for some work: commands, and patterns of keys; sorted."""

    commands: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def lacking(connection: Connection, needs: Needs) -> Lacking:
    """What the user certainly lacks, on any primary: each of them has users of its own.

    What can be done without is not asked for. Where the user may ask in no other way, commands are tried in forms that
    change nothing, and nothing is certain of keys.
    """
    commands, keys = set[str](), set[str]()
    user = current_user(connection)
    needed = [name for name in needs.commands if name not in OPTIONAL]
    for node in connection.node_clients():
        ask = way_of_asking(connection, node, user)
        if ask is None:
            commands.update(missing_permissions(connection, needed))
        else:
            found = _Looking(ask=ask, needs=needs, commands=needed).lacking()
            commands.update(found.commands)
            keys.update(found.keys)
    return Lacking(commands=tuple(sorted(commands)), keys=tuple(sorted(keys)))


def refuse_lacking(connection: Connection, needs: Needs) -> None:
    """Raise PermissionMissingError with all that the user lacks for some work."""
    found = lacking(connection, needs)
    if found.commands or found.keys:
        commands = tuple(name.replace(" ", "|") for name in found.commands)
        raise PermissionMissingError(current_user(connection), commands, keys=found.keys)


def refuse_onlooker(connection: Connection, project: str) -> None:
    """Raise PermissionMissingError if the user may not work under the lock of a project, or give orders to who does."""
    refuse_lacking(connection, work_needs(project))


ASKED_BY: Mapping[Scope, str] = {"state": "EVAL", "index": "FT.INFO", "documents": "EVALSHA"}
"""The command that is asked about each key; scripts, and FT.*, take every key for one that is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looking:
    """The questions about some needs, put to one node."""

    ask: Ask
    needs: Needs
    commands: list[str]

    def lacking(self) -> Lacking:
        """Keys first, so that each command can be asked about on a key that may be reached."""
        keys = self.needs.keys
        told = dict(zip(keys, self.ask([(ASKED_BY[on], key) for on, _, key in keys]), strict=True))
        reached = {on: key for (on, _, key), verdict in reversed(told.items()) if verdict != "key"}
        questions = [question for name in self.commands for question in self._about(name, reached)]
        verdicts = self.ask(questions)
        denied = {name for (name, _), verdict in zip(questions, verdicts, strict=True) if verdict == "command"}
        unreached = {pattern for (_, pattern, _), verdict in told.items() if verdict == "key"}
        hidden = [each for each, verdict in told.items() if verdict == "command"]
        return Lacking(commands=tuple(denied), keys=tuple(unreached | self._otherwise(hidden, denied)))

    def _about(self, name: str, reached: Mapping[Scope, str]) -> list[Question]:
        """The questions about a command: on a key of each kind that the work is about."""
        form = FORMS[name]
        if form.on == ("server",):
            return [(name, "")]
        about = {on: key for on, _, key in reversed(self.needs.keys)}
        return [(name, reached.get(on, about[on])) for on in form.on if on in about]

    def _otherwise(self, keys: list[tuple[Scope, str, str]], denied: set[str]) -> set[str]:
        """The patterns out of reach among keys about which the usual command could not tell."""
        allowed: dict[Scope, str] = {}
        for name in self.commands:
            if name not in denied:
                allowed |= dict.fromkeys(FORMS[name].on, name)
        asked = [each for each in keys if each[0] in allowed]
        verdicts = self.ask([(allowed[on], key) for on, _, key in asked])
        return {pattern for (_, pattern, _), verdict in zip(asked, verdicts, strict=True) if verdict == "key"}


def permission_missing(
    connection: Connection, commands: Iterable[str], *, keys: tuple[str, ...] = ()
) -> PermissionMissingError:
    """The error for commands, on keys of these patterns, that the server has refused to the user of the connection."""
    names = tuple(sorted({name.replace(" ", "|") for name in commands}))
    return PermissionMissingError(current_user(connection), names, keys=keys)


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
