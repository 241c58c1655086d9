"""One pass over all documents: shards side by side, again where slots moved, with its place written down."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import redis

from rvlstate.errors import ServerUnreachableError
from rvlstate.plan.effects import Mode, Sweep, Tally
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.crew import crew
from rvlstate.runtime.documents.ledger import Ledger, Place, added
from rvlstate.runtime.documents.node import Node, is_passing
from rvlstate.runtime.documents.pacing import Pacer
from rvlstate.runtime.documents.records import Records
from rvlstate.runtime.documents.scan import Wanted
from rvlstate.runtime.documents.shard import Shard
from rvlstate.runtime.documents.topology import Primary, migrating_slots, moved_slots, primaries
from rvlstate.runtime.server_errors import is_oom

SAVE_SECONDS = 1.0
GUARD_SECONDS = 0.25
WAIT_SECONDS = 0.05
ROUNDS = 6
"""So many times slots that moved meanwhile are looked at again, before the next pass has to."""

NOTES: dict[Mode, str] = {
    "rehearse": "looking at documents",
    "write": "rewriting documents",
    "stage": "staging documents",
    "promote": "promoting documents",
    "retire": "removing documents that were replaced",
    "unstage": "removing copies",
}

Tell = Callable[[str, int, int, dict[str, float]], None]


@dataclass(slots=True, kw_only=True)
class Gate:
    """What every batch asks before it goes, one thread at a time; the lease is asked about four times a second."""

    pacer: Pacer
    guard: Callable[[], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked: float = float("-inf")

    def admit(self, documents: int) -> None:
        """Wait until the batch may go."""
        with self._lock:
            self.pacer.admit(documents)

    def note(self, documents: int, seconds: float) -> None:
        """A batch took so long."""
        with self._lock:
            self.pacer.note(documents, seconds)

    def before_write(self) -> None:
        """Raises when the lease is not ours any more."""
        with self._lock:
            if time.monotonic() - self._asked >= GUARD_SECONDS:
                self._ask()

    def ask(self) -> None:
        """The same, now."""
        with self._lock:
            self._ask()

    def wait(self) -> None:
        """Wait a moment; raises when the run is to stop, or the lease is not ours any more."""
        self.admit(0)
        self.before_write()
        time.sleep(WAIT_SECONDS)

    def _ask(self) -> None:
        self.guard()
        self._asked = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Keys that are scanned, and what is done with a batch of them.

    `share` is what a key of it costs of the rate limit, measured against a document: whether the document of a copy is
    there is asked by the way.
    """

    wanted: Wanted
    work: Callable[[Node, Sequence[bytes]], Tally]
    share: float = 1.0


