"""Notes of `rvlstate watch` in Redis: that it is at work on an index, and when it last went through its documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rvlstate.model.state import State
from rvlstate.runtime.clock import now_ms
from rvlstate.runtime.identity import Identity
from rvlstate.runtime.scripts import KeysClient
from rvlstate.runtime.state_keys import StateKeys

KEPT_MS = 7 * 24 * 3600 * 1000
ALIVE_MS = 60_000
"""A watch that has not looked for so long is not at work any more: it looks every ten seconds at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchNote:
    """Who watches an index, and when its last pass was complete (ms since 1970); `ended`: stopped since."""

    who: str
    host: str
    pid: int
    at: int
    ended: bool = False

    def is_at_work(self, now: int) -> bool:
        """Whether what is written in the old layout is being brought into the new one."""
        return not self.ended and now - self.at < ALIVE_MS


def write_note(client: KeysClient, project: str, name: str, identity: Identity, *, ended: bool = False) -> None:
    """Say that a pass is complete, or that there will be no more of them."""
    before = _read(client, project, name) if ended else None
    at = before.at if before is not None else now_ms()
    note = WatchNote(who=identity.who, host=identity.host, pid=identity.pid, at=at, ended=ended)
    client.set(_key(project, name), json.dumps(asdict(note)), px=KEPT_MS)


def read_notes(client: KeysClient, project: str, state: State) -> dict[str, WatchNote]:
    """The notes about indexes that are being changed; those of others are of no interest."""
    notes: Mapping[str, WatchNote | None] = {
        rewrite.name: _read(client, project, rewrite.name) for rewrite in state.rewrites if rewrite.phased
    }
    return {name: note for name, note in notes.items() if note is not None}


def _read(client: KeysClient, project: str, name: str) -> WatchNote | None:
    try:
        return WatchNote(**json.loads(client.get(_key(project, name)) or "null"))
    except (ValueError, TypeError):  # a hint: none is as right
        return None


def _key(project: str, name: str) -> str:
    return StateKeys(project).run(f"watch:{name}")
