"""The vectors that documents hold, read by key: as the index takes them, with what tells later whether they changed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import redis

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import VectorField
from rvlstate.model.rewrite import VectorShape
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.gates.copies import NO_COPIES, Copies
from rvlstate.runtime.server_errors import is_permission, is_unavailable
from rvlstate.runtime.unreachable import reachable
from rvlstate.transforms.exact import encode

FORMATS = {"float64": "d", "float32": "f", "float16": "e", "bfloat16": "H", "int8": "b", "uint8": "B"}
"""How `struct` reads one value; bfloat16 is the upper half of a float32."""


class SeveralVectorsError(Exception):
    """A document holds several vectors in one field, so that it has no vector of its own to ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVectors:
    """Reads the vectors of one field of one index from the documents themselves, or from their staged `copies`."""

    connection: Connection
    definition: IndexDefinition
    field: VectorField
    copies: Copies = NO_COPIES

    @property
    def shape(self) -> VectorShape:
        """How the index takes a vector."""
        return VectorShape(datatype=self.field.datatype, dims=self.field.dims)

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The vector of each document as a blob; None where there is none, or none that the index takes.

        Raises SeveralVectorsError.
        """
        if not keys:
            return []
        name = "HGET" if self.definition.storage == "hash" else "JSON.GET"
        places = [place for key in keys for place in self.copies.places(key)]
        replies = ask_keys(self.connection, [(name, place, self.field.identifier) for place in places])
        found = [_value(reply) for reply in replies]
        if len(places) == len(keys):
            return [self.blob(value) for value in found]
        # Asked last: a copy that took its document's place meanwhile is taken for one that is not there.
        there = ask_keys(self.connection, [("EXISTS", copy) for copy in places[::2]])
        return [
            self.blob(own if copied is None and not exists else copied)
            for copied, own, exists in zip(found[::2], found[1::2], there, strict=True)
        ]

    def blob(self, value: bytes | None) -> bytes | None:
        """What a hash holds, or the text of what JSON holds, as the index takes it; None if it does not."""
        if value is None:
            return None
        if self.definition.storage == "json":
            return self._encoded(self._numbers(json.loads(value)))
        return value if len(value) == self.shape.nbytes else None

    def _encoded(self, numbers: list[float] | None) -> bytes | None:
        try:
            return None if numbers is None else encode(numbers, self.shape, self.shape, None)
        except ValueError:  # infinite in the datatype of the index: then the document is not in it
            return None

    def _numbers(self, found: Any) -> list[float] | None:
        """The one vector at a path; JSON.GET gives a list of all that is there."""
        while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        if not isinstance(found, list) or not found:
            return None
        if isinstance(found[0], list):
            raise SeveralVectorsError
        fits = len(found) == self.shape.dims and all(isinstance(item, int | float) for item in found)
        return found if fits else None


def digest(blob: bytes) -> str:
    """Tells one vector from another."""
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def sketch(blob: bytes, shape: VectorShape) -> str:
    """One bit a component, as hex: whether it is above the mean. A change of datatype leaves it nearly as it was."""
    values = struct.unpack(f"<{shape.dims}{FORMATS[shape.datatype]}", blob)
    if shape.datatype == "bfloat16":
        values = struct.unpack(f"<{shape.dims}f", struct.pack(f"<{shape.dims}I", *(value << 16 for value in values)))
    mean = fmean(values)
    bits = "".join("1" if value > mean else "0" for value in values)
    return f"{int(bits, 2):0{(shape.dims + 3) // 4}x}"


def ask_keys(connection: Connection, questions: Sequence[tuple[str, ...]]) -> list[Any]:
    """The replies to commands of one key each, routed by slot; refusals are errors among them.

    Raises ServerUnreachableError.
    """
    pipeline: Any = connection.keys.pipeline(transaction=False)
    for question in questions:
        # As bytes: the cluster client computes slots of text that is UTF-8 only.
        pipeline.execute_command(question[0], *map(_bytes, question[1:]))
    with reachable(connection.url):
        replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _value(reply: Any) -> bytes | None:
    """What the server holds, as bytes; a key of another type holds none. A client may have parsed JSON already."""
    if isinstance(reply, Exception):
        if not isinstance(reply, redis.ResponseError) or is_permission(reply) or is_unavailable(reply):
            raise reply
        return None
    if reply is None:
        return None
    text = reply if isinstance(reply, str) else json.dumps(reply)
    return _bytes(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
