"""Threads that work on one pass: the first failure stops them all, and none outlives the pass."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rvlstate.runtime.documents.node import is_passing

T = TypeVar("T")

ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a batch is tried again: about 20 s in all, a failover's time."""

POLL_SECONDS = 0.2


class EndedError(Exception):
    """The pass is over: a thread that hears it ends."""


class Crew:
    """Starts threads and waits for them; waits of theirs end when the pass does."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def start(self, work: Callable[[], None], name: str) -> None:
        """Run `work` on a thread; what it raises ends the pass."""
        thread = threading.Thread(target=self._guarded, args=(work,), name=f"rvlstate-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def await_all(self, tick: Callable[[], None]) -> None:
        """Wait until all threads have ended, calling `tick` about five times a second; raises what ended the pass."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                tick()
        self._threads.clear()
        if self._error is not None:
            raise self._error

    def pause(self, seconds: float) -> None:
        """Wait. Raises EndedError when the pass is over."""
        if self._over.wait(seconds):
            raise EndedError

    def put(self, channel: queue.Queue[Any], item: Any) -> None:
        """Put into a bounded queue. Raises EndedError when the pass is over."""
        while True:
            self.pause(0)
            try:
                channel.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return

    def take(self, channel: queue.Queue[Any]) -> Any:
        """Take from a queue. Raises EndedError when the pass is over."""
        while True:
            self.pause(0)
            try:
                return channel.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue

    def persist(self, work: Callable[[], T]) -> T:
        """What `work` returns, tried again with jitter while the server cannot be reached or does not serve."""
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
            sleep=self.pause,
            reraise=True,
        )
        return retrying(work)

    def end(self) -> None:
        """End all threads and wait for them."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except EndedError:
            return
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits for the threads
            with self._lock:
                self._error = self._error or error
            self._over.set()


@contextmanager
def crew() -> Iterator[Crew]:
    """A crew whose threads have ended when the block does, however it ends."""
    hands = Crew()
    try:
        yield hands
    finally:
        hands.end()
