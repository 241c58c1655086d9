"""Documents of a backup in the terms of the script that restores them: shapes of rows, and rows by document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any

from rvlstate.model.rewrite import Rewrite
from rvlstate.runtime.backup.reader import Chunk
from rvlstate.runtime.documents.blueprint import Adapter, Blueprint, blueprint_of
from rvlstate.runtime.documents.originals import Original, values_digest, written_digest
from rvlstate.transforms.paths import is_several

NEVER = b"-"
"""A digest that no value has."""

JSON_TYPE = b"ReJSON-RL"

FRAME_ROWS = 1 << 20
"""More rows than a frame has: numbers of documents are below 2^53 for 2^17 segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Rows that hold values of the same identifiers; () for those that hold whole documents.

    `sources` are positions (from 1): a field that was removed gets the expiry of the one that took its place.
    """

    identifiers: tuple[bytes, ...]
    sources: tuple[int, ...]
    several: tuple[bool, ...]

    def arguments(self) -> list[bytes]:
        """What the script is told of it."""
        name = hashlib.sha1(b"\0".join(self.identifiers), usedforsecurity=False).hexdigest()[:8] + ":"
        numbers = (str(source).encode() for source in self.sources)
        flags = (b"1" if many else b"0" for many in self.several)
        return [name.encode(), str(len(self.identifiers)).encode(), *self.identifiers, *numbers, *flags]


class Shapes:
    """The shapes that were met so far, numbered from 1."""

    def __init__(self, rewrite: Rewrite) -> None:
        self.blueprint: Blueprint = blueprint_of(rewrite, field_expiry=False, originals=True)
        self._numbers: dict[tuple[bytes, ...], int] = {}
        self._shapes: list[Shape] = []
        self._takes = {
            self.blueprint.column(removed): self.blueprint.column(item.writes.identifier)
            for item in rewrite.fields
            if item.writes is not None and self.blueprint.adapter == "hash"
            for removed in item.removes
        }

    @property
    def needs_look(self) -> bool:
        """Whether the digest of what was written cannot be made by the server: it spells JSON in its own way."""
        return self.blueprint.adapter != "hash"

    def number(self, original: Original) -> int:
        """The number of the shape of a row."""
        whole = self.blueprint.adapter == "whole"
        identifiers = () if whole or isinstance(original.before, bytes) else tuple(sorted(original.before))
        if identifiers not in self._numbers:
            self._shapes.append(self._made(identifiers))
            self._numbers[identifiers] = len(self._shapes)
        return self._numbers[identifiers]

    def shape(self, number: int) -> Shape:
        """The shape of a number."""
        return self._shapes[number - 1]

    def arguments(self) -> list[bytes]:
        """All shapes for the script."""
        return [str(len(self._shapes)).encode(), *(part for shape in self._shapes for part in shape.arguments())]

    def _made(self, identifiers: tuple[bytes, ...]) -> Shape:
        at = {name: number for number, name in enumerate(identifiers, start=1)}
        return Shape(
            identifiers=identifiers,
            sources=tuple(at.get(self._takes.get(name, name), at[name]) for name in identifiers),
            several=tuple(is_several(name.decode("utf-8", "surrogateescape")) for name in identifiers),
        )


@dataclass(slots=True, kw_only=True)
class Part:
    """One row: its shape, the digest by which the script tells that it is still what was written, and the values.

    `values` are for each identifier those that were there; `names` are the fields that a hash has now.
    """

    original: Original
    number: int
    shape: Shape
    written: bytes
    values: list[list[bytes]]
    names: list[bytes] = field(default_factory=list)

    def arguments(self) -> Iterator[bytes]:
        """What the script is told of it."""
        values = [[*self.values[0], *self.names]] if self.names else self.values
        yield str(self.number).encode()
        yield self.written
        yield ",".join(str(len(group)) for group in values).encode()
        for group in values:
            yield from group


@dataclass(slots=True, kw_only=True)
class Document:
    """One document in one frame: its key from before, the one that it has now, and its rows.

    `number` grows from document to document in the order in which they were kept.
    """

    number: int
    key: bytes
    now: bytes
    parts: list[Part]
    whole: bool

    @property
    def size(self) -> int:
        """How many rows of the backup these are."""
        return len(self.parts)

    @property
    def weight(self) -> int:
        """How many bytes are to be sent."""
        return sum(len(value) for part in self.parts for group in part.values for value in group)

    def arguments(self, *, look: bool) -> Iterator[bytes]:
        """What the script is told of it."""
        yield str(self.number).encode()
        yield str(len(self.parts)).encode()
        for part in self.parts:
            if look:
                yield str(part.number).encode()
            else:
                yield from part.arguments()

    def take_look(self, told: Sequence[Any]) -> None:
        """What the document holds now: rows that it still agrees with get the digest in the server's spelling."""
        for part, values in zip(self.parts, told[1:], strict=True):
            part.written = _guard(part, told[0], values, whole=self.whole)


