"""The rows of a backup: originals of documents as the parts of a frame, and back."""

from __future__ import annotations

from typing import Final

from rvlstate.runtime.backup.frames import Parts
from rvlstate.runtime.documents.originals import Original

WHOLE: Final = b"w"
"""Marks the row of a document that was kept as one text."""

VALUES: Final = b"v"
"""Marks the row of a document of which some values were kept: identifier and value in turn."""


def pack_original(row: Original) -> Parts:
    """An original as parts: what kind of row it is, the key, the digest, then what was there."""
    if isinstance(row.before, bytes):
        return (WHOLE, row.key, row.written, row.before)
    pairs = (part for identifier in sorted(row.before) for part in (identifier, row.before[identifier]))
    return (VALUES, row.key, row.written, *pairs)


def unpack_original(parts: Parts) -> Original:
    """The original that `pack_original` packed."""
    kind, key, written, *rest = parts
    before = _text(rest[0]) if kind == WHOLE else {_text(rest[at]): rest[at + 1] for at in range(0, len(rest), 2)}
    return Original(key=_text(key), before=before, written=_text(written))


def _text(part: bytes | None) -> bytes:
    """A part that is never absent."""
    return part or b""
