"""The fence of document writes: the server itself refuses what a process sends whose lease may be over.

Each script that writes is told until when the lease is certain, by the clock of the node that runs it, and compares; on
a server that is no cluster it looks at the lock as well. So a process that is frozen behind its last question and woken
when somebody else holds the lock writes nothing. What stays: a clock of the server that is set back between two
measurements, by as much as it is set back, and on a cluster a lock that was taken away by force, until the guard is
asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rvlstate.errors import StepFailedError
from rvlstate.runtime.documents.node import Clock, Node
from rvlstate.runtime.documents.scripts import Script
from rvlstate.runtime.documents.watch import Call
from rvlstate.runtime.fence import is_fenced
from rvlstate.runtime.state_keys import StateKeys

TRIES = 5
"""So often a batch is sent although it came too late each time."""


class Holding(Protocol):
    """What a fence has to know of a lease; `id` "": there is no lock that could be looked at."""

    @property
    def id(self) -> str:
        """What the lock holds as long as the lease is ours."""
        ...

    @property
    def certain_seconds(self) -> float:
        """For how long from now on nobody else can hold it."""
        ...


@dataclass(frozen=True, slots=True)
class Onlooker:
    """The lease of who has none: every script that writes is refused."""

    id: str = ""
    certain_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Sends scripts that write. `lock` is the key of the lock, b"" where a script cannot reach it.

    `guard` raises when the lease is not ours any more; it is asked when the server refused.
    """

    lease: Holding
    lock: bytes
    guard: Callable[[], None]

    def closed(self, calls: Sequence[Call], clock: Clock) -> list[Call]:
        """The calls with what the scripts compare (see fence.lua)."""
        now = clock.at(time.monotonic())  # first: whoever is frozen behind this line has an earlier deadline
        until = b"%d" % ((now + self.lease.certain_seconds) * 1000)
        held = self.lease.id.encode() if self.lock else b""
        lock = [self.lock] if held else []
        return [([*keys, *lock], [*arguments, until, held]) for keys, arguments in calls]

    def run(self, node: Node, script: Script, calls: Sequence[Call]) -> list[Any]:
        """The replies of a script that writes. Raises what `guard` raises, StepFailedError when it is always late."""
        replies = node.run(script, calls, self.closed)
        for _ in range(TRIES):
            refused = [at for at, reply in enumerate(replies) if is_fenced(reply)]
            if not refused:
                return replies
            self.guard()
            node.forget_clock()
            again = node.run(script, [calls[at] for at in refused], self.closed)
            for at, reply in zip(refused, again, strict=True):
                replies[at] = reply
        raise StepFailedError(
            "write documents",
            why=f"The lease on the state was renewed {TRIES} times, and was over each time when the server wrote.",
            next_step="set RVLSTATE_LEASE_SECONDS to more than a batch takes, then run rvlstate apply: it goes on.",
        )


def fence_of(project: str, lease: Holding, guard: Callable[[], None], *, clustered: bool) -> Fence:
    """The fence for a project; scripts of a cluster cannot look at a key in another slot."""
    return Fence(lease=lease, lock=b"" if clustered else StateKeys(project).lock.encode(), guard=guard)


__all__ = ["Fence", "Holding", "Onlooker", "fence_of", "is_fenced"]
