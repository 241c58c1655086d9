"""Frames: rows of a backup as one compressed, checksummed block; a frame that was cut off is told from a whole one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"rvlstate backup 1\n"
"""What a segment begins with; the name of the pass that wrote it follows."""

PASS_LENGTH = 16
"""Bytes of the name of a pass."""

HEAD_LENGTH = len(MAGIC) + PASS_LENGTH
"""Bytes of a segment in front of its frames."""

HEAD = struct.Struct(">IIII")
"""Of a frame: length of its body, CRC-32 of its body, number of its rows, CRC-32 of these three."""

NUMBER = struct.Struct(">I")
ABSENT = 0xFFFFFFFF
"""Stands for the length of a value that was not there."""

SEGMENT_FRAMES = 1 << 16
"""Frames of a segment at most: what a reader must remember of it."""

LEVEL = 1
"""Of zlib: vectors hardly shrink, and the fastest level takes most of what there is to gain."""

Parts = tuple["bytes | None", ...]
"""One row: any number of values, each of which may be absent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a whole frame is in its segment: offset and length of its body, the CRC-32 of it, and its rows."""

    offset: int
    length: int
    crc: int
    rows: int


def begin_segment(name_of_pass: bytes) -> bytes:
    """The first bytes of a segment."""
    return MAGIC + name_of_pass


def pack_frame(rows: Sequence[Parts]) -> bytes:
    """Rows as one frame."""
    body = zlib.compress(b"".join(map(_pack_row, rows)), LEVEL)
    head = HEAD.pack(len(body), zlib.crc32(body), len(rows), 0)[:12]
    return b"".join((head, NUMBER.pack(zlib.crc32(head)), body))


def read_pass(file: BinaryIO) -> bytes | None:
    """The name of the pass that wrote a segment; None for a file that is no segment, or was cut off in its head."""
    file.seek(0)
    head = file.read(HEAD_LENGTH)
    return head[len(MAGIC) :] if len(head) == HEAD_LENGTH and head.startswith(MAGIC) else None


def find_frames(file: BinaryIO, size: int) -> Iterator[Place]:
    """The places of all frames of a segment up to `size`, in order; ends at the first that is not whole."""
    offset = HEAD_LENGTH
    while offset + HEAD.size <= size:
        file.seek(offset)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            return
        length, crc, rows, own = HEAD.unpack(head)
        offset += HEAD.size
        if own != zlib.crc32(head[:12]) or offset + length > size:
            return
        yield Place(offset, length, crc, rows)
        offset += length


def read_frame(file: BinaryIO, place: Place) -> list[Parts] | None:
    """The rows of a frame in the order in which they were written; None for one that is damaged."""
    file.seek(place.offset)
    body = file.read(place.length)
    if len(body) != place.length or zlib.crc32(body) != place.crc:
        return None
    return list(_unpack_rows(zlib.decompress(body)))


def _pack_row(row: Parts) -> bytes:
    pieces = [NUMBER.pack(len(row))]
    for value in row:
        pieces += [NUMBER.pack(ABSENT)] if value is None else [NUMBER.pack(len(value)), value]
    return b"".join(pieces)


def _unpack_rows(data: bytes) -> Iterator[Parts]:
    at = 0
    while at < len(data):
        (count,) = NUMBER.unpack_from(data, at)
        at += NUMBER.size
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = NUMBER.unpack_from(data, at)
            at += NUMBER.size
            if length == ABSENT:
                values.append(None)
            else:
                values.append(data[at : at + length])
                at += length
        yield tuple(values)
