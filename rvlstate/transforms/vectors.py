"""Vectors as they are stored: blobs and lists of numbers to matrices and back, and from one datatype to another.

Blobs are little-endian, as Redis Search reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from rvlstate.errors import PlannerBugError
from rvlstate.model.rewrite import VectorShape
from rvlstate.transforms.columns import Matrix, Notes, Vectors, finite_vectors, without_bad
from rvlstate.transforms.half import to_float16

DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "int8": np.dtype(np.int8),
    "uint8": np.dtype(np.uint8),
}
"""Datatype of a vector -> dtype of numpy."""

INTEGER_RANGES = {"int8": (-127, 127), "uint8": (0, 255)}
"""Integers that a scaled value may become; -128 is left out so that a vector and its negative are encoded alike."""

LARGEST = {
    name: float(ml_dtypes.finfo(DTYPES[name]).max)  # type: ignore[no-untyped-call]
    for name in ("float64", "float32", "float16", "bfloat16")
}
"""The largest value of each float datatype."""

_STORED = {"int8": (-128, 127), "uint8": (0, 255)}
_HUGE = 2**1023


def read_blobs(column: Sequence[bytes | None], shape: VectorShape, notes: Notes) -> Vectors:
    """The blobs of a batch as (n, dims): float16 and bfloat16 as float32, others in their own dtype.

    Bad: a blob that is not `shape.nbytes` long; a NaN or infinite value.
    """
    owners: Sequence[int] = range(len(column))
    if not all_of_length(column, shape.nbytes):
        owners = [row for row in owners if blob_fits(column[row], shape, row, notes)]
    blob = b"".join([column[row] or b"" for row in owners]) if len(owners) < len(column) else b"".join(column)  # type: ignore[arg-type]
    matrix = np.frombuffer(blob, DTYPES[shape.datatype]).reshape(len(owners), shape.dims)
    return finite_vectors(_widened(matrix), owners, notes)


def all_of_length(column: Sequence[bytes | None], width: int) -> bool:
    """Whether every row has a blob of `width` bytes."""
    try:
        return set(map(len, column)) == {width}  # type: ignore[arg-type]
    except TypeError:  # None has no length
        return False


def blob_fits(blob: bytes | None, shape: VectorShape, row: int, notes: Notes) -> bool:
    """Whether there is a blob of the right length; a wrong length is noted."""
    if blob is not None and len(blob) != shape.nbytes:
        reason = f"{len(blob)} bytes, expected {shape.nbytes} ({shape.dims} x {shape.datatype})"
        notes.refuse(row, reason)
        return False
    return blob is not None


def read_lists(column: Sequence[Any], shape: VectorShape, notes: Notes, *, several: bool) -> Vectors:
    """Lists of numbers as (n, dims) of float64, or of the integer dtype; `several`: each row holds a list of them.

    None, and an empty list of vectors, mean that there is none. Bad: what is no list of dims numbers; a value that an
    integer datatype cannot hold.
    """
    lists: list[Any] = []
    owners: list[int] = []
    for row, value in enumerate(column):
        found = [] if value is None else value if several else [value]
        if list_fits(found, shape, row, notes):
            lists += found
            owners += [row] * len(found)
    matrix = np.array(lists, dtype=np.float64).reshape(len(lists), shape.dims)
    vectors = finite_vectors(matrix, owners, notes, several=several)
    return _as_integers(vectors, shape.datatype, notes) if shape.datatype in _STORED else vectors


def list_fits(found: Any, shape: VectorShape, row: int, notes: Notes) -> bool:
    """Whether all that was found are vectors of the shape; the first that is not is noted."""
    faults = [_list_fault(one, shape) for one in found] if isinstance(found, list) else ["no list of vectors"]
    reason = next(filter(None, faults), "")
    if reason:
        notes.refuse(row, reason)
    return not reason


def _list_fault(value: Any, shape: VectorShape) -> str:
    if not isinstance(value, list):
        return f"{_a(value)}, expected a list of {shape.dims} numbers"
    kinds = set(map(type, value))
    if not kinds <= {int, float}:
        at = next(index for index, item in enumerate(value) if type(item) not in (int, float))
        return f"value {at} is {_a(value[at])}, not a number"
    if len(value) != shape.dims:
        return f"{len(value)} values, expected {shape.dims}"
    if int in kinds and max(map(abs, value)) >= _HUGE:
        return "a value is beyond every datatype"
    return ""


def _a(value: Any) -> str:
    names = {str: "a text", dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _as_integers(vectors: Vectors, datatype: str, notes: Notes) -> Vectors:
    low, high = _STORED[datatype]
    wrong = (vectors.matrix != np.rint(vectors.matrix)) | (vectors.matrix < low) | (vectors.matrix > high)
    for index in np.flatnonzero(wrong.any(axis=1)).tolist():
        at = int(wrong[index].argmax())
        notes.refuse(vectors.owners[index], f"value {at} is {vectors.matrix[index, at]:g}, no {datatype}")
    kept = without_bad(vectors, notes) if wrong.any() else vectors
    return _with(kept, kept.matrix.astype(DTYPES[datatype]))


def _widened(matrix: Matrix) -> Matrix:
    return matrix.astype(np.float32) if matrix.dtype.itemsize == 2 else matrix  # noqa: PLR2004 - float16 and bfloat16


def _with(vectors: Vectors, matrix: Matrix, peak: float | None = None) -> Vectors:
    peak = vectors.peak if peak is None else peak
    return Vectors(matrix=matrix, owners=vectors.owners, peak=peak, several=vectors.several)


def cast(vectors: Vectors, datatype: str, scale: float | None, notes: Notes) -> Vectors:
    """The vectors in `datatype`; shape and owners stay. `value = integer * scale`.

    | from    | to      |                                                                                          |
    |---------|---------|------------------------------------------------------------------------------------------|
    | float   | float   | rounded to nearest, ties to even; bad: a value beyond the largest of the datatype          |
    | float   | integer | divided by the scale, rounded, saturated (counted); bad: what becomes the zero vector      |
    | integer | float   | multiplied by the scale (None: 1); bad as from float to float                            |
    | integer | integer | kept as they are, saturated (counted); the scale is not used                             |

    Raises PlannerBugError if a scale is needed and None.
    """
    if datatype not in _STORED:
        return _to_float(vectors, datatype, 1.0 if scale is None else scale, notes)
    if vectors.integer:
        return _saturated(vectors, vectors.matrix, datatype, _STORED[datatype], notes)
    if scale is None:
        raise PlannerBugError(f"{notes.field}: vectors are to become {datatype}, and no scale was found for them")
    with np.errstate(over="ignore"):
        scaled = vectors.matrix / vectors.matrix.dtype.type(scale)
    np.rint(scaled, out=scaled)
    return _nonzero(vectors, _saturated(vectors, scaled, datatype, INTEGER_RANGES[datatype], notes), notes)


def _to_float(vectors: Vectors, datatype: str, scale: float, notes: Notes) -> Vectors:
    matrix, peak = vectors.matrix, vectors.peak
    if vectors.integer:
        matrix, peak = matrix.astype(np.float64) * scale, peak * scale
    floats, limit = _with(vectors, matrix, peak), LARGEST[datatype]
    narrow = _narrowed(matrix, datatype)
    if peak <= limit:
        return _with(floats, narrow)
    for index in np.flatnonzero(np.abs(matrix).max(axis=1) > limit).tolist():
        beyond = ~np.isfinite(narrow[index].astype(np.float64))
        if beyond.any():
            at = int(beyond.argmax())
            notes.refuse(vectors.owners[index], f"value {at} is {matrix[index, at]:g}, beyond {datatype} ({limit:g})")
    kept = without_bad(floats, notes)
    return _with(kept, _narrowed(kept.matrix, datatype))


def _narrowed(matrix: Matrix, datatype: str) -> Matrix:
    with np.errstate(over="ignore", under="ignore"):
        return to_float16(matrix) if datatype == "float16" else matrix.astype(DTYPES[datatype], copy=False)


def _saturated(vectors: Vectors, matrix: Matrix, datatype: str, bounds: tuple[int, int], notes: Notes) -> Vectors:
    low, high = bounds
    if matrix.size and (matrix.max() > high or matrix.min() < low):
        notes.saturated += int(np.count_nonzero((matrix > high) | (matrix < low)))
        matrix = np.clip(matrix, low, high)
    return _with(vectors, matrix.astype(DTYPES[datatype]))


def _nonzero(before: Vectors, after: Vectors, notes: Notes) -> Vectors:
    """The vectors but those of which nothing is left, which no metric could tell apart any more."""
    lost = [index for index in np.flatnonzero(~after.matrix.any(axis=1)).tolist() if before.matrix[index].any()]
    for index in lost:
        peak = float(np.abs(before.matrix[index]).max())
        notes.refuse(after.owners[index], f"nothing is left of it: its largest value is {peak:g}, below half a step")
    return without_bad(after, notes) if lost else after


def write_blobs(vectors: Vectors, rows: int) -> list[bytes | None]:
    """One blob for each row that owns a vector, in the matrix's dtype; None for the others."""
    blob, width = vectors.matrix.tobytes(), vectors.matrix.shape[1] * vectors.matrix.dtype.itemsize
    blobs: list[bytes | None] = [blob[at : at + width] for at in range(0, len(blob), width)]
    if len(vectors.owners) == rows:
        return blobs
    spread: list[bytes | None] = [None] * rows
    for owner, one in zip(vectors.owners, blobs, strict=True):
        spread[owner] = one
    return spread


def write_lists(vectors: Vectors, rows: int) -> list[Any]:
    """One list of numbers, or of lists for `several`, for each row that owns a vector; None for the others."""
    matrix = vectors.matrix if vectors.integer else vectors.matrix.astype(np.float64)
    spread: list[Any] = [None] * rows
    for owner, one in zip(vectors.owners, matrix.tolist(), strict=True):
        if not vectors.several:
            spread[owner] = one
        elif spread[owner] is None:
            spread[owner] = [one]
        else:
            spread[owner].append(one)
    return spread
