"""Samples: some documents of each change are read and transformed before it is planned; nothing is written.

The user's own code is not run. The look is bounded, however large the database and however rare the documents are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rvlstate.model.field import INTEGERS, VectorField
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.effects import Tally
from rvlstate.plan.rights import look_needs
from rvlstate.plan.sample import Sample
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import blueprint_of
from rvlstate.runtime.documents.fence import Onlooker, fence_of
from rvlstate.runtime.documents.ledger import added
from rvlstate.runtime.documents.members import Members
from rvlstate.runtime.documents.node import Node, OtherServerError
from rvlstate.runtime.documents.reconcile import Quota, Reconciler
from rvlstate.runtime.documents.scan import START, Wanted, scan_page
from rvlstate.runtime.documents.topology import is_clustered, primaries
from rvlstate.runtime.footprint import footprint
from rvlstate.runtime.permissions import refuse_lacking
from rvlstate.runtime.server_errors import is_permission
from rvlstate.transforms.scale import scale_for

DOCUMENTS = 200
"""How many documents are looked at: enough to see what one in a hundred has."""

PAGES = 200
"""How many pages of the keyspace are gone through for them on each node: 100,000 keys, some 50 ms."""


def take_samples(connection: Connection, project: str, rewrites: Mapping[str, Rewrite]) -> dict[str, Sample]:
    """What some documents of each change told.

    Raises ServerUnreachableError, PermissionMissingError and redis errors.
    """
    refuse_lacking(connection, look_needs(project, rewrites.values()))
    return {name: _Look(connection, project, rewrite).sample() for name, rewrite in sorted(rewrites.items())}


@dataclass(slots=True)
class _Look:
    """One look at the documents of one change."""

    connection: Connection
    project: str
    rewrite: Rewrite

    def sample(self) -> Sample:
        """What was found."""
        beside = Beside(project=self.project, rewrite=self.rewrite.id, clustered=is_clustered(self.connection))
        reconciler = self._reconciler(beside)
        total, looked_at = Tally(), list[tuple[Node, tuple[bytes, ...]]]()
        found = primaries(self.connection)
        for primary in found:
            node = Node(self.connection, primary.client)
            keys = self._keys(node, beside, -(-DOCUMENTS // len(found)))
            if keys:
                total = added(total, reconciler.reconcile(node, keys))
                looked_at.append((node, keys))
        told = self._summed(total, dict(reconciler.largest))
        used = footprint(self.rewrite, looked_at, told.bytes_written)
        return replace(
            told, missing=self._missing(looked_at), memory=round(used.memory, 1), memory_after=round(used.after, 1)
        )

    def _missing(self, looked_at: Sequence[tuple[Node, tuple[bytes, ...]]]) -> tuple[str, ...]:
        """The places that are read and that no document has; those of documents done already are not asked for."""
        is_json = self.rewrite.before.storage == "json"
        places = sorted({source.identifier for item in self.rewrite.fields for source in item.reads})
        done = {place for item in self.rewrite.fields for place in item.removes}
        return tuple(
            place for place in places if place not in done and not _anywhere(looked_at, place, is_json=is_json)
        )

    def _reconciler(self, beside: Beside) -> Reconciler:
        search = Node(self.connection, self.connection.search)
        serving = self._serving(search) if self.rewrite.is_filtered else ""
        return Reconciler(
            blueprint=blueprint_of(self.rewrite, field_expiry=False, originals=False),
            beside=beside,
            functions={},
            members=Members(search, serving) if serving else None,
            quota=Quota(0),
            before_write=_nothing,
            fence=fence_of(self.project, Onlooker(), _nothing, clustered=beside.clustered),
        )

    def _serving(self, search: Node) -> str:
        """The index that knows what the filter lets in; "" once it is gone: a sample may be of all documents then."""
        (names,) = search.send([("FT._LIST",)])
        return self.rewrite.physical if self.rewrite.physical.encode() in names else ""

    def _keys(self, node: Node, beside: Beside, wanted: int) -> tuple[bytes, ...]:
        prefixes = blueprint_of(self.rewrite, field_expiry=False, originals=False).prefixes()
        which, run_id = Wanted(prefixes=prefixes, beside=beside), node.run_id()
        keys: list[bytes] = []
        cursor = START
        with suppress(OtherServerError):  # a server that is started anew just now gives a smaller sample
            for _ in range(PAGES):
                page = scan_page(node, which, cursor, run_id)
                keys += page.keys
                cursor = page.cursor
                if cursor == START or len(keys) >= wanted:
                    break
        return tuple(keys[:wanted])

    def _summed(self, tally: Tally, largest: dict[str, float]) -> Sample:
        looked = tally.seen - tally.foreign - tally.excluded - tally.gone
        scales = {
            name: scale_for(largest[name], datatype)
            for name, datatype in self._integers()
            if largest.get(name, 0.0) > 0.0
        }
        return Sample(
            documents=looked,
            todo=tally.written + tally.bad,
            bytes_read=tally.bytes_read / looked if looked else 0.0,
            bytes_written=tally.bytes_written / tally.written if tally.written else 0.0,
            largest=tuple(sorted(largest.items())),
            scales=tuple(sorted(scales.items())),
            # By the scale that was found nothing is clipped; what was counted is by another one.
            saturated=0 if scales else tally.saturated,
            bad=tally.bad,
            bad_rows=tally.bad_rows[:5],
        )

    def _integers(self) -> list[tuple[str, str]]:
        """The fields that are to hold integers, with their datatype."""
        fields = [self.rewrite.after.field(item.field) for item in self.rewrite.fields]
        vectors = [field for field in fields if isinstance(field, VectorField)]
        return [(field.name, field.datatype) for field in vectors if field.datatype in INTEGERS]


def _anywhere(looked_at: Sequence[tuple[Node, tuple[bytes, ...]]], place: str, *, is_json: bool) -> bool:
    """Whether any of the documents has something at a place; true if there are no documents."""
    command = ("JSON.TYPE",) if is_json else ("HEXISTS",)
    replies = [reply for node, keys in looked_at for reply in node.ask([(*command, key, place) for key in keys])]
    for reply in replies:
        if is_permission(reply):  # who may not ask must not be told that there is nothing
            raise reply
    return not looked_at or any(reply and not isinstance(reply, Exception) for reply in replies)


def _nothing() -> None:
    """Nothing is written, so nobody needs to be asked."""