@dataclass(slots=True, kw_only=True)
class Pass:
    """One pass; `run` carries it out, once.

    Its parts come one after the other. The place in the first one, over the documents, is written down; a pass that
    goes on begins the others again.
    """

    connection: Connection
    effect: Sweep
    parts: Sequence[Part]
    records: Records
    gate: Gate
    tell: Tell
    _shards: list[Shard] = field(default_factory=list)
    _first: list[Shard] | None = None
    _ended: Tally = field(default_factory=Tally)
    _began: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)
    _topology: str = ""

    def run(self) -> Tally:
        """Go over all documents. Raises what ended the pass early; its place is written down all the same."""
        for part in self.parts:
            found: Sequence[Primary] = primaries(self.connection)
            self._shards = self._first_round(part, found) if self._first is None else self._shards_of(part, found)
            self._go_through(part, found)
            self._first = self._shards if self._first is None else self._first
            self._ended, self._shards = self._total(), []
        self._save(complete=True)
        self._tell()
        return replace(self._total(), seconds=time.monotonic() - self._began)

    def _go_through(self, part: Part, found: Sequence[Primary]) -> None:
        for number in range(ROUNDS):
            found, again = self._round(found)
            if not again:
                return
            self._ended = self._total()
            self._topology = ""  # a pass that goes on begins again
            self._shards = self._shards_of(part, found, again)
            if number == ROUNDS - 1:
                self._ended = replace(self._ended, moved_on=self._ended.moved_on + len(again))
        self._shards = []

    def _first_round(self, part: Part, found: Sequence[Primary]) -> list[Shard]:
        nodes = [Node(self.connection, primary.client) for primary in found]
        with crew() as hands:
            run_ids = [hands.persist(node.run_id) for node in nodes]
        self._topology = _fingerprint(found, run_ids)
        places = self.records.load(self.effect.mode, self._topology) if self.effect.resume else {}
        self.records.begin(resumed=bool(places))
        return [
            self._shard(part, primary, node, run_id, places.get(run_id, Place()))
            for primary, node, run_id in zip(found, nodes, run_ids, strict=True)
        ]

    def _shards_of(self, part: Part, found: Sequence[Primary], slots: frozenset[int] | None = None) -> list[Shard]:
        """All that is scanned, or what is scanned again, on those who serve it now."""
        part, shards = replace(part, wanted=replace(part.wanted, slots=slots)), []
        with crew() as hands:
            for primary in found:
                if slots is None or slots & (primary.slots or frozenset()):
                    node = Node(self.connection, primary.client)
                    shards.append(self._shard(part, primary, node, hands.persist(node.run_id), Place()))
        return shards

    def _shard(self, part: Part, primary: Primary, node: Node, run_id: str, place: Place) -> Shard:
        def work(node: Node, keys: Sequence[bytes]) -> Tally:
            return self._worked(part, node, keys)

        return Shard(
            node=node,
            name=primary.name,
            run_id=run_id,
            wanted=part.wanted,
            ledger=Ledger(place),
            batch_size=self.effect.pace.batch_size,
            work=work,
            may_be_lost=primary.slots is not None,
        )

    def _round(self, found: Sequence[Primary]) -> tuple[Sequence[Primary], frozenset[int]]:
        """Scan once; who serves what now, and the slots that were perhaps not seen as a whole."""
        with crew() as hands:
            for shard in self._shards:
                shard.start(hands)
            try:
                hands.await_all(self._tick)
            finally:
                hands.end()
                self._save(complete=False)
            now, again = hands.persist(lambda: _changed(self.connection, found))
        lost = {shard.name for shard in self._shards if shard.lost}
        same = {primary.name for primary in now if primary.slots and not primary.slots & again}
        if lost & same:
            raise ServerUnreachableError(
                f"a node of the cluster does not answer: {', '.join(sorted(lost & same))}",
                where=self.connection.url,
                next_step="when it is back, or another one serves its slots, run rvlstate apply: it goes on.",
            )
        return now, again

    def _worked(self, part: Part, node: Node, keys: Sequence[bytes]) -> Tally:
        counted = int(len(keys) * part.share)
        self.gate.admit(counted)
        began = time.monotonic()
        tally = part.work(node, keys)
        self.gate.note(counted, time.monotonic() - began)
        self.records.add(tally.bad_rows)
        return tally

    def _total(self) -> Tally:
        total = self._ended
        for shard in self._shards:
            total = added(total, shard.ledger.total())
        return total

    def _tick(self) -> None:
        self._tell()
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._save(complete=False)

    def _tell(self) -> None:
        total = self._total()
        note = NOTES[self.effect.mode]
        reason = self.gate.pacer.reason
        expected = max(self.effect.rewrite.documents, total.seen) if self.effect.rewrite.documents else 0
        figures = {"written": total.written, "moved_on": total.moved_on, "bad_rows": total.bad}
        if self.effect.rewrite.promotion:
            figures |= {"promoted": total.promoted, "dropped": total.dropped}
        self.tell(
            f"{note}, {reason}" if reason else note,
            total.seen,
            expected,
            {name: float(v) for name, v in figures.items()},
        )

    def _save(self, *, complete: bool) -> None:
        """Write the place down; it is a hint: a server that does not answer is dealt with by those who need it.

        Not that of a rehearsal, with which nobody goes on: a change that has not begun is never tidied up either.
        """
        if self.effect.mode == "rehearse":
            return
        shards = self._shards if self._first is None else self._first
        places = {shard.run_id: shard.ledger.place() for shard in shards}
        try:
            self.records.save(self.effect.mode, self._topology, places, complete=complete)
        except redis.RedisError as error:
            if not is_passing(error) and not is_oom(error):
                raise
        self._saved = time.monotonic()


def _changed(connection: Connection, before: Sequence[Primary]) -> tuple[tuple[Primary, ...], frozenset[int]]:
    now = primaries(connection)
    return now, moved_slots(before, now) | migrating_slots(now)


def _fingerprint(found: Sequence[Primary], run_ids: Sequence[str]) -> str:
    """What a place is worth something for: the same processes with the same slots."""
    described = sorted((run_id, sorted(primary.slots or ())) for run_id, primary in zip(run_ids, found, strict=True))
    return hashlib.sha1(repr(described).encode(), usedforsecurity=False).hexdigest()
