"""The fence of index commands: each goes in a script that changes nothing unless the lock is still held.

A process may be frozen between asking for its lease and sending a command, and be woken when another run has the lock.
"""

from __future__ import annotations

import redis

from rvlstate.errors import LockLostError
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.scripts import source
from rvlstate.runtime.state_keys import StateKeys

CHANGES = frozenset(
    {
        *("FT.CREATE", "FT.ALTER", "FT.DROPINDEX", "FT.SYNUPDATE"),
        *("FT.ALIASADD", "FT.ALIASUPDATE", "FT.ALIASDEL"),
    }
)
"""The commands that change an index or an alias; scripts do as well."""

AS_IT_IS = "return redis.pcall(unpack(ARGV))"
"""The script that sends one command; its refusal reads as that of the command itself."""

MOST_ARGUMENTS = 4000
"""Lua refuses a call of some 8,000 arguments; a command of so many, of hundreds of fields, has the guard alone."""


class Fence:
    """Wraps commands of the holder of a lease on a project, for a server that runs FT.* in scripts.

    A coordinated cluster refuses that ("Cannot block"): there only the guard that is asked right before holds.
    """

    def __init__(self, lease: Lease, project: str) -> None:
        self._lease = lease
        self._keys = StateKeys(project)

    def around(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """What to send for a command; itself where it changes nothing."""
        if command[0] == "EVAL":
            return self._script(command[1], command[3:])
        if command[0] not in CHANGES or len(command) > MOST_ARGUMENTS:
            return command
        return self._script(AS_IT_IS, command)

    def lost(self) -> LockLostError:
        """The error for a command that was refused by the fence; the lease is given up."""
        try:
            self._lease.check()
        except LockLostError as error:
            return error
        return self._lease.lose()

    def _script(self, text: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
        guarded = (self._keys.fence, self._keys.lock, self._lease.id, str(self._lease.token))
        return ("EVAL", source("fenced") + text, "2", *guarded, *arguments)


def is_fenced(reply: object) -> bool:
    """Whether a command was not carried out since the lock is not held any more."""
    return isinstance(reply, redis.ResponseError) and str(reply).startswith("FENCED")
