"""The user's own callables over columns: what they are given, what they may return, and which rows are to blame.

A row is passed if it has every vector that is read, and at least one of the values; nothing comes of the others.
A callable that raises, or returns something that is no value of a row, is called again with parts of the rows until the
guilty ones are found. If it returns no column of so many rows at all, every row is bad.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from rvlstate.transforms.columns import Column, Matrix, Notes, Values, Vectors, finite_vectors
from rvlstate.transforms.texts import UnfitError, as_text, shown
from rvlstate.transforms.vectors import DTYPES

PROBES = 8
"""So many rows, spread over the batch, are tried one by one first; if all of them fail, so does the batch."""

_ROW_AND_VALUE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """What a callable has to return: vectors or values; `dims` None: any; `datatype` "" unless it must be integers."""

    vectors: bool
    dims: int | None = None
    datatype: str = ""


class _ColumnError(UnfitError):
    """What was returned is no column of so many rows: with fewer rows it might pass for one, and be wrong."""


class _CallError(Exception):
    """A call failed: why, the traceback if the user's code raised, and whether all rows are to blame."""

    def __init__(self, reason: str, detail: str = "", *, whole: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.whole = whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One callable with the columns that it reads, and what is noted of its rows."""

    name: str
    function: Callable[..., Any]
    columns: Sequence[Column]
    returns: Returns
    rows: int
    notes: Notes

    def outcome(self) -> Column:
        """The column that the callable returns: (n, dims) vectors of the rows that got one, or values."""
        passed = self._passed()
        parts = list(self._parts(passed)) if passed else []
        return self._vectors(parts) if self.returns.vectors else self._values(parts)

    def _passed(self) -> list[int]:
        vectors = [set(column.owners) for column in self.columns if isinstance(column, Vectors)]
        values = [column.items for column in self.columns if isinstance(column, Values)]
        return [
            row
            for row in range(self.rows)
            if row not in self.notes.bad
            and all(row in owners for owners in vectors)
            and (vectors or any(items[row] is not None for items in values))
        ]

    def _parts(self, rows: list[int]) -> Iterator[tuple[list[int], Any]]:
        """What is returned for all rows, or for parts of them without the guilty ones."""
        yield from self._tried(rows, always=self._fails_always)

    def _parts_without_guilty(
        self, rows: list[int], failure: _CallError, *, always: Callable[[list[int]], bool]
    ) -> Iterator[tuple[list[int], Any]]:
        if len(rows) == 1 or failure.whole or always(rows):
            for row in rows:
                self.notes.refuse(row, failure.reason, failure.detail)
        else:
            half = len(rows) // 2
            yield from self._tried(rows[:half], always=lambda _: False)
            yield from self._tried(rows[half:], always=lambda _: False)

    def _tried(self, rows: list[int], *, always: Callable[[list[int]], bool]) -> Iterator[tuple[list[int], Any]]:
        try:
            returned = self._called(rows)
        except _CallError as error:
            failure = error
        else:
            yield rows, returned
            return
        # Not within the handler: a traceback of the next call would have this one, and all of ours, in front of it.
        yield from self._parts_without_guilty(rows, failure, always=always)

    def _fails_always(self, rows: list[int]) -> bool:
        step = max(1, len(rows) // PROBES)
        return all(self._fails(row) for row in rows[::step][:PROBES])

    def _fails(self, row: int) -> bool:
        try:
            self._called([row])
        except _CallError:
            return True
        return False

    def _called(self, rows: list[int]) -> Any:
        arguments = [_argument(column, rows) for column in self.columns]
        try:
            returned = self.function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also what is no Exception, such as a panic in Rust, is the user's to see
            raise _CallError(f"{self.name} raised {type(error).__name__}: {_line(error)}", _trace(error)) from error
        try:
            return self._checked(returned, len(rows))
        except UnfitError as error:
            raise _CallError(f"{self.name} {error}", whole=isinstance(error, _ColumnError)) from error

    def _checked(self, returned: Any, rows: int) -> Any:
        if isinstance(returned, str | bytes | dict) or not hasattr(returned, "__len__"):
            raise _ColumnError(f"returned {type(returned).__name__}, expected a column of {rows} values")
        if len(returned) != rows:
            raise _ColumnError(f"returned {len(returned)} values for {rows} documents")
        return self._matrix(returned) if self.returns.vectors else [_plain(item) for item in _items(returned)]

    def _matrix(self, returned: Any) -> tuple[list[int], Matrix]:
        """The rows that got a vector, counted within the call, and their vectors."""
        owners = list(range(len(returned)))
        if not _is_matrix(returned):
            owners = [at for at in owners if returned[at] is not None]
            returned = [self._vector(returned[at]) for at in owners]
        try:
            matrix = np.asarray(returned if owners else np.empty((0, self.returns.dims or 0), np.float32))
        except ValueError as error:
            raise UnfitError(f"returned vectors of different dims: {error}") from error
        matrix = _widened(matrix)
        self._check_matrix(matrix)
        return owners, matrix

    def _vector(self, item: Any) -> Matrix:
        try:
            vector = _widened(np.asarray(item))
        except (ValueError, TypeError) as error:
            raise UnfitError(f"returned {type(item).__name__} for a vector") from error
        if vector.ndim != 1 or vector.dtype.kind not in "fiu":
            raise UnfitError(f"returned {shown(item)} for a vector")
        if self.returns.dims is not None and vector.shape[0] != self.returns.dims:
            raise UnfitError(f"returned a vector of {vector.shape[0]} values, expected {self.returns.dims}")
        return vector

    def _check_matrix(self, matrix: Matrix) -> None:
        dims, datatype = self.returns.dims, self.returns.datatype
        if matrix.ndim != _ROW_AND_VALUE or (dims is not None and matrix.shape[1] != dims):
            raise _ColumnError(f"returned an array of shape {matrix.shape}, expected (n, {dims or 'dims'})")
        if matrix.dtype.kind not in "fiu":
            raise UnfitError(f"returned vectors of {matrix.dtype}, expected numbers")
        if datatype and matrix.dtype.kind == "f" and matrix.size:
            raise UnfitError(f"returned {matrix.dtype} for {datatype} vectors: return integers, or put cast behind it")

    def _vectors(self, parts: list[tuple[list[int], Any]]) -> Vectors:
        owners = [rows[at] for rows, (found, _) in parts for at in found]
        matrices = [matrix for _, (_, matrix) in parts if matrix.size]
        dtype = DTYPES[self.returns.datatype or "float32"]
        if not matrices:
            return Vectors(matrix=np.empty((0, self.returns.dims or 0), dtype), owners=[], peak=0.0)
        if len({matrix.shape[1] for matrix in matrices}) > 1:
            for row in owners:
                self.notes.refuse(row, f"{self.name} returned vectors of different dims for parts of a batch")
            return Vectors(matrix=np.empty((0, matrices[0].shape[1]), np.float32), owners=[], peak=0.0)
        return finite_vectors(np.concatenate(matrices), owners, self.notes)

    def _values(self, parts: list[tuple[list[int], Any]]) -> Values:
        items: list[Any] = [None] * self.rows
        for rows, returned in parts:
            for row, item in zip(rows, returned, strict=True):
                items[row] = item
        return Values(items=items)


def numpy_settings_kept() -> AbstractContextManager[None]:
    """While it lasts, how numpy treats overflow and the like may be changed; it is as before afterwards."""
    return np.errstate()


def _argument(column: Column, rows: list[int]) -> Any:
    """A column as the user sees it, a copy: vectors of the rows as (n, dims), or a list of texts and None."""
    if isinstance(column, Values):
        return [_user_text(column.items[row]) for row in rows]
    if column.several:
        matrices: dict[int, list[int]] = {}
        for index, owner in enumerate(column.owners):
            matrices.setdefault(owner, []).append(index)
        return [column.matrix[matrices[row]] for row in rows]
    places = {owner: index for index, owner in enumerate(column.owners)}
    return column.matrix[[places[row] for row in rows]]


def _user_text(value: Any) -> str | None:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return None if value is None else as_text(value)


def _widened(array: Matrix) -> Matrix:
    return array.astype(np.float32) if array.dtype in (DTYPES["float16"], DTYPES["bfloat16"]) else array


def _is_matrix(returned: Any) -> bool:
    return isinstance(returned, np.ndarray) and returned.dtype != object


def _items(returned: Any) -> Any:
    return returned.tolist() if isinstance(returned, np.ndarray) else returned


def _plain(item: Any) -> Any:
    value = item.item() if isinstance(item, np.generic) else item
    if value is None or isinstance(value, str | int | float) or _is_texts(value):
        return value
    raise UnfitError(f"returned {type(value).__name__} for a value, expected str, a number or None")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _trace(error: BaseException) -> str:
    """The traceback from the first frame that is the user's."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("rvlstate."):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
