"""Restore: original values of a backup go back into the documents, newest rows first, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from redis.cluster import RedisCluster

from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.effects import Restored
from rvlstate.runtime.backup.reader import Chunk, newest_first, newest_segment
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.batch import shown
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.fence import Fence, Holding, Onlooker, fence_of
from rvlstate.runtime.documents.node import Node
from rvlstate.runtime.documents.pacing import Pacer
from rvlstate.runtime.documents.restore_rows import Document, Shapes, documents_of
from rvlstate.runtime.documents.scripts import Script, made_of
from rvlstate.runtime.documents.tidy import remove_marks
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.documents.watch import Call

Doing: TypeAlias = Literal["look", "try", "put"]

AS_BEFORE, RESTORED, NEWER, GONE = 1, 2, 3, 4
"""What the script says of a document."""

CALL_DOCUMENTS = 64
CALL_BYTES = 256 << 10
"""What one call of the script works on at most, so that the server is blocked for about a millisecond."""

KEYS_SHOWN = 20

Group: TypeAlias = tuple[int, list[Document]]


def restore_script(*, writes: bool) -> Script:
    """The script, which shares little with those of a pass: what it must not write over is another thing."""
    return made_of(*(("fence",) if writes else ()), "places", "restore")


@dataclass(slots=True, kw_only=True)
class Restoring:
    """Puts the originals of one rewrite back from the folder of its backup.

    `before_write` is asked before each batch, and raises if `lease` is not ours any more, and the server itself refuses
    what comes too late; `tell` hears how things stand after each. May be run again at any time, after a kill too: what
    was put back is seen to be so, and a row counts once.
    """

    connection: Connection
    project: str
    rewrite: Rewrite
    folder: Path
    clustered: bool
    batch_size: int
    pacer: Pacer
    lease: Holding
    before_write: Callable[[], None]
    tell: Callable[[Restored], None]
    _counts: dict[int, int] = field(default_factory=lambda: dict.fromkeys((AS_BEFORE, RESTORED, NEWER, GONE), 0))
    _newer: dict[str, None] = field(default_factory=dict)
    _rows: int = 0
    _damaged: int = 0
    _nodes: dict[str, Node] = field(default_factory=dict)

    def put_back(self) -> Restored:
        """Everything in the backup. Raises what `pacer` and `before_write` raise, StepFailedError, redis errors."""
        began, newest = time.monotonic(), newest_segment(self.folder)
        attempt = time.time_ns() // 1_000_000
        shapes = Shapes(self.rewrite)
        for chunk in newest_first(self.folder):
            self._damaged += chunk.damaged
            for documents in _batches(documents_of(chunk, shapes), self.batch_size):
                started = time.monotonic()
                self.pacer.admit(len(documents))
                self.before_write()
                told = self._run("put", documents, shapes, self._head(chunk, attempt, newest))
                self._count(documents, told)
                self.pacer.note(len(documents), time.monotonic() - started)
                self.tell(self._so_far(began))
        return self._so_far(began)

    def sample(self, rows: int) -> Restored:
        """What would come of up to so many rows of the first pass; nothing is written."""
        began, left, shapes = time.monotonic(), rows, Shapes(self.rewrite)
        for chunk in newest_first(self.folder):
            if left > 0 and chunk.oldest:
                documents = list(islice(documents_of(chunk, shapes), left))
                left -= len(documents)
                told = self._run("try", documents, shapes, self._head(chunk, 0, 0))
                self._count(documents, told)
        return self._so_far(began)

    def _head(self, chunk: Chunk, attempt: int, newest: int) -> list[bytes]:
        """What the script is told of a frame: what to note, and where it is in the backup."""
        in_place = any(item.layout == "marker" for item in self.rewrite.fields)
        notes = ("p" if in_place else "") + ("" if chunk.oldest else "s")
        kind = f"was_{self.rewrite.before.storage}" if self.rewrite.changes_storage else self.rewrite.before.storage
        moves = "1" if self.rewrite.moves else "0"
        return [str(part).encode() for part in (notes, kind, attempt, moves, newest)]

    def _run(self, doing: Doing, documents: Sequence[Document], shapes: Shapes, head: list[bytes]) -> list[int]:
        """The replies of the script for documents, in their order."""
        if shapes.needs_look:
            told = self._sent("look", documents, shapes, head)
            for document, values in zip(documents, told, strict=True):
                document.take_look(values)
        return self._sent(doing, documents, shapes, head)

    def _sent(self, doing: Doing, documents: Sequence[Document], shapes: Shapes, head: list[bytes]) -> list[Any]:
        beside = _notes(self.project, self.rewrite, clustered=self.clustered)
        replies: dict[int, Any] = {}
        by_node: dict[int, tuple[Node, list[tuple[list[Document], Any]]]] = {}
        for slot, group in _groups(documents, beside):
            node = self._node(group[0].now)
            keys = [beside.marks(slot), *(document.now for document in group)]
            keys += [document.key for document in group] if self.rewrite.moves else []
            arguments = [doing.encode(), *head, *shapes.arguments()]
            arguments += [part for document in group for part in document.arguments(look=doing == "look")]
            by_node.setdefault(id(node), (node, []))[1].append((group, (keys, arguments)))
        for node, calls in by_node.values():
            answers = self._called(node, doing, [call for _, call in calls])
            for (group, _), answer in zip(calls, answers, strict=True):
                replies.update(zip(map(id, group), answer, strict=True))
        return [replies[id(document)] for document in documents]

    def _called(self, node: Node, doing: Doing, calls: Sequence[Call]) -> list[Any]:
        if doing != "put":
            return node.run(restore_script(writes=False), calls)
        return self._fence.run(node, restore_script(writes=True), calls)

    @property
    def _fence(self) -> Fence:
        return fence_of(self.project, self.lease, self.before_write, clustered=self.clustered)

    def _node(self, key: bytes) -> Node:
        """The node that has a key; whoever has it by then is found by the node itself."""
        client: Any = self.connection.keys
        if not isinstance(self.connection.keys, RedisCluster):
            return self._nodes.setdefault("", Node(self.connection, self.connection.search))
        owner = client.get_node_from_key(key)
        if owner.name not in self._nodes:
            self._nodes[owner.name] = Node(self.connection, client.get_redis_connection(owner))
        return self._nodes[owner.name]

    def _count(self, documents: Sequence[Document], told: Sequence[int]) -> None:
        for document, answer in zip(documents, told, strict=True):
            before, status = divmod(answer, 10)
            self._rows += document.size
            self._counts[status] += 1
            if before:
                self._counts[before] -= 1
            self._list(shown(document.key), status)

    def _list(self, key: str, status: int) -> None:
        """Keep the first keys of documents that were written since."""
        if status != NEWER:
            self._newer.pop(key, None)
        elif len(self._newer) < KEYS_SHOWN:
            self._newer[key] = None

    def _so_far(self, began: float) -> Restored:
        return Restored(
            rows=self._rows,
            restored=self._counts[RESTORED],
            as_before=self._counts[AS_BEFORE],
            newer=self._counts[NEWER],
            gone=self._counts[GONE],
            damaged=self._damaged,
            seconds=time.monotonic() - began,
            newer_keys=tuple(self._newer),
        )


class _Unpaced:
    """Holds nothing back."""

    reason = ""

    def admit(self, documents: int) -> None:
        """At once."""

    def note(self, documents: int, seconds: float) -> None:
        """Nothing is learnt."""


def sample_restoration(connection: Connection, project: str, rewrite: Rewrite, folder: Path, *, rows: int) -> Restored:
    """What would come of up to so many rows of the first pass; nothing is written."""
    restoring = Restoring(
        connection=connection,
        project=project,
        rewrite=rewrite,
        folder=folder,
        clustered=is_clustered(connection),
        batch_size=rows,
        pacer=_Unpaced(),
        lease=Onlooker(),
        before_write=lambda: None,
        tell=lambda _: None,
    )
    return restoring.sample(rows)


def forget_notes(connection: Connection, project: str, rewrite: Rewrite) -> None:
    """Remove the notes of restorations of a rewrite."""
    remove_marks(connection, _notes(project, rewrite, clustered=is_clustered(connection)))


def _notes(project: str, rewrite: Rewrite, *, clustered: bool) -> Beside:
    """Where the notes are: beside the documents, apart from the digests of the rewrite itself."""
    return Beside(project=project, rewrite=f"{rewrite.id}:back", clustered=clustered)


def _batches(documents: Iterator[Document], size: int) -> Iterator[list[Document]]:
    while batch := list(islice(documents, max(1, size))):
        yield batch


def _groups(documents: Sequence[Document], beside: Beside) -> Iterator[Group]:
    """Documents of one slot, as many as one call of the script may work on."""
    open_groups: dict[int, tuple[list[Document], int]] = {}
    for document in documents:
        slot = beside.slot(document.key)
        group, size = open_groups.get(slot, ([], 0))
        if group and (len(group) == CALL_DOCUMENTS or size + document.weight > CALL_BYTES):
            yield slot, group
            group, size = [], 0
        group.append(document)
        open_groups[slot] = (group, size + document.weight)
    yield from ((slot, group) for slot, (group, _) in open_groups.items())
