"""How many documents one script call may work on, learnt from how long calls take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rvlstate.runtime.documents.calls import CALL_KEYS

CALL_SECONDS = 0.005
"""How long one call may take, with its way and its wait: under a live index it writes fewer documents."""


@dataclass(slots=True)
class AtOnce:
    """A number of documents that follows what was measured; used by several threads, the last one counts."""

    documents: int = CALL_KEYS

    @contextmanager
    def timed(self, documents: int) -> Iterator[None]:
        """Learn from calls over so many documents."""
        began = time.monotonic()
        yield
        each = (time.monotonic() - began) / documents
        self.documents = max(1, min(CALL_KEYS, int(CALL_SECONDS / each)))
