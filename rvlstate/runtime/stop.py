"""Stop requests: a run is asked to stop or to hold at the next safe place, by a signal or by somebody's order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rvlstate.errors import InterruptedRunError

Handler = Callable[[int, FrameType | None], object] | int | None


PAUSED = "paused by"
"""What the reason of a run that is held begins with."""


class StopRequest:
    """Whether somebody asked to stop or to hold; waits end at once when somebody does. May be used by several threads.

    Every safe place of a run asks it: `check` between two steps or batches, `pause` wherever there is a wait.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.held_by = ""
        # Its lock may be taken again by its owner: a signal may come while the main thread holds it.
        self._changed = threading.Condition()

    def ask(self, reason: str) -> None:
        """Ask the run to stop at the next safe place; the first reason counts."""
        with self._changed:
            self.reason = self.reason or reason
            self._changed.notify_all()

    def hold(self, by: str) -> None:
        """Ask the run to wait at the next safe place, until it is let go on or asked to stop; `by` is who wants it."""
        with self._changed:
            self.held_by = by
            self._changed.notify_all()

    def let_go(self) -> None:
        """Let a run that was held go on."""
        self.hold("")

    def check(self) -> None:
        """Wait as long as the run is held; raise InterruptedRunError if a stop was asked for."""
        with self._changed:
            while self.held_by and not self.reason:
                self._changed.wait()
        if self.reason:
            raise InterruptedRunError(
                f"stopped on {self.reason}",
                why="Every step that began was left in a state from which running again goes on; the lock is released.",
                next_step="rvlstate status shows where it stands; rvlstate apply goes on.",
            )

    def pause(self, seconds: float) -> None:
        """Wait; then, or as soon as somebody asks for something, do as `check` does."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self.reason and not self.held_by and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        self.check()


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """A StopRequest that SIGINT and SIGTERM ask while the block runs; handlers are restored afterwards.

    A second SIGINT stops at once. Outside of the main thread signals cannot be had: the request is then never asked.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    received: set[int] = set()

    def handle(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.add(number)
        request.ask(signal.Signals(number).name)

    before: dict[int, Handler] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
