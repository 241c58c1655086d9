"""Back-pressure: from readings of the gauges to how much faster or slower a run should go, and why in words."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rvlstate.runtime.gauges import Reading, Replica

SLOWER, FASTER = 0.5, 0.05
"""Each look at trouble halves the share of full speed; each look without adds a twentieth: back within 5 s."""

LEAST_SHARE = 1 / 64
LEAST_SHARE_FOR_MEMORY = 1 / 8
"""How slow it becomes at most. Going slower frees no memory: it gives expiry, eviction or an operator some time."""

LATENCY_ALLOWANCE = 0.030
LATENCY_FACTOR = 3.0
"""A server is slow when it answers later than three times its usual time and 30 ms: our own scripts, several of which
stand in its queue at once, delay a PING by some milliseconds each."""

PINGS_TOGETHER = 4
"""The fastest of so many PINGs counts, since any single one may have stood behind a batch of ours."""

STALL_SECONDS = 0.5
"""A single answer that is this late counts at once: no batch takes as long on a healthy server."""

MEMORY_HIGH, MEMORY_CRITICAL = 0.85, 0.95
CRITICAL_READINGS = 2
"""Shares of maxmemory: slow down from the one on, stop when the other was exceeded twice in a row."""

REPLICA_BYTES = 16 << 20
REPLICA_ACK_SECONDS = 1.5
REPLICA_SILENT_SECONDS = 4
"""Replicas say once a second how far they are: what was sent within the last 1.5 s is no lag. From 16 MiB more on they
are behind (a server cuts one off at 64 MB held for a minute, by default), or when they say nothing for seconds."""

MEBIBYTE = 1 << 20


@dataclass(slots=True)
class _Node:
    """What was seen of one node."""

    usual: float
    pings: deque[float] = field(default_factory=lambda: deque(maxlen=PINGS_TOGETHER))
    last: Reading | None = None
    critical: int = 0


class Pressure:
    """Slows down by multiplication and speeds up by addition; for use by several threads.

    `share` is the part of full speed that is right now, 1.0 for all of it. `critical` says why the run must stop, ""
    while it need not. `heeds_memory` is not for what gives memory back: it must be able to go on where memory is full.
    """

    def __init__(self, *, heeds_memory: bool = True) -> None:
        self._heeds_memory = heeds_memory
        self.share = 1.0
        self.critical = ""
        self.peak_memory_bytes = 0
        self._nodes: dict[str, _Node] = {}
        self._trouble = ""
        self._cause = ""
        self._lock = threading.Lock()

    @property
    def trouble(self) -> str:
        """What is wrong now, or what was and is being recovered from; "" at full speed."""
        with self._lock:
            if self._trouble or self.share >= 1.0:
                return self._trouble
            return f"speeding up again, after: {self._cause}"

    @property
    def latency_seconds(self) -> float | None:
        """How late the slowest node answers now, by the fastest of its last PINGs; None before the first."""
        with self._lock:
            return max((min(node.pings) for node in self._nodes.values() if node.pings), default=None)

    def learn(self, node: str, seconds: float) -> None:
        """Take the usual time of a PING of a node."""
        with self._lock:
            known = self._nodes.setdefault(node, _Node(usual=seconds))
            # Learnt again after a lost connection, the lower one is right: the server may be in trouble by now.
            known.usual = min(known.usual, seconds)

    def take(self, readings: Sequence[Reading]) -> None:
        """Judge one look at all nodes, and change the share of full speed by it."""
        with self._lock:
            strained = [trouble for reading in readings if (trouble := self._judge(reading))]
            full = [memory for reading in readings if self._heeds_memory and (memory := _memory(reading))]
            self._trouble = next(iter([*strained, *full]), "")
            if self._trouble:
                self._cause = self._trouble
                least = LEAST_SHARE if strained else LEAST_SHARE_FOR_MEMORY
                self.share = max(self.share * SLOWER, min(self.share, least))
            else:
                self.share = min(self.share + FASTER, 1.0)

    def _judge(self, reading: Reading) -> str:
        """What else than its memory is wrong with a node; the reading becomes its last."""
        node = self._nodes.setdefault(reading.node, _Node(usual=reading.ping_seconds))
        node.pings.append(reading.ping_seconds)
        trouble = _latency(node) or _replicas(node.last, reading) or _refusals(node.last, reading)
        node.critical = node.critical + 1 if _share_of_memory(reading) > MEMORY_CRITICAL else 0
        if self._heeds_memory and node.critical >= CRITICAL_READINGS:
            self.critical = _memory_figures(reading)
        self.peak_memory_bytes = max(self.peak_memory_bytes, reading.used_memory)
        node.last = reading
        return trouble


def _latency(node: _Node) -> str:
    limit = LATENCY_FACTOR * node.usual + LATENCY_ALLOWANCE
    fastest, last = min(node.pings), node.pings[-1]
    slow = fastest > limit and len(node.pings) == PINGS_TOGETHER
    if slow or last > max(limit, STALL_SECONDS):
        return f"server answers in {(fastest if slow else last) * 1000:,.0f} ms"
    return ""


def _memory(reading: Reading) -> str:
    share = _share_of_memory(reading)
    return f"memory at {share:.0%} of maxmemory" if share > MEMORY_HIGH else ""


def _memory_figures(reading: Reading) -> str:
    return (
        f"{reading.node} uses {reading.used_memory:,} of {reading.maxmemory:,} bytes, "
        f"{_share_of_memory(reading):.0%} of its maxmemory; at {MEMORY_CRITICAL:.0%} a run stops."
    )


def _share_of_memory(reading: Reading) -> float:
    return reading.used_memory / reading.maxmemory if reading.maxmemory else 0.0


def _replicas(last: Reading | None, reading: Reading) -> str:
    if last is None:
        return ""  # how fast the stream of writes flows takes two readings
    flow = max(reading.offset - last.offset, 0) / max(reading.at - last.at, 1e-3)
    late = [replica for replica in reading.replicas if _is_late(replica, flow * REPLICA_ACK_SECONDS)]
    if not late:
        return ""
    worst = max(late, key=lambda replica: (replica.behind, replica.silent_seconds))
    silence = f", silent for {worst.silent_seconds} s" if worst.silent_seconds >= REPLICA_SILENT_SECONDS else ""
    return f"replica {worst.behind / MEBIBYTE:,.0f} MB behind{silence}"


def _is_late(replica: Replica, in_flight: float) -> bool:
    return replica.behind > REPLICA_BYTES + in_flight or replica.silent_seconds >= REPLICA_SILENT_SECONDS


def _refusals(last: Reading | None, reading: Reading) -> str:
    if last is None:
        return ""
    refused, evicted = reading.refused - last.refused, reading.evicted - last.evicted
    if refused > 0:
        return f"server refused {refused:,} writes"
    return f"server evicted {evicted:,} keys" if evicted > 0 else ""
