"""What a pass writes down in Redis while it goes on: its place, and the rows that cannot be transformed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rvlstate.plan.effects import BadRow
from rvlstate.runtime.connect import KeysClient
from rvlstate.runtime.documents.ledger import Place, packed_place, unpacked_place
from rvlstate.runtime.state_keys import StateKeys

MOST_BAD_ROWS = 10_000
FORMAT = 1


class Records:
    """The checkpoint and the list of bad rows of one rewrite; `add` is used by several threads, the rest by one."""

    def __init__(self, client: KeysClient, project: str, rewrite_id: str) -> None:
        keys = StateKeys(project)
        self.checkpoint_key = keys.run(rewrite_id)
        self.bad_rows_key = keys.run(f"{rewrite_id}:bad")
        self._client: Any = client
        self._lock = threading.Lock()
        self._pending: list[BadRow] = []
        self._listed = 0

    def begin(self, *, resumed: bool) -> None:
        """The list of bad rows is that of this pass alone."""
        if resumed:
            self._listed = int(self._client.llen(self.bad_rows_key))
        else:
            self._client.delete(self.bad_rows_key)

    def add(self, rows: Iterable[BadRow]) -> None:
        """Rows for the list, of which the first are kept."""
        with self._lock:
            room = MOST_BAD_ROWS - self._listed - len(self._pending)
            self._pending += list(rows)[: max(0, room)]

    def save(self, mode: str, topology: str, places: Mapping[str, Place], *, complete: bool) -> None:
        """Write the place of each shard, by the id of its process, and what is new of the bad rows."""
        data = {
            "format": FORMAT,
            "mode": mode,
            "topology": topology,
            "complete": complete,
            "shards": {run_id: packed_place(place) for run_id, place in places.items()},
        }
        self._client.set(self.checkpoint_key, json.dumps(data))
        with self._lock:
            rows = list(self._pending)
        if rows:
            self._client.rpush(self.bad_rows_key, *(json.dumps(asdict(row)) for row in rows))
            with self._lock:
                self._listed += len(rows)
                del self._pending[: len(rows)]

    def load(self, mode: str, topology: str) -> dict[str, Place]:
        """The places of an interrupted pass in the same mode over the same servers; {} if there is none."""
        text = self._client.get(self.checkpoint_key)
        try:
            data = json.loads(text or "{}")
            same = (data.get("format"), data.get("mode"), data.get("topology")) == (FORMAT, mode, topology)
            if not same or data["complete"]:
                return {}
            return {run_id: unpacked_place(place) for run_id, place in data["shards"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):  # a hint: a pass from the beginning is as right
            return {}

    def remove(self) -> None:
        """Remove both."""
        self._client.delete(self.checkpoint_key, self.bad_rows_key)