def documents_of(chunk: Chunk, shapes: Shapes) -> Iterator[Document]:
    """The documents of a frame, newest first.

    Rows that follow each other, have the same key and are about different values make one document.
    """
    numbers = count((chunk.number + 1) * FRAME_ROWS - 1, -1)
    adapter = shapes.blueprint.adapter
    for key, group in groupby(chunk.rows, key=lambda row: row.key):
        now = shapes.blueprint.destination(key) or key
        document = Document(number=next(numbers), key=key, now=now, parts=[], whole=adapter == "whole")
        for part in (_part(row, shapes, adapter) for row in group):
            if any(part.number == other.number for other in document.parts):
                yield document
                document = replace(document, number=next(numbers), parts=[])
            document.parts.append(part)
        yield document


def _part(row: Original, shapes: Shapes, adapter: Adapter) -> Part:
    number = shapes.number(row)
    shape = shapes.shape(number)
    return Part(original=row, number=number, shape=shape, written=row.written, values=_values(row, shape, adapter))


def _values(row: Original, shape: Shape, adapter: Adapter) -> list[list[bytes]]:
    if isinstance(row.before, bytes):
        return [[row.before]]
    if adapter == "whole":
        return [[part for name in sorted(row.before) for part in (name, row.before[name] or b"")]]
    told = [row.before[name] for name in shape.identifiers]
    if adapter == "hash":
        return [[] if value is None else [value] for value in told]
    return [_texts(value, several=many) for value, many in zip(told, shape.several, strict=True)]


def _texts(told: bytes | None, *, several: bool) -> list[bytes]:
    """The texts of the values in an array that JSON.GET told, as the server spelled them."""
    if told is None:
        return []
    if not several:
        return [told[1:-1]]
    text, at, texts = told.decode(), 1, []
    while text[at] != "]":
        _, end = json.JSONDecoder().raw_decode(text, at)
        texts.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return texts


def _guard(part: Part, kind: bytes, values: list[Any], *, whole: bool) -> bytes:
    """The digest by which the script tells that nothing has changed since this look; NEVER if it has already."""
    if not whole:
        held = dict(zip(part.shape.identifiers, values, strict=True)) if values else {}
        agrees = len(values) == len(part.shape.identifiers) and _digest(held, is_json=True) == part.original.written
        return values_digest(values) if agrees else NEVER
    if kind == JSON_TYPE:
        return values_digest(values) if _digest(bytes(values[0]), is_json=True) == part.original.written else NEVER
    held = dict(zip(values[::2], values[1::2], strict=True))
    part.names = sorted(held) if isinstance(part.original.before, bytes) else []
    digest = _digest(held, is_json=False)
    return digest if digest == part.original.written else NEVER


def _digest(values: Mapping[bytes, bytes | None] | bytes, *, is_json: bool) -> bytes:
    return written_digest(values, is_json=is_json)
