"""The lock on the state of a project: taken by one run at a time, waited for, read, and taken away by id."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from rvlstate.errors import StateError, UsageError
from rvlstate.runtime.identity import Identity
from rvlstate.runtime.lease import Deadline, Lease
from rvlstate.runtime.lock_info import LockInfo, lock_held, parse_lock, read_lock
from rvlstate.runtime.scripts import KeysClient, keys_as_expected, run_replicated, run_script
from rvlstate.runtime.state_keys import StateKeys

__all__ = ["Lease", "LockInfo", "acquire", "read_lock", "unlock"]

LEASE_SECONDS = 30.0
LEASE_VARIABLE = "RVLSTATE_LEASE_SECONDS"
SHORTEST_LEASE, LONGEST_LEASE = 0.1, 3600.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 16.0
AFTER_EXPIRY = 0.05
"""Seconds past the end of the holder's lease at which to try again."""


def acquire(
    client: KeysClient,
    project: str,
    *,
    operation: str,
    identity: Identity,
    timeout: float = 0.0,
    lease_seconds: float = LEASE_SECONDS,
    on_wait: Callable[[LockInfo], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """Take the lock, trying again for `timeout` seconds; before each pause `on_wait` is told the holder.

    `sleep` and `on_wait` may raise to stop waiting. Raises LockHeldError.
    """
    lock_id = str(uuid.uuid4())
    holder = _holder(operation, identity)
    give_up = time.monotonic() + timeout
    for pause in _pauses():
        outcome = _try(client, project, lock_id, holder, lease_seconds)
        if isinstance(outcome, Lease):
            return outcome
        left = give_up - time.monotonic()
        if left <= 0:
            raise lock_held(outcome)
        if on_wait is not None:
            on_wait(outcome)
        # A dead holder's lease ends at a known time; a living one's moves on, and the pauses grow.
        expiry = LONGEST_PAUSE if outcome.lease_left is None else outcome.lease_left + AFTER_EXPIRY
        sleep(min(pause, left, expiry))
    raise AssertionError  # the pauses never end


def chosen_lease(environ: Mapping[str, str]) -> float:
    """How many seconds a lease lasts unless it is renewed: LEASE_VARIABLE, or 30. Raises UsageError."""
    text = environ.get(LEASE_VARIABLE) or str(LEASE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_LEASE <= seconds <= LONGEST_LEASE:
        raise UsageError(
            f"{LEASE_VARIABLE} is {text!r}", next_step=f"give seconds, from {SHORTEST_LEASE} to {LONGEST_LEASE:.0f}."
        )
    return seconds


def unlock(client: KeysClient, project: str, lock_id: str) -> LockInfo:
    """Take the lock away from the holder, who notices when it next asks; returns what was removed.

    Raises StateError when nobody holds the lock, LockHeldError when its id is another.
    """
    with keys_as_expected(f"the lock of {project}"):
        status, *held = run_script(client, "unlock", [StateKeys(project).lock], lock_id)
    if status == "none":
        raise StateError(
            "the state is not locked",
            where=project,
            why=f"There is no lock {lock_id}: it was released, or its lease ended.",
            next_step="nothing to do; rvlstate status shows what was interrupted.",
        )
    info = parse_lock(held[1], held[0])
    if status == "other":
        raise lock_held(info)
    return info


def _try(
    client: KeysClient, project: str, lock_id: str, holder: Sequence[str | int], lease_seconds: float
) -> Lease | LockInfo:
    keys = StateKeys(project)
    # Counted from before the request, so that it passes here before it passes on the server.
    deadline = Deadline.after(lease_seconds)
    with keys_as_expected(f"the state of {project}"):
        reply, _ = run_replicated(
            client, "acquire", [keys.lock, keys.fence], lock_id, round(lease_seconds * 1000), *holder
        )
    if reply[0] == "held":
        return parse_lock(reply[2], reply[1])
    return Lease(client, project, lock_id=lock_id, token=int(reply[1]), lease_seconds=lease_seconds, deadline=deadline)


def _holder(operation: str, identity: Identity) -> list[str | int]:
    fields: dict[str, str | int] = {
        "operation": operation,
        "who": identity.who,
        "host": identity.host,
        "pid": identity.pid,
        "ci_url": identity.ci_url,
        "version": identity.version,
        "step": "",
    }
    return [part for pair in fields.items() for part in pair]


def _pauses() -> Iterator[float]:
    """Seconds between tries: 1, 2, 4, 8, 16, 16 ..., each shortened by up to a half so that waiters spread."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, LONGEST_PAUSE)
