"""One batch of a staged change: copies made, brought up to date, promoted or removed, each as its document stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rvlstate.plan.effects import BadRow, Mode, Tally
from rvlstate.runtime.documents.at_once import AtOnce
from rvlstate.runtime.documents.batch import Row, shown
from rvlstate.runtime.documents.calls import CALL_KEYS, by_slot
from rvlstate.runtime.documents.calm import Calm
from rvlstate.runtime.documents.copies import Copies
from rvlstate.runtime.documents.ledger import added
from rvlstate.runtime.documents.node import Node, is_scanned
from rvlstate.runtime.documents.reconcile import Reconciler
from rvlstate.runtime.documents.scripts import made_of, script
from rvlstate.runtime.documents.staged_calls import Looking, Pair, StagedCalls
from rvlstate.runtime.documents.watch import Call

OTHER_SLOT = "its new key is in another slot of the cluster, to which it cannot be copied"


@dataclass(slots=True, kw_only=True)
class Stager:
    """Brings the staged copies of batches of documents to where `mode` wants them; used by several threads.

    `reconciler` computes what is written, keeps originals, and treats documents that are under their new prefix.
    `hinted` tells which documents notifications have named, None where nobody can. `calm` knows when copies may be
    renamed, None where they are not.
    """

    reconciler: Reconciler
    copies: Copies
    mode: Mode
    calm: Calm | None = None
    hinted: Callable[[bytes], bool] | None = None
    _looks: AtOnce = field(default_factory=AtOnce)
    _writes: AtOnce = field(default_factory=AtOnce)

    def reconcile(self, node: Node, keys: Sequence[bytes]) -> Tally:
        """One batch of documents; they may be seen again, nothing is done twice."""
        if self.mode == "unstage":
            return replace(self._excluded(node, keys), seen=len(keys))
        allowed = self.reconciler.allowed(keys)
        pairs, placed, bad = self._sorted_out(allowed)
        tally = Tally(seen=len(keys), bad=len(bad), bad_rows=tuple(bad))
        if len(allowed) < len(keys):
            inside = set(allowed)
            tally = added(tally, self._excluded(node, [key for key in keys if key not in inside]))
        if pairs:
            tally = added(tally, self._reconciled(node, pairs))
        return added(tally, self._in_place(node, placed)) if placed else tally

    def orphans(self, node: Node, copies: Sequence[bytes]) -> Tally:
        """Remove those copies whose document is gone."""
        documents = {key for copy in copies for key in self.copies.documents(copy)}
        groups = list(by_slot(sorted((self.copies.beside.slot(key), key) for key in documents), CALL_KEYS))
        flag = b"1" if self.copies.moved else b"0"
        calls: list[Call] = [
            ([self.copies.beside.marks(group[0][0]), *(key for _, key in group)], [flag]) for group in groups
        ]
        replies = node.run(made_of("orphans"), calls)
        gone = [group[at - 1][1] for group, answers in zip(groups, replies, strict=True) for at in answers]
        if not gone:
            return Tally()
        tally = self.reconcile(node, gone)
        return replace(tally, seen=0, gone=0, excluded=0)

    def _sorted_out(self, keys: Sequence[bytes]) -> tuple[list[Pair], list[bytes], list[BadRow]]:
        """Documents with their copies, those that are under their new prefix, and those that can have no copy."""
        beside, pairs, placed, bad = self.copies.beside, list[Pair](), list[bytes](), list[BadRow]()
        for key in keys:
            copy, slot = self.copies.of(key), beside.slot(key)
            if copy is None:
                placed.append(key)
            elif self.copies.moved and beside.slot(copy) != slot:
                bad.append(BadRow(key=shown(key), field="", reason=OTHER_SLOT))
            else:
                pairs.append((slot, key, copy))
        return pairs, placed, bad

    def _reconciled(self, node: Node, pairs: Sequence[Pair]) -> Tally:
        self.reconciler.before_write()
        looking, replies = self._looked(node, pairs)
        rows, both = self.reconciler.told_apart(looking.rows(replies))
        rows, tally = self.reconciler.made_ready(rows)
        tally = added(added(looking.others(replies), both), tally)
        if placed := looking.placed(replies):
            tally = added(tally, self._in_place(node, placed))
        if tally.bad_rows:
            tally = added(tally, self._dropped(node, pairs, tally.bad_rows))
        return added(tally, self._written(node, rows)) if rows else tally

    def _looked(self, node: Node, pairs: Sequence[Pair]) -> tuple[Looking, list[Any]]:
        """What is to be done about documents; what needs no transform is done already, once copies may be renamed."""
        while True:
            process = self.calm.process(node) if self.calm is not None else ""
            at_most = min(self._looks.documents, self.reconciler.read_at_once)
            looking = replace(self._calls, process=process).looking(pairs, at_most)
            with self._looks.timed(len(pairs)):
                replies = self._run(node, "look", looking.calls)
            if self.calm is None or not any(map(is_scanned, replies)):
                return looking, replies
            # Nothing is done twice: what was looked at before the server was started anew is looked at again.
            self.calm.forget(node)

    def _written(self, node: Node, rows: Sequence[Row]) -> Tally:
        # A row of which nothing could be made is copied as it is, or left: there is nothing to restore.
        self.reconciler.keep([row for row in rows if self.copies.moved or row.states[:-1].strip("0")])
        self.reconciler.before_write()
        writing = self._calls.writing(rows, self._writes.documents)
        with self._writes.timed(len(rows)):
            replies = self._run(node, "stage", writing.calls)
        return writing.outcome(replies, self.hinted)

    def _in_place(self, node: Node, placed: Sequence[bytes]) -> Tally:
        """Documents that are under their new prefix are nobody's copies: late writes to them are converted there."""
        return self.reconciler.bring(node, placed) if self.mode == "promote" else Tally(done=len(placed))

    def _excluded(self, node: Node, keys: Sequence[bytes]) -> Tally:
        """Documents that the index's filter leaves out have no copies, not any more."""
        pairs, placed, _ = self._sorted_out(keys)
        tally = Tally(excluded=len(keys) - len(pairs)) if placed else Tally()
        looking = self._calls.looking(pairs, CALL_KEYS, drop=True)
        return added(tally, looking.others(self._run(node, "look", looking.calls)))

    def _dropped(self, node: Node, pairs: Sequence[Pair], bad: Sequence[BadRow]) -> Tally:
        """What cannot be transformed any more must not be answered for by what it was before."""
        keys = {row.key.encode("utf-8", "surrogateescape") for row in bad}
        looking = self._calls.looking([pair for pair in pairs if pair[1] in keys], CALL_KEYS, drop=True)
        return Tally(dropped=looking.others(self._run(node, "look", looking.calls)).dropped)

    def _run(self, node: Node, name: str, calls: Sequence[Call]) -> list[Any]:
        return self.reconciler.fence.run(node, script(self.reconciler.blueprint.adapter, name), calls)

    @property
    def _calls(self) -> StagedCalls:
        return StagedCalls(blueprint=self.reconciler.blueprint, beside=self.copies.beside, mode=self.mode)
