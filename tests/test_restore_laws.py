"""Laws of a restoration: the latest original of what is still ours comes back, and a kill at any batch changes nothing.

The rows of the backup are made by hand: any history that passes, applications and kills may write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from restore_kit import Bench, StoppedError, open_bench, rewrite_of, vector_cast
from servers import EmbeddedServer, connected, flush

from rvlstate.model.rewrite import FieldRewrite
from rvlstate.runtime.backup.writer import BackupWriter
from rvlstate.runtime.documents.originals import Original, values_digest
from rvlstate.runtime.documents.restore import forget_notes

KEYS = (b"doc:1", b"doc:2")
LENGTH = vector_cast()
MARKER = replace(LENGTH, layout="marker")

LAWS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

keys = st.sampled_from(KEYS)
numbers = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rewrite"), keys, numbers),
        st.tuples(st.just("old"), keys, numbers),
        st.tuples(st.just("new"), keys, numbers),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("write"), keys),
        st.tuples(st.just("keep only"), keys),
        st.tuples(st.just("pass")),
    ),
    min_size=6,
    max_size=24,
)


@dataclass
class History:
    """What happened: documents, rows in order, and by which passes; values are numbers, old or new.

    `once`: a pass sees each document once, as it does unless the server resizes its table of keys meanwhile.
    """

    marker: bool
    once: bool = False
    documents: dict[bytes, bytes] = field(default_factory=dict)
    ours: dict[bytes, bytes] = field(default_factory=dict)
    passes: list[list[Original]] = field(default_factory=lambda: [[]])

    def old(self, number: int) -> bytes:
        """A value in the old layout; with markers any value may be one."""
        return b"%d" % number if self.marker else b"old %d" % number

    def new(self, number: int) -> bytes:
        """A value in the new one."""
        return b"%d" % number

    def made(self, value: bytes) -> bytes:
        """The transform: two values become one."""
        number = int(value.split()[-1])
        return b"%d" % ((number * 2 + 1) % 4) if self.marker else b"%d" % (number // 2)

    def play(self, played: list[tuple[Any, ...]]) -> None:
        """All steps."""
        for name, *arguments in played:
            self._step(name, *arguments)

    def _step(self, name: str, key: bytes = b"", number: int = 0) -> None:
        if name == "rewrite":
            self._step("old", key, number)
            self._step("write", key)
        elif name == "pass":
            self.passes.append([])
        elif name in ("old", "new"):
            self.documents[key] = self.old(number) if name == "old" else self.new(number)
        elif name == "delete":
            self.documents.pop(key, None)
        elif key in self.documents and self._is_old(key):
            before = self.documents[key]
            if self.once and any(row.key == key for row in self.passes[-1]):
                self.passes.append([])
            after = self.made(before)
            self.passes[-1].append(Original(key=key, before={b"v": before}, written=values_digest([after])))
            if name == "write":
                self.documents[key] = self.ours[key] = after

    def _is_old(self, key: bytes) -> bool:
        return self.documents[key] != self.ours.get(key) if self.marker else self.documents[key].startswith(b"old")

    def expected(self) -> dict[bytes, bytes]:
        """What a rollback must lead to: rows from the newest to the oldest, each that still fits applied."""
        found = dict(self.documents)
        for row in (row for rows in reversed(self.passes) for row in reversed(rows)):
            if row.key in found and values_digest([found[row.key]]) == row.written:
                assert isinstance(row.before, dict)
                found[row.key] = row.before[b"v"] or b""
        return found


@pytest.fixture(scope="module")
def shared(server: EmbeddedServer) -> Iterator[tuple[EmbeddedServer, Any]]:
    """The shared server and a client."""
    with connected(server) as client:
        yield server, client


def set_up(shared: tuple[EmbeddedServer, Any], parent: str, history: History, item: FieldRewrite) -> Bench:
    """The documents on the server, and the rows in a backup with several passes and small frames."""
    server, client = shared
    flush(server)
    bench = open_bench(server.url, client, Path(parent), rewrite_of(item))
    for rows in history.passes:
        with BackupWriter(bench.folder, segment_frames=2) as writer:
            for start in range(0, len(rows), 2):
                writer.keep(rows[start : start + 2])
    for key, value in history.documents.items():
        client.hset(key, "v", value)
    return bench


def values(client: Any) -> dict[bytes, bytes]:
    """The documents as they are."""
    return {key: client.hget(key, "v") for key in client.keys("doc:*")}


@LAWS
@given(played=steps, marker=st.booleans(), stops=st.lists(st.integers(0, 6), max_size=4))
def test_what_is_still_ours_goes_back_however_often_it_is_killed(
    shared: tuple[EmbeddedServer, Any], played: list[tuple[Any, ...]], marker: bool, stops: list[int]
) -> None:
    """Killed after any batches and run again: the documents are those of an undisturbed run."""
    history = History(marker=marker)
    history.play(played)
    with TemporaryDirectory() as parent:
        bench = set_up(shared, parent, history, MARKER if marker else LENGTH)
        for batches in stops:
            with suppress(StoppedError):
                bench.restore(batch_size=1, batches=batches)
        bench.restore()
        assert values(bench.client) == history.expected()
        bench.restore()
        assert values(bench.client) == history.expected()
        bench.connection.close()


@LAWS
@given(played=steps, marker=st.booleans())
def test_each_document_is_counted_once(
    shared: tuple[EmbeddedServer, Any], played: list[tuple[Any, ...]], marker: bool
) -> None:
    """Whatever the number of its rows: restored, as before, newer or gone."""
    history = History(marker=marker, once=True)
    history.play(played)
    rows = [row for rows in history.passes for row in rows]
    kept = {row.key for row in rows}
    end = history.expected()
    restored = {key for key in kept if key in end and end[key] != history.documents[key]}
    gone = {key for key in kept if key not in end}
    with TemporaryDirectory() as parent:
        bench = set_up(shared, parent, history, MARKER if marker else LENGTH)
        told = bench.restore()
        assert told.rows == len(rows)
        assert told.gone == len(gone)
        assert told.restored >= len(restored)
        assert told.restored + told.as_before + told.newer == len(kept - gone)
        forget_notes(bench.connection, "shop", bench.rewrite)
        assert [key for key in bench.client.scan_iter() if b":back:" in key] == []
        bench.connection.close()


def test_what_was_put_back_is_not_taken_for_what_a_newer_row_wrote(shared: tuple[EmbeddedServer, Any]) -> None:
    """The value that comes back is one that rvlstate wrote at another time: a further run leaves it."""
    history = History(marker=True, documents={b"doc:1": b"2"})
    first = Original(key=b"doc:1", before={b"v": b"1"}, written=values_digest([b"2"]))
    later = Original(key=b"doc:1", before={b"v": b"5"}, written=values_digest([b"1"]))
    history.passes = [[first], [later]]
    with TemporaryDirectory() as parent:
        bench = set_up(shared, parent, history, MARKER)
        for _ in range(3):
            bench.restore()
            assert values(bench.client) == {b"doc:1": b"1"}
        bench.connection.close()
