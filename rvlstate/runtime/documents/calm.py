"""Calm: when copies may be renamed to their documents, which a background scan of the index forbids.

Measured (RediSearch 2.10.5): a key that is renamed while the index is being scanned may be lost from it for good, since
its old name is not indexed yet and the scan may be past its new one. A server that was restarted scans once it has
loaded its data. FT.INFO takes some milliseconds, too long to ask it for each batch: it is asked now and then, and each
script compares which process it runs in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rvlstate.runtime.documents.node import Node

LOOK_AGAIN_SECONDS = 0.5
"""For so long a look counts: only somebody who alters the index or its synonyms can start a scan of it meanwhile."""

CALM_LOOKS = 2
"""Looks in a row that must find no scan, at a process that was not seen before: it may be about to begin one."""


@dataclass(slots=True, kw_only=True)
class Calm:
    """Knows in which process of each node no scan is running; used by several threads.

    `scanned` asks the server whether the index is being scanned, `wait` waits a moment and raises when the run is to
    stop.
    """

    scanned: Callable[[], bool]
    wait: Callable[[], None]
    _seen: dict[int, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def process(self, node: Node) -> str:
        """The process of a node, once no scan is running; its scripts do nothing in another one."""
        with self._lock:
            run_id, at = self._seen.get(id(node), ("", 0.0))
            if run_id and time.monotonic() - at < LOOK_AGAIN_SECONDS:
                return run_id
            return self._awaited(node, run_id)

    def forget(self, node: Node) -> None:
        """A script found itself in another process."""
        with self._lock:
            self._seen.pop(id(node), None)

    def _awaited(self, node: Node, known: str) -> str:
        while True:
            run_id, calm = node.run_id(), 0
            wanted = 1 if run_id == known else CALM_LOOKS
            while calm < wanted:
                calm = 0 if self.scanned() else calm + 1
                if calm < wanted:
                    self.wait()
            if node.run_id() == run_id:
                self._seen[id(node)] = run_id, time.monotonic()
                return run_id
