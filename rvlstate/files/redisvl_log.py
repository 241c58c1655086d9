"""What redisvl logs while it reads a schema: collected as warnings of the project, and kept off the terminal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("redisvl.schema")
_ONE_AT_A_TIME = threading.Lock()


class _Collector(logging.Handler):
    """Keeps the messages of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def redisvl_warnings() -> Iterator[list[str]]:
    """The messages that redisvl's schema code logs within the block; they go nowhere else meanwhile."""
    collector = _Collector()
    with _ONE_AT_A_TIME:  # the logger is shared by all threads
        propagated = _LOGGER.propagate
        _LOGGER.propagate = False
        _LOGGER.addHandler(collector)
        try:
            yield collector.messages
        finally:
            _LOGGER.removeHandler(collector)
            _LOGGER.propagate = propagated
