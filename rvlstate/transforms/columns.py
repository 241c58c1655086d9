"""Columns of a batch between two steps: vectors as one matrix, the rest as lists; and what was noted of their rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rvlstate.errors import PlannerBugError

Matrix: TypeAlias = npt.NDArray[Any]
Storage: TypeAlias = Literal["hash", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A row that cannot be transformed; `detail` holds the traceback of the user's own code."""

    row: int
    field: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Notes:
    """What is found out about the rows of one field: bad ones (the first reason of each), saturation, the peak."""

    field: str
    bad: dict[int, Bad] = dataclasses.field(default_factory=dict)
    saturated: int = 0
    largest: float | None = None

    def refuse(self, row: int, reason: str, detail: str = "") -> None:
        """Row `row` cannot be transformed."""
        self.bad.setdefault(row, Bad(row=row, field=self.field, reason=reason, detail=detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """The vectors of some rows: `matrix[i]`, of shape (dims,), belongs to row `owners[i]`; owners ascend.

    Floats are held as float32 or float64, integers as stored. A row that is no owner has no vector. `several`: a row
    may own more than one. `peak` is the largest absolute value of the matrix, all of whose values are finite.
    """

    matrix: Matrix
    owners: Sequence[int]
    peak: float
    several: bool = False

    @property
    def integer(self) -> bool:
        """Whether the values are integers, as stored."""
        return self.matrix.dtype.kind in "iu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One value for each row: text, number, truth value, list or object; None where there is none.

    `several`: each value is a list of what a path with wildcards matched, to be transformed one by one.
    """

    items: Sequence[Any]
    several: bool = False


Column: TypeAlias = Vectors | Values


def vectors_of(column: Column) -> Vectors:
    """The column as vectors. Raises PlannerBugError for any other."""
    if isinstance(column, Values):
        raise PlannerBugError("a step for vectors was planned for a column of another kind")
    return column


def values_of(column: Column) -> Values:
    """The column as values. Raises PlannerBugError for vectors."""
    if isinstance(column, Vectors):
        raise PlannerBugError("a step for texts and numbers was planned for a column of vectors")
    return column


def finite_vectors(matrix: Matrix, owners: Sequence[int], notes: Notes, *, several: bool = False) -> Vectors:
    """Vectors with their peak; rows with a NaN or an infinite value are noted as bad and left out."""
    if not matrix.size:
        return Vectors(matrix=matrix, owners=owners, peak=0.0, several=several)
    high, low = float(matrix.max()), float(matrix.min())
    if np.isfinite(high) and np.isfinite(low):
        return Vectors(matrix=matrix, owners=owners, peak=max(high, -low), several=several)
    wrong = ~np.isfinite(matrix)
    for index in np.flatnonzero(wrong.any(axis=1)).tolist():
        at = int(wrong[index].argmax())
        notes.refuse(owners[index], f"value {at} is {'NaN' if np.isnan(matrix[index, at]) else 'infinite'}")
    return without_bad(Vectors(matrix=matrix, owners=owners, peak=0.0, several=several), notes)


def without_bad(vectors: Vectors, notes: Notes) -> Vectors:
    """The vectors of the rows that are not bad, with their peak."""
    kept = [index for index, owner in enumerate(vectors.owners) if owner not in notes.bad]
    matrix = vectors.matrix[kept]
    owners = [vectors.owners[index] for index in kept]
    peak = max(float(matrix.max()), -float(matrix.min())) if matrix.size else 0.0
    return Vectors(matrix=matrix, owners=owners, peak=peak, several=vectors.several)
