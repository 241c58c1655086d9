"""Stop requests: SIGINT and SIGTERM ask a run to stop at the next safe place; a second SIGINT stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rvlstate.errors import InterruptedRunError

Handler = Callable[[int, FrameType | None], object] | int | None


class StopRequest:
    """Whether somebody asked to stop; waits end at once when somebody does."""

    def __init__(self) -> None:
        self.reason = ""
        self._asked = threading.Event()

    def ask(self, reason: str) -> None:
        """Ask the run to stop at the next safe place."""
        self.reason = reason
        self._asked.set()

    def check(self) -> None:
        """Raise InterruptedRunError if a stop was asked for."""
        if self._asked.is_set():
            raise InterruptedRunError(
                f"stopped on {self.reason}",
                why="Every step that began was left in a state from which running again goes on; the lock is released.",
                next_step="rvlstate status shows where it stands; rvlstate apply goes on.",
            )

    def pause(self, seconds: float) -> None:
        """Wait, and raise InterruptedRunError as soon as a stop is asked for."""
        self._asked.wait(seconds)
        self.check()


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """A StopRequest that SIGINT and SIGTERM ask while the block runs; handlers are restored afterwards.

    Outside of the main thread signals cannot be had: the request is then never asked.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if request.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.ask(signal.Signals(number).name)

    before: dict[int, Handler] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
