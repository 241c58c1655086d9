"""One batch reconciled: looked at, computed, kept, and written where it is still what was read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from rvlstate.plan.effects import Tally
from rvlstate.runtime.documents.at_once import AtOnce
from rvlstate.runtime.documents.batch import Row, originals_of
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.calls import CALL_BYTES, CALL_KEYS, Calls, both_values, written
from rvlstate.runtime.documents.computing import Computed, Functions, computed
from rvlstate.runtime.documents.fence import Fence
from rvlstate.runtime.documents.ledger import added
from rvlstate.runtime.documents.members import Members
from rvlstate.runtime.documents.node import Node
from rvlstate.runtime.documents.originals import Originals
from rvlstate.runtime.documents.scripts import script
from rvlstate.runtime.documents.watch import Watch

CHEAP_WRITES = 16
"""Where one call may write fewer, the writes themselves are what takes long, and a transaction would block too much."""

WATCHED_KEYS = 96
"""Documents of one transaction, which the server carries out in one piece: each costs it half of a guarded one."""


@dataclass(slots=True)
class Quota:
    """How many documents the user's own code may still see in a rehearsal."""

    left: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, wanted: int) -> int:
        """So many of the documents may be shown."""
        with self._lock:
            taken = min(wanted, self.left)
            self.left -= taken
        return taken


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Brings batches of keys of one node into the desired layout; used by several threads.

    `before_write` is called before each batch that writes, and raises if that must not be; behind `fence` the server
    itself refuses what comes too late. `quota` None: not a rehearsal, so that everything is written. `largest` is the
    largest absolute value seen in each field of vectors.
    """

    blueprint: Blueprint
    beside: Beside
    functions: Functions
    members: Members | None = None
    originals: Originals | None = None
    quota: Quota | None = None
    before_write: Callable[[], None]
    fence: Fence
    largest: dict[str, float] = field(default_factory=dict)
    _size: float = 4096.0
    _writes: AtOnce = field(default_factory=AtOnce)
    _quiet: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reconcile(self, node: Node, keys: Sequence[bytes]) -> Tally:
        """One batch; documents may be seen again, nothing is done twice."""
        allowed = self.allowed(keys)
        tally = Tally(seen=len(keys), excluded=len(keys) - len(allowed))
        return added(tally, self.bring(node, allowed)) if allowed else tally

    def allowed(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Those that the index's filter lets in."""
        return keys if self.members is None else self.members.among(keys)

    def bring(self, node: Node, keys: Sequence[bytes]) -> Tally:
        """Documents that the filter lets in, brought into the desired layout where they are."""
        return self._watched(node, keys) if self._watches else self._guarded(node, keys)

    def made_ready(self, rows: list[Row]) -> tuple[list[Row], Tally]:
        """The rows that are to be written, with their values, and what is counted of the others."""
        if rows:
            self._size = max(64.0, sum(row.bytes_read for row in rows) / len(rows))
        result = self._transformed(rows)
        with self._lock:
            self.largest |= {name: max(value, self.largest.get(name, 0.0)) for name, value in result.largest.items()}
        return result.rows, Tally(
            done=len(rows) - len(result.rows) - len(result.bad),
            bytes_read=sum(row.bytes_read for row in rows),
            saturated=result.saturated,
            bad=len(result.bad),
            bad_rows=tuple(result.bad),
        )

    def told_apart(self, rows: list[Row]) -> tuple[list[Row], Tally]:
        """The rows, but for those with an old and another new value: a rehearsal rejects them, else both stay."""
        both = [row for row in rows if row.ambiguous is not None]
        if not both:
            return rows, Tally()
        if self.quota is not None:
            bad = tuple(both_values(self.blueprint, row.key, row.ambiguous or 0) for row in both)
            return [row for row in rows if row.ambiguous is None], Tally(bad=len(bad), bad_rows=bad)
        for row in both:
            while (at := row.ambiguous) is not None:
                row.leave(at)
        done = [row for row in both if not row.is_todo]
        return [row for row in rows if row.is_todo], Tally(ambiguous=len(both), done=len(done))

    def keep(self, rows: Sequence[Row]) -> None:
        """Keep what documents held before they, or their copies, are written."""
        if self.originals is not None:
            self.originals.keep([original for row in rows for original in originals_of(self.blueprint, row)])

    @property
    def read_at_once(self) -> int:
        """How many documents one call may read, as large as they are."""
        return max(1, min(CALL_KEYS, int(CALL_BYTES / self._size)))

    @property
    def _watches(self) -> bool:
        """Whether documents are better watched than guarded by digests: small steps, all of the same slot."""
        alone = self.quota is None and self.originals is None and not self.beside.clustered
        return alone and bool(self.blueprint.own_casts) and self._writes.documents >= CHEAP_WRITES

    def _watched(self, node: Node, keys: Sequence[bytes]) -> Tally:
        tally = Tally()
        with node.watch() as watch:
            for start in range(0, len(keys), WATCHED_KEYS):
                tally = added(tally, self._watched_part(node, watch, keys[start : start + WATCHED_KEYS]))
        return tally

    def _watched_part(self, node: Node, watch: Watch, keys: Sequence[bytes]) -> Tally:
        if not self._quiet:
            return self._watched_documents(node, watch, keys)
        # Where the last documents were all done, these may be too, which their lengths tell without their values.
        fields = [self.blueprint.identifiers[at] for at, _ in self.blueprint.own_casts]
        widths = [width for _, width in self.blueprint.own_casts]
        left = [key for key, found in zip(keys, watch.lengths(keys, fields), strict=True) if found != widths]
        tally = Tally(done=len(keys) - len(left))
        return added(tally, self._watched_documents(node, watch, left)) if left else tally

    def _watched_documents(self, node: Node, watch: Watch, keys: Sequence[bytes]) -> Tally:
        found = watch.read(keys, self.blueprint.identifiers)
        rows = [row for key, values in zip(keys, found, strict=True) if values and (row := self._row(key, values))]
        odd = [key for key, values in zip(keys, found, strict=True) if values is None]
        done = len(keys) - len(odd) - len(rows)
        self._quiet = not rows and not odd
        rows, tally = self.made_ready(rows)
        tally = replace(tally, done=tally.done + done)
        if rows:
            tally = added(tally, self._write_watched(node, watch, rows))
        return added(tally, self._guarded(node, odd)) if odd else tally

    def _row(self, key: bytes, values: list[bytes]) -> Row | None:
        states = "".join("0" if len(values[at]) == width else "1" for at, width in self.blueprint.own_casts)
        return Row(key, self.beside.slot(key), states, list(values), key) if "1" in states else None

    def _write_watched(self, node: Node, watch: Watch, rows: list[Row]) -> Tally:
        self.before_write()
        writing = self._calls.writing(rows, self._writes.documents, watched=True)
        with self._writes.timed(len(rows)):
            # What the fence refuses is not answered, and comes to the fence again the other way.
            replies = watch.write(
                script(self.blueprint.adapter, "write"), self.fence.closed(writing.calls, node.clock())
            )
        tally, unanswered = writing.outcome(replies)
        return added(tally, self._write(node, unanswered))

    def _guarded(self, node: Node, keys: Sequence[bytes]) -> Tally:
        reading = self._calls.reading(keys, self.read_at_once)
        replies = node.run(script(self.blueprint.adapter, "read"), reading.calls)
        rows, both = self.told_apart(reading.rows(replies))
        rows, tally = self.made_ready(rows)
        tally = added(added(reading.others(replies), both), tally)
        return written(tally, rows) if self.quota is not None else added(tally, self._write(node, rows))

    def _write(self, node: Node, rows: Sequence[Row]) -> Tally:
        if not rows:
            return Tally()
        self.keep(rows)
        self.before_write()
        writing = self._calls.writing(rows, self._writes.documents)
        with self._writes.timed(len(rows)):
            replies = self.fence.run(node, script(self.blueprint.adapter, "write"), writing.calls)
        tally, _ = writing.outcome(replies)
        return tally

    def _transformed(self, rows: list[Row]) -> Computed:
        # The user's own code need not be safe for threads.
        alone = self._one_at_a_time if self.blueprint.runs_user_code else nullcontext()
        with alone:
            if self.quota is None or not self.blueprint.runs_user_code:
                return computed(self.blueprint, rows, self.functions)
            shown_rows = self.quota.take(len(rows))
            first = computed(self.blueprint, rows[:shown_rows], self.functions)
            rest = computed(self.blueprint, rows[shown_rows:], None)
        return Computed([*first.rows, *rest.rows], [*first.bad, *rest.bad], first.saturated + rest.saturated)

    @property
    def _calls(self) -> Calls:
        return Calls(blueprint=self.blueprint, beside=self.beside)
