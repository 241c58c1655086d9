"""Footprint: what a document takes in the server's memory, and what a copy of it in another layout will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rvlstate.model.allocation import rounded_up
from rvlstate.model.field import INTEGERS, VectorField
from rvlstate.model.rewrite import Rewrite, Source, VectorShape
from rvlstate.runtime.documents.node import Node

TYPES = {"hash": "hash", "json": "ReJSON-RL"}

SMALL, HEADER = 64, 6
"""A hash of small values (hash-max-listpack-value) packs them; a larger one has an allocation with a header."""

JSON_NUMBER, JSON_INTEGER = 35.0, 21.0
"""Bytes that one number of a JSON array takes (measured, RedisJSON 8.2; as text it has some 20)."""

JSON_TEXT_NUMBER = 20
SLOT_TAG = len("{0}:")


@dataclass(frozen=True, slots=True)
class Footprint:
    """Mean bytes a document: as it is, and of a copy in the desired layout; 0.0 for what the server does not tell."""

    memory: float = 0.0
    after: float = 0.0


def footprint(rewrite: Rewrite, looked_at: Sequence[tuple[Node, tuple[bytes, ...]]], written: float) -> Footprint:
    """What sampled documents take; `written` are the mean bytes that were computed for one. Other types do not count.

    An estimate for what nobody wrote yet: the rest of a document takes in the copy what it takes now.
    """
    going, coming = _going(rewrite), _coming(rewrite, written)
    size = ("HSTRLEN",) if rewrite.before.storage == "hash" else ("JSON.DEBUG", "MEMORY")
    memory, removed = list[float](), list[float | None]()
    for node, keys in looked_at:
        asked = [(("TYPE", key), ("MEMORY", "USAGE", key, "SAMPLES", "0")) for key in keys]
        places = [[(*size, key, place) for place in going] for key in keys]
        replies = node.ask([command for pair, more in zip(asked, places, strict=True) for command in (*pair, *more)])
        step = 2 + len(going)
        for start in range(0, len(replies), step):
            kind, used, *sizes = replies[start : start + step]
            if isinstance(used, int) and kind in (
                TYPES[rewrite.before.storage],
                TYPES[rewrite.before.storage].encode(),
            ):
                memory.append(used)
                removed.append(_removed(sizes, is_json=rewrite.before.storage == "json"))
    if not memory:
        return Footprint()
    known = [used - gone for used, gone in zip(memory, removed, strict=True) if gone is not None]
    after = fmean(known) + coming + _longer(rewrite) if known else 0.0
    return Footprint(fmean(memory), max(after, 0.0))


def allocated(size: float) -> float:
    """What a value of so many bytes takes in a hash."""
    if size <= SMALL:
        return float(size)
    return float(rounded_up(int(size) + HEADER))


def _going(rewrite: Rewrite) -> tuple[str, ...]:
    """Where the values are that a copy will not have; of a change of storage, the vectors."""
    if rewrite.changes_storage:
        return tuple(sorted(field.identifier for field in rewrite.before.fields if isinstance(field, VectorField)))
    written = {item.writes.identifier for item in rewrite.fields if item.writes is not None}
    return tuple(sorted(written.union(*(item.removes for item in rewrite.fields))))


def _coming(rewrite: Rewrite, written: float) -> float:
    """Bytes of what a copy will have instead; of vectors the shape is known whoever makes them."""
    is_json = rewrite.after.storage == "json"
    shapes = [source.shape for source in _written(rewrite) if source.shape is not None]
    if rewrite.changes_storage:
        fields = [field for field in rewrite.after.fields if isinstance(field, VectorField)]
        shapes = [VectorShape(datatype=field.datatype, dims=field.dims) for field in fields]
        rest = 0.0
    else:
        rest = written - sum(shape.dims * JSON_TEXT_NUMBER if is_json else shape.nbytes for shape in shapes)
    return sum(_vector(shape, is_json=is_json) for shape in shapes) + max(rest, 0.0)


def _written(rewrite: Rewrite) -> list[Source]:
    return [item.writes for item in rewrite.fields if item.writes is not None]


def _vector(shape: VectorShape, *, is_json: bool) -> float:
    if is_json:
        return shape.dims * (JSON_INTEGER if shape.datatype in INTEGERS else JSON_NUMBER)
    return allocated(shape.nbytes)


def _longer(rewrite: Rewrite) -> float:
    """By how many bytes the key of a copy is longer."""
    if rewrite.stage:
        return float(len(rewrite.stage.encode("utf-8", "surrogateescape")) + SLOT_TAG)
    return fmean(len(new) - len(old) for old, new in rewrite.moves) if rewrite.moves else 0.0


def _removed(sizes: Sequence[Any], *, is_json: bool) -> float | None:
    """Bytes of values that go; None where the server does not tell."""
    if any(isinstance(size, Exception) for size in sizes):
        return None
    if is_json:
        return float(sum(sum(size) if isinstance(size, list) else size or 0 for size in sizes))
    return sum(allocated(size) for size in sizes)
