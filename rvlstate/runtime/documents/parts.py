"""What a pass goes through: documents, and of a staged change their copies; or the documents that were named."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rvlstate.plan.effects import Sweep, Tally
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.calm import Calm
from rvlstate.runtime.documents.copies import Copies
from rvlstate.runtime.documents.crew import crew
from rvlstate.runtime.documents.hints import Hinted, Hints
from rvlstate.runtime.documents.ledger import added
from rvlstate.runtime.documents.node import Node
from rvlstate.runtime.documents.reconcile import Reconciler
from rvlstate.runtime.documents.scan import Wanted
from rvlstate.runtime.documents.staging import Stager
from rvlstate.runtime.documents.sweep import Gate, Part
from rvlstate.runtime.documents.topology import Primary, primaries

SHARE_OF_COPIES = 0.1
"""One EXISTS of a copy's document, against the reading, digest and writing of a document."""

NO_HINTS = Hinted(frozenset(), certain=False, received=0)


def renames(effect: Sweep) -> bool:
    """Whether a pass renames copies to their documents."""
    return effect.mode == "promote" and effect.rewrite.promotion == "rename"


def stager_of(
    effect: Sweep,
    reconciler: Reconciler,
    *,
    hinted: Callable[[bytes], bool] | None,
    calm: Calm | None,
) -> Stager | None:
    """What brings copies to where a pass wants them; None for a pass that knows no copies."""
    if effect.mode in ("rehearse", "write"):
        return None
    copies = Copies(blueprint=reconciler.blueprint, beside=reconciler.beside)
    return Stager(reconciler=reconciler, copies=copies, mode=effect.mode, hinted=hinted, calm=calm)


def hinted_by(taken: Hinted, hints: Hints | None) -> Callable[[bytes], bool] | None:
    """Which documents were named since the pass before, or during this one; None where one may have been missed."""
    if hints is None or not taken.certain:
        return None
    return lambda key: key in taken.keys or hints.knows(key)


def parts_of(effect: Sweep, reconciler: Reconciler, stager: Stager | None) -> tuple[Part, ...]:
    """What a pass goes through: the documents, and of a staged change the copies, whose documents may be gone."""
    documents = documents_of(effect, reconciler)
    if stager is None:
        return (Part(wanted=documents, work=reconciler.reconcile),)
    copies = stager.copies
    staged = Wanted(prefixes=copies.prefixes(), beside=reconciler.beside, ours=not copies.moved)
    return (
        Part(wanted=documents, work=stager.reconcile),
        Part(wanted=staged, work=stager.orphans, share=SHARE_OF_COPIES),
    )


def documents_of(effect: Sweep, reconciler: Reconciler) -> Wanted:
    """The keys of the documents of a pass."""
    return Wanted(prefixes=_sources(effect, reconciler.blueprint), beside=reconciler.beside)


def _sources(effect: Sweep, blueprint: Blueprint) -> tuple[bytes, ...]:
    """What the documents begin with: those under a new prefix are looked at only when late writes count."""
    stays = effect.mode in ("rehearse", "write", "promote")
    if effect.rewrite.promotion != "new_prefix" or stays:
        return blueprint.prefixes()
    old = sorted({before.encode("utf-8", "surrogateescape") for before, _ in effect.rewrite.moves})
    return tuple(prefix for at, prefix in enumerate(old) if not prefix.startswith(tuple(old[:at])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A pass over documents that were named, each on the node that serves it."""

    connection: Connection
    gate: Gate
    batch_size: int

    def reconciled(self, stager: Stager, wanted: Wanted, keys: Collection[bytes]) -> Tally:
        """What came of those of the keys that are documents. Raises what a pass over all documents raises."""
        began, tally = time.monotonic(), Tally()
        chosen = sorted(wanted.among(sorted(keys)))
        with crew() as hands:
            for primary in primaries(self.connection):
                node = Node(self.connection, primary.client)
                own = [key for key in chosen if _serves(primary, stager, key)]
                for start in range(0, len(own), self.batch_size):
                    batch = own[start : start + self.batch_size]
                    tally = added(tally, hands.persist(partial(self._batch, stager, node, batch)))
        return replace(tally, seconds=time.monotonic() - began)

    def _batch(self, stager: Stager, node: Node, keys: Sequence[bytes]) -> Tally:
        self.gate.admit(len(keys))
        began = time.monotonic()
        tally = stager.reconcile(node, keys)
        self.gate.note(len(keys), time.monotonic() - began)
        return tally


def _serves(primary: Primary, stager: Stager, key: bytes) -> bool:
    slots: Any = primary.slots
    return slots is None or stager.copies.beside.slot(key) in slots
