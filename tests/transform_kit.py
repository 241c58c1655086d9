"""Short words for rewrites and their outcomes, shared by the tests of the transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes  # noqa: F401 - makes bfloat16 known to numpy
import numpy as np

from rvlstate.model.rewrite import FieldRewrite, Kind, Source, VectorShape
from rvlstate.model.transform import TransformStep
from rvlstate.transforms.columns import Storage
from rvlstate.transforms.compute import Outcome, compute
from rvlstate.transforms.vectors import DTYPES

FLOATS = ("float64", "float32", "float16", "bfloat16")
INTEGERS = ("int8", "uint8")


def vector(identifier: str, datatype: str, dims: int) -> Source:
    """A place of vectors."""
    return Source(identifier=identifier, kind="vector", shape=VectorShape(datatype=datatype, dims=dims))


def value(identifier: str, kind: Kind = "text", separator: str = ",") -> Source:
    """A place of anything else."""
    return Source(identifier=identifier, kind=kind, separator=separator)


def rewrite(reads: Sequence[Source], steps: Sequence[TransformStep], writes: Source | None) -> FieldRewrite:
    """The rewrite of one field."""
    return FieldRewrite(field="f", reads=tuple(reads), steps=tuple(steps), writes=writes, layout="marker")


def run(
    reads: Sequence[Source],
    steps: Sequence[TransformStep],
    writes: Source | None,
    *columns: Sequence[Any],
    storage: Storage = "hash",
    **functions: Callable[..., Any],
) -> Outcome:
    """What comes of columns, one for each of `reads`; `functions` are called `m:<name>`."""
    named = {source.identifier: column for source, column in zip(reads, columns, strict=True)}
    rows = len(columns[0]) if columns else 1
    known = {f"m:{name}": function for name, function in functions.items()}
    return compute([rewrite(reads, steps, writes)], named, rows, storage=storage, functions=known)


def blobs(rows: Any, datatype: str = "float32") -> list[bytes]:
    """Rows of numbers as blobs."""
    return [np.asarray(row, dtype=np.float64).astype(DTYPES[datatype]).tobytes() for row in rows]


def numbers(blob: bytes, datatype: str) -> list[float]:
    """A blob as numbers."""
    found: list[float] = np.frombuffer(blob, DTYPES[datatype]).astype(np.float64).tolist()
    return found


def reasons(outcome: Outcome) -> dict[int, str]:
    """Row -> why it is bad."""
    return {bad.row: bad.reason for bad in outcome.bad}
