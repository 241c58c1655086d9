"""Gauges: what one node says about its load right now, and the thread that reads them beside a run."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from rvlstate.runtime.connect import as_pairs, command

BETWEEN_READINGS = 0.25
"""Seconds: four looks a second notice trouble well within one, and cost the server some 50 us each."""

BASELINE_PINGS = 5
SECTIONS = ("memory", "replication", "stats", "errorstats")
REFUSALS = ("errorstat_OOM", "errorstat_NOREPLICAS", "errorstat_MISCONF")
"""Errors by which a server refuses writes."""

JOIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A replica that is online: how many bytes it is behind, and for how many seconds it has not answered."""

    behind: int
    silent_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at one node; sizes in bytes, `evicted` and `refused` are counts since the server started.

    `at` is on a monotonic clock. What the user may not ask, or the server does not say, is zero.
    """

    node: str
    at: float
    ping_seconds: float
    used_memory: int = 0
    maxmemory: int = 0
    offset: int = 0
    replicas: tuple[Replica, ...] = ()
    evicted: int = 0
    refused: int = 0


class NodeProbe:
    """Reads the gauges of one node over a connection of its own."""

    def __init__(self, client: redis.Redis) -> None:
        options = client.connection_pool.connection_kwargs
        self.node = str(options.get("path") or f"{options.get('host')}:{options.get('port')}")
        lender: Any = client  # one method of the library is not annotated
        self._client: redis.Redis = lender.client()  # keeps one connection of the pool for itself

    def learn_latency(self) -> float:
        """The usual time of a PING in seconds, from some of them. Raises RedisError."""
        return statistics.median(self._ping() for _ in range(BASELINE_PINGS))

    def read(self) -> Reading:
        """One reading. Raises RedisError when the node does not answer."""
        seconds = self._ping()
        try:
            info: Any = command(self._client, "INFO", *SECTIONS)
        except ResponseError:  # the user may not ask; the time of a PING is what is left
            return Reading(node=self.node, at=time.monotonic(), ping_seconds=seconds)
        return parse_reading(self.node, time.monotonic(), seconds, info)

    def close(self) -> None:
        """Give the connection back."""
        with suppress(RedisError):
            self._client.close()

    def _ping(self) -> float:
        began = time.monotonic()
        with suppress(ResponseError):  # a refusal takes as long as an answer
            command(self._client, "PING")
        return time.monotonic() - began


def parse_reading(node: str, at: float, ping_seconds: float, info: dict[str, Any]) -> Reading:
    """A reading from the reply to INFO, as the client library has parsed it."""
    offset = _number(info.get("master_repl_offset"))
    replicas = [value for name, value in sorted(info.items()) if name.startswith("slave") and isinstance(value, dict)]
    return Reading(
        node=node,
        at=at,
        ping_seconds=ping_seconds,
        used_memory=_number(info.get("used_memory")),
        maxmemory=_number(info.get("maxmemory")),
        offset=offset,
        replicas=tuple(
            Replica(behind=max(offset - _number(one.get("offset")), 0), silent_seconds=_number(one.get("lag")))
            for one in replicas
            if one.get("state") == "online"  # one that is being filled is behind through no fault of ours
        ),
        evicted=_number(info.get("evicted_keys")),
        refused=sum(_number(as_pairs(info.get(name, {})).get("count")) for name in REFUSALS),
    )


class GaugeWatch:
    """A thread that hands looks at all nodes to `take` until it is stopped; while a node is away there are none."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[redis.Redis]],
        *,
        take: Callable[[Sequence[Reading]], None],
        learn: Callable[[str, float], None],
    ) -> None:
        self._nodes = nodes
        self._take = take
        self._learn = learn
        self._probes: list[NodeProbe] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rvlstate-gauges", daemon=True)

    def start(self) -> None:
        """Learn how fast the nodes usually answer, read the gauges once, then go on beside the caller."""
        self._open()
        self._read()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the connections back; may be called twice."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=JOIN_SECONDS)
        self._close()

    def _watch(self) -> None:
        while not self._ended.wait(BETWEEN_READINGS):
            self._read()

    def _read(self) -> None:
        try:
            self._take([probe.read() for probe in self._probes])
        except (RedisError, OSError):  # whoever works notices too; after a failover other nodes are the primaries
            with suppress(RedisError, OSError):
                self._open()

    def _open(self) -> None:
        self._close()
        with suppress(RedisError, OSError):
            for client in self._nodes():
                probe = NodeProbe(client)
                self._probes.append(probe)
                self._learn(probe.node, probe.learn_latency())

    def _close(self) -> None:
        for probe in self._probes:
            probe.close()
        self._probes = []


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
