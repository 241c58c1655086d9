"""The reader of a backup: its rows, the newest first, in constant memory; what is damaged is told and passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from rvlstate.runtime.backup.folder import segments
from rvlstate.runtime.backup.frames import HEAD_LENGTH, SEGMENT_FRAMES, find_frames, read_frame, read_pass
from rvlstate.runtime.backup.rows import unpack_original
from rvlstate.runtime.documents.originals import Original


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The rows of one frame, newest first; `damaged` rows could not be read.

    `number` grows from frame to frame in the order in which they were written. `oldest` tells that the rows are of the
    first pass: no older row has any of these keys.
    """

    number: int
    rows: tuple[Original, ...] = ()
    damaged: int = 0
    oldest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What is in a backup. `rows` can be read (a document may have several), `damaged` ones cannot.

    `damaged_frames` counts blocks of rows, and segments that end in the middle though a later one of the same pass
    follows. `cut_off` is how many bytes at ends of segments are no whole frame: a run that was killed leaves these, and
    replaced none of their documents.
    """

    segments: int = 0
    frames: int = 0
    rows: int = 0
    bytes: int = 0
    damaged: int = 0
    damaged_frames: int = 0
    cut_off: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    number: int
    path: Path
    name_of_pass: bytes
    size: int


def newest_first(folder: Path) -> Iterator[Chunk]:
    """All rows, from the newest to the oldest, frame by frame; what is appended meanwhile is not read."""
    found = _found(folder)
    first = found[0].name_of_pass if found else b""
    for segment in reversed(found):
        oldest = segment.name_of_pass == first
        with segment.path.open("rb") as file:
            places = list(find_frames(file, segment.size))
            for at in reversed(range(len(places))):
                rows = read_frame(file, places[at])
                number = segment.number * SEGMENT_FRAMES + at
                if rows is None:
                    yield Chunk(number=number, damaged=places[at].rows, oldest=oldest)
                else:
                    originals = tuple(map(unpack_original, reversed(rows)))
                    yield Chunk(number=number, rows=originals, oldest=oldest)


def newest_segment(folder: Path) -> int:
    """The number of the segment that was begun last, 0 if there is none."""
    return max((segment.number for segment in _found(folder)), default=0)


def verify(folder: Path) -> Verified:
    """Read everything and tell what is there."""
    found = _found(folder)
    total = Verified()
    for number, segment in enumerate(found):
        followed = any(later.name_of_pass == segment.name_of_pass for later in islice(found, number + 1, None))
        total = _added(total, _verify_segment(segment, followed=followed))
    return total


def count_rows(folder: Path) -> int:
    """How many rows there are, by the heads of the frames alone."""
    total = 0
    for segment in _found(folder):
        with segment.path.open("rb") as file:
            total += sum(place.rows for place in find_frames(file, segment.size))
    return total


def _found(folder: Path) -> list[_Segment]:
    """The segments that have a whole head, in order."""
    found = []
    for number, path in segments(folder):
        with path.open("rb") as file:
            name_of_pass = read_pass(file)
        if name_of_pass is not None:
            found.append(_Segment(number=number, path=path, name_of_pass=name_of_pass, size=path.stat().st_size))
    return found


def _verify_segment(segment: _Segment, *, followed: bool) -> Verified:
    frames = rows = damaged = damaged_frames = 0
    end = 0
    with segment.path.open("rb") as file:
        for place in find_frames(file, segment.size):
            frames, end = frames + 1, place.offset + place.length
            if read_frame(file, place) is None:
                damaged, damaged_frames = damaged + place.rows, damaged_frames + 1
            else:
                rows += place.rows
        cut_off = segment.size - (end or HEAD_LENGTH)
    return Verified(
        segments=1,
        frames=frames,
        rows=rows,
        bytes=segment.size,
        damaged=damaged,
        damaged_frames=damaged_frames + (1 if cut_off and followed else 0),
        cut_off=cut_off,
    )


def _added(one: Verified, other: Verified) -> Verified:
    return Verified(**{item.name: getattr(one, item.name) + getattr(other, item.name) for item in fields(Verified)})
