"""The lease on the state of a project: kept by a heartbeat, checked against the server, fenced by a token."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from rvlstate.errors import LockLostError
from rvlstate.runtime.clock import duration
from rvlstate.runtime.identity import presentable
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.scripts import KeysClient, run_script
from rvlstate.runtime.state_keys import StateKeys

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

BEATS_PER_LEASE = 3
JOIN_SECONDS = 5.0
"""How long `release` waits for a heartbeat that is stuck in a call to a dead server; the thread is a daemon."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant on both clocks: the monotonic one may stop while the machine sleeps, the other may be set back."""

    monotonic: float
    wall: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline in so many seconds."""
        return cls(time.monotonic() + seconds, time.time() + seconds)

    def left(self) -> float:
        """Seconds until the earlier of the two; negative when passed."""
        return min(self.monotonic - time.monotonic(), self.wall - time.time())


class Lease:
    """The right to write the state until released; a context manager.

    The server's word on who holds the lock is final. Without its word the lease counts as lost when the deadline of the
    last confirmation passes. A lost lease stays lost.
    """

    def __init__(
        self, client: KeysClient, project: str, *, lock_id: str, token: int, lease_seconds: float, deadline: Deadline
    ) -> None:
        self.id = lock_id
        self.token = token
        self._client = client
        self._keys = StateKeys(project)
        self._seconds = lease_seconds
        self._deadline = deadline
        self._step = ""
        self._gone = ""
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"rvlstate-lease-{project}", daemon=True)
        self._heart.start()

    @property
    def held(self) -> bool:
        """Whether the lease is held as far as is known here, without asking."""
        return not self._gone and self._deadline.left() > 0

    @property
    def certain_seconds(self) -> float:
        """For how many seconds from now on nobody else can hold the lock, as far as is known here without asking."""
        return 0.0 if self._gone else max(0.0, self._deadline.left())

    def check(self) -> None:
        """Ask the server whether the lease is still ours, and prolong it. Raises LockLostError."""
        answered = self._confirm()
        # A connection that the server closed fails once; who was frozen after the answer holds a stale one.
        if not answered or self._deadline.left() <= 0:
            self._confirm()
        if self._gone:
            raise self._error()

    def describe_step(self, step: str) -> None:
        """Show others what the holder is doing, at once. Raises LockLostError."""
        self._step = presentable(step)
        self.check()

    def lose(self, reason: str = "") -> LockLostError:
        """Give the lease up as lost, since a guarded write was refused; returns the error to raise."""
        self._lose(reason or self._explain())
        return self._error()

    def release(self) -> None:
        """Stop the heartbeat and give the lock back; without a connection it ends by itself. May be called twice."""
        self._stop.set()
        if self._heart is not threading.current_thread():
            self._heart.join(timeout=JOIN_SECONDS)
        if not self._gone:
            self._gone = "It was released."
            with suppress(RedisError):
                run_script(self._client, "release", [self._keys.lock], self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        pause = self._seconds / BEATS_PER_LEASE
        while not self._stop.wait(pause):
            answered = self._confirm()
            if self._gone:
                return
            # After a failure there is no time to lose: the lease is running out.
            pause = self._seconds / BEATS_PER_LEASE / (1 if answered else 5)

    def _confirm(self) -> bool:
        """Prolong the lease on the server, or learn that it is lost; tells whether the server answered."""
        if self._gone:
            return True
        deadline = Deadline.after(self._seconds)
        try:
            ours = run_script(
                self._client,
                "renew",
                [self._keys.fence, self._keys.lock],
                self.id,
                self.token,
                round(self._seconds * 1000),
                self._step,
            )
            if not ours:
                self._lose(self._explain())
        except RedisError as error:
            # A server that is unreachable, loading, full or read-only says nothing about the lock; time does.
            if self._deadline.left() <= 0:
                self._lose(f"The server did not confirm it for {duration(self._seconds)}: {presentable(str(error))}")
            return False
        self._deadline = deadline
        return True

    def _explain(self) -> str:
        left = self._deadline.left()
        with suppress(RedisError):  # the lease is lost whether or not its new holder can be named
            holder = read_lock(self._client, self._keys.project)
            if holder is not None and holder.id != self.id:
                return f"It went to somebody else.\n{holder.describe()}"
        if left <= 0:
            return f"This process was out of touch for more than the {duration(self._seconds)} of its lease."
        return "The lock or the state was removed: by rvlstate unlock, by hand, by eviction, or by a failover."

    def _lose(self, reason: str) -> None:
        self._gone = self._gone or reason

    def _error(self) -> LockLostError:
        return LockLostError(
            "the lock on the state was lost",
            why=f"{self._gone}\nNothing was written to the state after that.",
            next_step="see who holds it with rvlstate status; rvlstate apply then goes on from where things are.",
        )
