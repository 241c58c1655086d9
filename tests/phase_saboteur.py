"""A saboteur in a run's connections: at its n-th write the process dies, or somebody else writes just then.

It sits where bytes are sent, so that a run dies as a killed process does: from then on nothing more is sent, the lock
is not released, and what was on its way is carried out by the server.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import redis

from rvlstate.runtime.connect import BytePool
from rvlstate.runtime.documents import scripts

WRITES = re.compile(
    rb"\$\d+\r\n(?:EVALSHA|EVAL|FT\.(?:CREATE|DROPINDEX|ALIAS\w+|ALTER)|EXEC|UNLINK|DEL|SET)\r\n", re.IGNORECASE
)
WORKING = ("rvlstate-scan", "rvlstate-write")
"""Threads whose writes count, beside the one that made the saboteur; others keep a lease or listen, and hear of a death
as of a lost connection."""

When = Literal["before", "after"]
ANSWER_SECONDS = 10.0


class KilledError(BaseException):
    """The process died here."""


@dataclass(slots=True)
class Saboteur:
    """Sees what one run sends; `act` is called at the write number `left` (from 0) of those that count, and it goes on.

    Without `act` the run dies there, before the server gets that write or when it has answered.
    """

    left: int = -1
    counts: re.Pattern[bytes] = WRITES
    when: When = "before"
    act: Callable[[], None] | None = None
    dead: bool = False
    writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _owner: threading.Thread = field(default_factory=threading.current_thread)

    def watch(self, connection: Any) -> Any:
        """Have a connection tell what it sends."""
        send = connection.send_packed_command

        def sending(command: Any, *arguments: Any, **options: Any) -> Any:
            strikes = self._sees(command)
            if self.dead or (strikes and self.act is None and self.when == "before"):
                raise self._death()
            if strikes and self.act is not None:
                self.act()
            sent = send(command, *arguments, **options)
            if strikes and self.act is None:
                connection.can_read(ANSWER_SECONDS)
                raise self._death()
            return sent

        connection.send_packed_command = sending
        return connection

    def _sees(self, command: Any) -> bool:
        """Whether this is the write."""
        if not self._works:
            return False
        packed = command if isinstance(command, bytes) else b"".join(command)
        if not self.counts.search(packed):
            return False
        with self._lock:
            self.writes += 1
            return self.writes == self.left + 1

    def _death(self) -> BaseException:
        self.dead = True
        return KilledError() if self._works else redis.ConnectionError("the process is dead")

    @property
    def _works(self) -> bool:
        thread = threading.current_thread()
        return thread is self._owner or thread.name.startswith(WORKING)


def calls_of(name: str) -> re.Pattern[bytes]:
    """Calls of a script about documents, whatever kind they are of."""
    return re.compile(b"|".join(scripts.script(adapter, name).sha for adapter in scripts.KINDS))


def watched_pool(saboteur: Saboteur) -> type[BytePool]:
    """A pool whose connections are watched."""

    class WatchedPool(BytePool):
        def make_connection(self) -> Any:
            return saboteur.watch(super().make_connection())

    return WatchedPool
