"""Backups: what `keep` returned for is on the disk, whatever happens after; what is damaged is told, not believed."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from restore_kit import rewrite_of, vector_cast

from rvlstate.errors import GateFailedError, StepFailedError
from rvlstate.model.state import Record
from rvlstate.runtime.backup.folder import MANIFEST, find_backups, prepare
from rvlstate.runtime.backup.frames import HEAD, HEAD_LENGTH
from rvlstate.runtime.backup.manifest import Manifest, dump_manifest, load_manifest
from rvlstate.runtime.backup.reader import newest_first, verify
from rvlstate.runtime.backup.rows import pack_original, unpack_original
from rvlstate.runtime.backup.writer import BackupWriter
from rvlstate.runtime.documents.originals import Original

REWRITE = rewrite_of(vector_cast())
MINE = Manifest(
    project="shop",
    lineage="one",
    server="redis://host",
    rewrite=REWRITE,
    record=Record(name="products", physical="products@1", definition=REWRITE.before),
)
DIGEST = b"0" * 40


def row(number: int, before: bytes | None = b"value") -> Original:
    """An original of one field."""
    return Original(key=b"doc:%d" % number, before={b"v": before}, written=DIGEST)


def rows(*numbers: int) -> list[Original]:
    """Several."""
    return [row(number) for number in numbers]


def read(folder: Path) -> list[Original]:
    """All rows, oldest first."""
    return list(chain.from_iterable(chunk.rows for chunk in newest_first(folder)))[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared folder."""
    return prepare(tmp_path / "kept", MINE)


values = st.none() | st.binary(max_size=30)
originals = st.builds(
    Original,
    key=st.binary(max_size=40),
    before=st.dictionaries(st.binary(max_size=10), values, max_size=4) | st.binary(max_size=40),
    written=st.just(DIGEST),
)


@given(originals)
def test_a_row_survives(original: Original) -> None:
    """Any bytes in keys, names and values, absent values, whole documents."""
    assert unpack_original(pack_original(original)) == original


def test_order_is_kept_over_frames_segments_and_passes(folder: Path) -> None:
    """The newest row comes first, also among several of one key; the first pass is told apart."""
    for start in (0, 10):
        with BackupWriter(folder, segment_frames=2) as writer:
            for number in range(start, start + 10, 2):
                writer.keep([row(1, b"%d" % number), row(1, b"%d" % (number + 1))])
    chunks = list(newest_first(folder))
    told = [original.before for chunk in chunks for original in chunk.rows]
    assert told == [{b"v": b"%d" % number} for number in reversed(range(20))]
    assert [chunk.oldest for chunk in chunks] == [False] * 5 + [True] * 5
    assert len({chunk.number for chunk in chunks}) == 10
    assert verify(folder).segments == 6


