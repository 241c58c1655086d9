"""Hints: keys that keyspace notifications name as written, so that a short pass can look at them alone.

Notifications are at most once, and their loss changes nothing but time: whatever is not certain (events that are off, a
connection that was lost, too many keys) asks for a pass over all documents instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import redis

from rvlstate.runtime.connect import as_pairs, command
from rvlstate.runtime.documents.scan import glob_escaped

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

MOST_KEYS = 200_000
"""More keys than this are not remembered: a pass over all documents is as quick then."""

POLL_SECONDS = 0.2
JOIN_SECONDS = 5.0
"""How long the end waits for a thread that is stuck in a call to a dead server; the threads are daemons."""

NEEDED = frozenset("g$hx")
"""Classes of events by which documents change: commands on any key, on strings (JSON) and hashes, and expiry."""

Nodes = Callable[[], Sequence[redis.Redis]]


@dataclass(frozen=True, slots=True)
class Hinted:
    """The keys that were named since the last look, by so many notifications; `certain`: none is known to be missed."""

    keys: frozenset[bytes]
    certain: bool
    received: int


@dataclass(slots=True, kw_only=True)
class Hints:
    """Listens to all primaries for writes to keys under `prefixes`; a context manager that starts and ends threads.

    `received` counts the notifications. Where the server sends none, nothing is ever certain.
    """

    nodes: Nodes
    prefixes: tuple[bytes, ...]
    received: int = 0
    _told: int = 0
    _keys: set[bytes] = field(default_factory=set)
    _certain: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _listening: int = 0

    def __enter__(self) -> Self:
        nodes = self.nodes()
        if all(sends_notifications(node) for node in nodes):
            for number, node in enumerate(nodes):
                thread = threading.Thread(
                    target=self._listen, args=(node,), name=f"rvlstate-hints-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self._threads.clear()

    @property
    def on(self) -> bool:
        """Whether the server sends notifications at all."""
        return bool(self._threads)

    def knows(self, key: bytes) -> bool:
        """Whether a key was named since the last look."""
        return key in self._keys

    def take(self) -> Hinted:
        """The keys since the last look, which begin anew."""
        with self._lock:
            taken = Hinted(frozenset(self._keys), self._certain, self.received - self._told)
            self._keys.clear()
            self._told = self.received
            self._certain = self._listening == len(self._threads) > 0
        return taken

    def _listen(self, node: redis.Redis) -> None:
        while not self._over.is_set():
            with suppress(redis.RedisError, OSError):
                self._subscribed(node)
            self._lose()
            self._over.wait(POLL_SECONDS)

    def _subscribed(self, node: redis.Redis) -> None:
        """Take notifications until the connection breaks or all is over."""
        client: Any = node
        with client.pubsub() as channel:
            database = int(node.connection_pool.connection_kwargs.get("db") or 0)
            heads = [f"__keyspace@{database}__:".encode() + glob_escaped(prefix) + b"*" for prefix in self.prefixes]
            channel.psubscribe(*heads)
            confirmed = 0
            try:
                while not self._over.is_set():
                    message = channel.get_message(timeout=POLL_SECONDS)
                    if message is None:
                        continue
                    if message["type"] == "psubscribe":
                        confirmed += 1
                        self._count(int(confirmed == len(heads)))
                    elif message["type"] == "pmessage":
                        self._note(message["channel"])
            finally:
                self._count(-int(confirmed == len(heads)))

    def _count(self, change: int) -> None:
        """So many more nodes, or fewer, are listened to."""
        with self._lock:
            self._listening += change

    def _note(self, channel: str | bytes) -> None:
        text = channel if isinstance(channel, bytes) else channel.encode("utf-8", "surrogateescape")
        _, _, key = text.partition(b"__:")
        with self._lock:
            self.received += 1
            if len(self._keys) < MOST_KEYS:
                self._keys.add(key)
            else:
                self._certain = False

    def _lose(self) -> None:
        with self._lock:
            self._certain = False


def sends_notifications(node: redis.Redis) -> bool:
    """Whether a server tells of writes to keys, as far as its configuration may be read."""
    try:
        found = as_pairs(command(node, "CONFIG GET", "notify-keyspace-events"))
    except redis.ResponseError:  # not allowed, or renamed by whoever hosts the server
        return False
    flags = set(str(found.get("notify-keyspace-events", "")))
    return "K" in flags and ("A" in flags or flags >= NEEDED)
