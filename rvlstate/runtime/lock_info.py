"""The holder of the lock, as others see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rvlstate.errors import LockHeldError, StateError
from rvlstate.runtime.clock import duration, iso_utc
from rvlstate.runtime.identity import presentable
from rvlstate.runtime.scripts import KeysClient, keys_as_expected, parse_record
from rvlstate.runtime.state_keys import StateKeys

DEAF = ("import", "state rebuild", "watch")
"""Operations that take no orders: each ends within moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockInfo:
    """A lock as it was read: its holder, how long it was held by the server's clock, how long the lease has left.

    `lease_left` is None for a lock without an expiry, which rvlstate never leaves behind.
    """

    id: str
    operation: str
    who: str
    host: str
    pid: int
    since: str
    step: str = ""
    ci_url: str = ""
    token: int = 0
    version: str = ""
    held_seconds: float = 0.0
    lease_left: float | None = None

    def describe(self, now: datetime | None = None) -> str:
        """Lines for a person: who, where, since when, doing what. `now` replaces the server's clock."""
        held = (
            self.held_seconds
            if now is None
            else (now - datetime.fromisoformat(self.since[:-1] + "+00:00")).total_seconds()
        )
        lines = [
            f"Held by {self.operation} of {self.who} on {self.host} (pid {self.pid}).",
            f"Since: {self.since} ({duration(held)} ago)",
            f"Step: {self.step}" if self.step else "",
            f"CI: {self.ci_url}" if self.ci_url else "",
            f"{self._lease()} Lock id: {self.id}",
        ]
        return "\n".join(line for line in lines if line)

    def _lease(self) -> str:
        if self.lease_left is None:
            return "The lock has no expiry, so it does not end by itself."
        return f"Unless renewed, its lease ends in {duration(self.lease_left)}."


def read_lock(client: KeysClient, project: str) -> LockInfo | None:
    """The lock of a project, or None when nobody holds it; needs no more than the right to read."""
    keys = StateKeys(project)
    with keys_as_expected(f"the lock of {project}"):
        pipeline = client.pipeline(transaction=False)
        pipeline.get(keys.lock)
        pipeline.pttl(keys.lock)
        text, expiry = pipeline.execute()
    return parse_lock(text, expiry) if text else None


def parse_lock(text: str, expiry: int) -> LockInfo:
    """A lock from its record and its PTTL. Raises StateError for what is no record."""
    held = _record(text)
    left = max(expiry, 0) if expiry != -1 else None
    since, renewed, lease = (_number(held.get(name)) for name in ("since", "renewed", "lease"))
    # The expiry was set to `lease` at `renewed`, so what is gone of it tells the time without asking for it.
    now = renewed if left is None else renewed + lease - left
    return LockInfo(
        id=held.get("id", ""),
        pid=_number(held.get("pid")),
        since=iso_utc(since),
        token=_number(held.get("token")),
        held_seconds=max(0, now - since) / 1000,
        lease_left=None if left is None else left / 1000,
        **{name: presentable(held.get(name, "")) for name in ("operation", "who", "host", "step", "ci_url", "version")},
    )


def _record(text: str) -> dict[str, str]:
    try:
        held = parse_record(text)
    except (ValueError, TypeError):
        held = {}
    if held.get("id"):
        return held
    raise StateError(
        "the lock holds something that rvlstate did not write",
        why=f"It begins with: {presentable(held.get('unreadable', text))[:60]}",
        next_step="look at the key, move it out of the way (RENAME), and run again.",
    )


def lock_held(info: LockInfo) -> LockHeldError:
    """The error for everybody but the holder."""
    waits = "wait for it (--lock-timeout 60)"
    if info.operation not in DEAF:
        waits += ", stop it (rvlstate abort: it ends where it can be gone on with)"
    return LockHeldError(
        info.describe(), info.id, next_step=f"{waits}, or if that process is dead: rvlstate unlock {info.id}"
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
