"""The state of a project in Redis: read whole, written by compare-and-set under the lease."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from redis.client import NEVER_DECODE
from redis.exceptions import NoPermissionError

from rvlstate import __version__
from rvlstate.errors import StateError
from rvlstate.model.state import State
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.scripts import KeysClient, keys_as_expected, run_replicated
from rvlstate.runtime.state_keys import PROJECTS, StateKeys
from rvlstate.runtime.state_payload import (
    FORMAT,
    dump_state,
    load_state,
    lost,
    newer_format,
    parse_stored,
    present_state,
)

__all__ = ["StateKeys", "StateStore"]

ANY_SERIAL = "*"
log = logging.getLogger(__name__)


class StateStore:
    """Loads and saves the state of one project.

    `replicas` tells how many replicas confirmed the last write in time, None where the server has none.
    """

    def __init__(self, client: KeysClient, project: str) -> None:
        self.keys = StateKeys(project)
        self.replicas: int | None = None
        self._client = client

    def load(self) -> State:
        """The recorded state; an empty one if none was ever written. Raises StateError if it cannot be trusted."""
        stored = self._read()
        if not stored and self._client.exists(self.keys.history):
            raise lost(self.keys.project)
        return load_state(self.keys.project, stored)

    def foreign(self) -> dict[str, str]:
        """Physical index -> the other project on this server that manages it.

        A hint: a project whose state cannot be read, or that the user may not read, is passed over.
        """
        found: dict[str, str] = {}
        with suppress(StateError):
            for name in self.projects():
                with suppress(StateError, NoPermissionError):
                    found.update({record.physical: name for record in StateStore(self._client, name).load().records})
        return found

    def projects(self) -> tuple[str, ...]:
        """The other projects that are known on this server, as far as the user may know; sorted."""
        with suppress(NoPermissionError):
            names: Any = self._client.smembers(PROJECTS)
            return tuple(sorted(set(names) - {self.keys.project}))
        return ()

    def pull(self) -> str:
        """What is stored, as indented JSON, damaged or not."""
        return present_state(self._read())

    def save(self, state: State, lease: Lease) -> State:
        """Write a state that was loaded and changed: the same with the next serial, or as it was if nothing changed.

        The first write gives the state its lineage. Raises LockLostError, or StateError if the stored serial moved.
        """
        lineage = state.lineage or _new_lineage()
        written = replace(state, lineage=lineage, serial=state.serial + 1)
        expected = str(state.serial) if state.serial else ""
        status = self._write(written, lease, expected, state.lineage)
        if written.serial == 1:
            self._register()
        return state if status == "same" else written

    def _register(self) -> None:
        with suppress(NoPermissionError):  # others then take our indexes for nobody's, as before there was a registry
            self._client.sadd(PROJECTS, self.keys.project)

    def replace(self, state: State, lease: Lease) -> State:
        """Write a rebuilt state over whatever is stored, under a new lineage; the serial goes on if it can be read."""
        stored = self._read()
        if newer_format(stored):
            load_state(self.keys.project, stored)  # raises: what a later version knows would be lost
        serial = max(state.serial, _serial(stored))
        written = replace(state, lineage=_new_lineage(), serial=serial + 1)
        self._write(written, lease, ANY_SERIAL, "")
        self._register()
        return written

    def _write(self, state: State, lease: Lease, expected: str, expected_lineage: str) -> str:
        stored = dump_state(state)
        with keys_as_expected(f"the state of {self.keys.project}"):
            reply, self.replicas = run_replicated(
                self._client,
                "save",
                [self.keys.fence, self.keys.lock, self.keys.state],
                lease.id,
                lease.token,
                expected,
                expected_lineage,
                stored.serial,
                stored.lineage,
                stored.payload,
                stored.checksum,
                FORMAT,
                __version__,
            )
        self._judge(reply, lease, expected)
        return str(reply[0])

    def _judge(self, reply: list[str], lease: Lease, expected: str) -> None:
        if reply[0] == "lost":
            raise lease.lose()
        if reply[0] == "moved":
            raise StateError(
                f"the recorded state moved: serial {expected or 'none'} was read, {reply[1] or 'none'} is stored",
                where=self.keys.project,
                why="It was changed by hand, or a failover brought an older copy back. Nothing was written.",
                next_step="rvlstate plan shows how things are now.",
            )
        if self.replicas == 0:
            log.warning("no replica confirmed the write of the state in time; a failover now could lose it")

    def _read(self) -> dict[str, str]:
        """The fields of the record; bytes that are not text, which nobody here wrote, become marks."""
        with keys_as_expected(f"the state of {self.keys.project}"):
            # Decoding would fail inside the client, and a damaged state must still be shown.
            client: Any = self._client
            raw = client.execute_command("GET", self.keys.state, **{NEVER_DECODE: True})
        if raw is None:
            return {}
        return parse_stored(_text(raw))


def _serial(stored: Mapping[str, str]) -> int:
    text = stored.get("serial", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _new_lineage() -> str:
    return str(uuid.uuid4())


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