def test_threads_keep_side_by_side(folder: Path) -> None:
    """Every row of every thread is there, and each frame is whole."""
    with BackupWriter(folder, segment_frames=7) as writer:

        def keep(at: int) -> None:
            for number in range(50):
                writer.keep(rows(at * 100 + number))

        threads = [threading.Thread(target=keep, args=(at,)) for at in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = {b"doc:%d" % (at * 100 + n) for at in range(4) for n in range(50)}
    assert {original.key for original in read(folder)} == expected
    assert (verify(folder).rows, verify(folder).damaged_frames, verify(folder).cut_off) == (200, 0, 0)


def test_a_torn_tail_is_cut_off_wherever_it_tears(folder: Path) -> None:
    """Every frame in front of the tear is read, at each possible length of the file; the next pass goes on behind."""
    with BackupWriter(folder) as writer:
        for number in range(3):
            writer.keep(rows(number))
    (segment,) = folder.glob("*.segment")
    data = segment.read_bytes()
    frame = (len(data) - HEAD_LENGTH) // 3
    for length in range(len(data)):
        segment.write_bytes(data[:length])
        whole = max(0, (length - HEAD_LENGTH) // frame)
        assert [original.key for original in read(folder)] == [b"doc:%d" % number for number in range(whole)]
    with BackupWriter(folder) as writer:
        writer.keep(rows(9))
    assert [original.key for original in read(folder)] == [b"doc:0", b"doc:1", b"doc:9"]
    assert verify(folder).cut_off == frame - 1


@settings(deadline=None)
@given(at=st.integers(min_value=HEAD_LENGTH), bit=st.integers(0, 7))
def test_no_changed_bit_is_believed(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    """One bit anywhere behind the head: what is read is what was written, and the loss is told."""
    folder = prepare(tmp_path_factory.mktemp("kept"), MINE)
    with BackupWriter(folder) as writer:
        for number in range(4):
            writer.keep(rows(number))
    (segment,) = folder.glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[HEAD_LENGTH + (at - HEAD_LENGTH) % (len(data) - HEAD_LENGTH)] ^= 1 << bit
    segment.write_bytes(data)
    told, found = verify(folder), read(folder)
    assert all(original in rows(0, 1, 2, 3) for original in found)
    assert len(found) == told.rows < 4
    assert told.damaged or told.cut_off


def test_a_frame_that_unpacks_to_nothing_sensible_cannot_come_from_a_good_checksum(folder: Path) -> None:
    """The checksum is over what is on the disk: compressed bytes that were swapped are found before unpacking."""
    with BackupWriter(folder) as writer:
        writer.keep(rows(1))
    (segment,) = folder.glob("*.segment")
    data = segment.read_bytes()
    other = zlib.compress(b"x")
    segment.write_bytes(data[: HEAD_LENGTH + HEAD.size] + other.ljust(len(data) - HEAD_LENGTH - HEAD.size, b"\0"))
    assert read(folder) == []
    assert verify(folder).damaged == 1


KILLED = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_backup import row
from rvlstate.runtime.backup.writer import BackupWriter
writer = BackupWriter(Path({folder!r}))
for number in range(1000):
    writer.keep([row(number)])
    print(number, flush=True)
    if number == 20:
        os.kill(os.getpid(), 9)
"""


def test_what_was_kept_survives_a_kill(folder: Path) -> None:
    """Killed behind a `keep`: every row that it returned for is there."""
    program = KILLED.format(path=sys.path, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    kept = len(done.stdout.split())
    assert kept == 21
    assert len(read(folder)) == kept


def test_a_full_disk_stops_the_pass_and_stays_stopped(folder: Path) -> None:
    """The rows that do not fit are not told to be kept, none comes behind them, and those in front are good."""
    writer, kept = BackupWriter(folder), []

    def fill() -> None:
        for number in range(1000):
            writer.keep([row(number, os.urandom(100))])
            kept.append(number)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(StepFailedError, match="keep original values") as stopped:
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "not saved" in stopped.value.why
    with pytest.raises(StepFailedError):
        writer.keep(rows(1))
    writer.close()
    assert 0 < len(kept) == len(read(folder))


def test_a_segment_of_another_process_is_never_appended_to(folder: Path) -> None:
    """Two writers that do not know of each other: each has files of its own."""
    with BackupWriter(folder) as one, BackupWriter(folder) as other:
        for number in range(5):
            one.keep(rows(number))
            other.keep(rows(100 + number))
    assert len(list(folder.glob("*.segment"))) == 2
    assert {original.key for original in read(folder)} == {b"doc:%d" % n for n in (*range(5), *range(100, 105))}


def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    """Folders 0700, files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        folder = prepare(tmp_path / "a" / "b", MINE)
        with BackupWriter(folder) as writer:
            writer.keep(rows(1))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())}
    assert modes == {"b": 0o700, "products-3": 0o700, MANIFEST: 0o600, "000001.segment": 0o600}


def test_a_manifest_survives(folder: Path) -> None:
    """Everything that a rollback needs; an edited one is refused, and one of a later version."""
    found = load_manifest((folder / MANIFEST).read_text(), "here")
    assert replace(found, created_at="") == MINE
    assert found.created_at
    for text, words in (
        (dump_manifest(MINE).replace("redis://host", "redis://other"), "checksum"),
        (dump_manifest(MINE).replace('"format": 1', '"format": 2'), "reads up to 1"),
        ("[]", "no manifest"),
        ("{", "no manifest"),
        ("", "no manifest"),
    ):
        with pytest.raises(GateFailedError, match="cannot be read") as refused:
            load_manifest(text, "here")
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"project": "stock"}, "its project is shop, not stock"),
        ({"lineage": "two"}, "its lineage of the state is one, not two"),
        ({"rewrite": replace(REWRITE, name="goods")}, "its index is products, not goods"),
        ({"rewrite": replace(REWRITE, fields=())}, "another content"),
    ],
)
def test_a_backup_of_something_else_is_not_added_to(folder: Path, other: dict[str, Any], words: str) -> None:
    """Each in its own words; the same rewrite, further on its way, goes on."""
    with BackupWriter(folder) as writer:
        writer.keep(rows(1))
    with pytest.raises(GateFailedError, match="backup of something else") as refused:
        prepare(folder.parent, replace(MINE, **other))
    assert words in refused.value.why
    assert prepare(folder.parent, replace(MINE, rewrite=replace(REWRITE, dropped=True), server="elsewhere")) == folder


def test_a_place_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A file instead of a folder, no room, a folder that cannot be made; nothing is written to the server by then."""
    (tmp_path / "file").write_text("")
    with pytest.raises(GateFailedError, match="cannot be kept") as refused:
        prepare(tmp_path / "file", MINE)
    with pytest.raises(GateFailedError, match="the backup is gone from"):
        prepare(tmp_path / "lost", MINE, begun=True)
    assert "Nothing was written" in refused.value.why
    with pytest.raises(GateFailedError, match="cannot be kept") as refused:
        prepare(tmp_path / "kept", MINE, expected_bytes=1 << 60)
    assert "are free on this disk" in refused.value.why
    with pytest.raises(GateFailedError, match="cannot be kept"):
        prepare("/proc/kept", MINE)


def test_backups_are_found_by_project_and_index_newest_first(tmp_path: Path) -> None:
    """In the folder that was declared, and by their own folder; names that are no file names do no harm."""
    times = ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z")
    for number, time in enumerate(times):
        prepare(tmp_path, replace(MINE, rewrite=replace(REWRITE, id=f"a/../b:{number}"), created_at=time))
    prepare(tmp_path, replace(MINE, rewrite=replace(REWRITE, id="other", name="other")))
    (tmp_path / "something else").mkdir()
    found = find_backups(tmp_path, "shop", "products")
    assert [backup.manifest.rewrite.id for backup in found] == ["a/../b:1", "a/../b:0", "a/../b:2"]
    assert all(backup.folder.parent == tmp_path for backup in found)
    assert find_backups(found[2].folder, "shop", "products") == (found[2],)
    assert find_backups(tmp_path, "stock", "products") == ()
    assert find_backups(tmp_path / "nothing", "shop", "products") == ()
