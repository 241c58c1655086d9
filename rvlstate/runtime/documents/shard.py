"""One shard gone through: a thread that scans, and two that bring batches of keys into the desired layout."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from rvlstate.plan.effects import Tally
from rvlstate.runtime.documents.crew import Crew
from rvlstate.runtime.documents.ledger import Ledger
from rvlstate.runtime.documents.node import PASSING, Node, OtherServerError
from rvlstate.runtime.documents.scan import START, Wanted, scan_page

WORKERS = 2
"""Connections for each shard: while one waits for the server, the other one computes."""

WAITING = 4
"""Batches that may wait to be worked on."""

Batch: TypeAlias = "tuple[tuple[int, int], Sequence[bytes], str | None] | None"


@dataclass(slots=True, kw_only=True)
class Shard:
    """One primary, gone through from where its ledger stands.

    `work` brings one batch into the desired layout. `may_be_lost`: that the node cannot be reached any more ends its
    part without an error and sets `lost`, since other nodes will serve what it served.
    """

    node: Node
    name: str
    run_id: str
    wanted: Wanted
    ledger: Ledger
    batch_size: int
    work: Callable[[Node, Sequence[bytes]], Tally]
    may_be_lost: bool
    lost: bool = False
    _batches: queue.Queue[Batch] = field(default_factory=lambda: queue.Queue(WAITING))

    def start(self, crew: Crew) -> None:
        """Start its threads."""
        if self.ledger.place().complete:
            return
        crew.start(lambda: self._scan(crew), f"scan-{self.name}")
        for number in range(WORKERS):
            crew.start(lambda: self._reconcile(crew), f"write-{self.name}-{number}")

    def _scan(self, crew: Crew) -> None:
        try:
            self._scan_all(crew)
        except PASSING:
            if not self.may_be_lost:
                raise
            self.lost = True
        for _ in range(WORKERS):
            crew.put(self._batches, None)

    def _scan_all(self, crew: Crew) -> None:
        cursor = self.ledger.place().cursor
        pending: list[bytes] = []
        while True:
            try:
                page = crew.persist(partial(scan_page, self.node, self.wanted, cursor, self.run_id))
            except OtherServerError:
                self.run_id = crew.persist(self.node.run_id)
                self.ledger.restart()
                cursor, pending = START, []
                continue
            cursor = page.cursor
            pending += page.keys
            if cursor == START or not pending or len(pending) >= self.batch_size:
                self._hand_out(crew, pending, cursor)
                pending = []
            if cursor == START:
                return

    def _hand_out(self, crew: Crew, keys: list[bytes], cursor: str) -> None:
        """Batches of about the same size, the last of which is followed by the cursor."""
        parts = max(1, -(-len(keys) // self.batch_size))
        for part in range(parts):
            size = -(-len(keys) // (parts - part))
            batch, keys = keys[:size], keys[size:]
            crew.put(self._batches, (self.ledger.open(), batch, None if keys else cursor))

    def _reconcile(self, crew: Crew) -> None:
        while (batch := crew.take(self._batches)) is not None:
            ticket, keys, cursor = batch
            tally = crew.persist(partial(self.work, self.node, keys)) if keys else Tally()
            self.ledger.close(ticket, tally, cursor)
