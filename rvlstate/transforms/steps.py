"""The steps of a transform, one function for each: columns in, one column out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rvlstate.errors import PlannerBugError
from rvlstate.model import transform as model
from rvlstate.model.rewrite import Source, VectorShape
from rvlstate.transforms import calling, vectors
from rvlstate.transforms.columns import Column, Matrix, Notes, Values, Vectors, values_of, vectors_of, without_bad
from rvlstate.transforms.paths import is_several
from rvlstate.transforms.texts import UnfitError, as_number, as_point, as_tag, as_text

_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One rewrite at work on one batch: what its steps need to know beside their columns."""

    reads: tuple[Source, ...]
    steps: tuple[model.TransformStep, ...]
    writes: Source
    rows: int
    functions: Mapping[str, Callable[..., Any]]
    notes: Notes

    def outcome(self, columns: Sequence[Column]) -> Column:
        """The column after all steps; the first step gets all columns, the others what the one before made."""
        current = list(columns)
        for position, step in enumerate(self.steps):
            current = [self._after(step, position, current)]
        if not current:
            raise PlannerBugError(f"{self.notes.field}: nothing is read and nothing is made")
        return current[0]

    def _after(self, step: model.TransformStep, position: int, columns: list[Column]) -> Column:  # noqa: C901, PLR0912 - an arm each
        match step:
            case model.Constant(value=value):
                return Values(items=[value] * self.rows)
            case model.Drop():
                return Values(items=[None] * self.rows)
            case model.Join(separator=separator):
                return join(columns, separator, self.notes)
            case model.ToGeo():
                return to_geo(columns, step, self.notes)
            case model.Call(function=name):
                return self._call(name, position, columns)
            case model.Copy():
                return columns[0]
            case model.Cast(scale=scale):
                return cast(columns[0], self._shape(), scale, self.notes)
            case model.Truncate():
                return truncate(columns[0], self._shape(), self.notes)
            case model.Normalize():
                return normalize(columns[0], self.notes)
            case model.Split():
                return split(columns[0], step, self.notes)
            case model.ToNumber():
                return to_number(columns[0], self.notes)
            case model.ToText():
                return to_text(columns[0], self.notes)
            case model.ToTag():
                return to_tag(columns[0], step, self._separators(position), self.notes)

    def _shape(self) -> VectorShape:
        if self.writes.shape is None:
            raise PlannerBugError(f"{self.notes.field}: a step for vectors was planned for a field that is none")
        return self.writes.shape

    def _separators(self, position: int) -> tuple[str, str]:
        """By what a tag that is read is divided, and by what it is to be; the same if nothing is known of it."""
        source = self.reads[0] if self.reads and position == 0 else None
        if source is None or source.kind != "tag":
            return "", ""
        listed = is_several(self.writes.identifier) and not is_several(source.identifier)
        return source.separator, "" if listed else self.writes.separator

    def _call(self, name: str, position: int, columns: list[Column]) -> Column:
        later = self.steps[position + 1 :]
        returns = calling.Returns(vectors=False)
        if self.writes.shape is not None and not any(isinstance(step, model.Call) for step in later):
            cut = any(isinstance(step, model.Truncate) for step in later)
            plain = self.writes.shape.datatype in vectors.INTEGER_RANGES and not later
            returns = calling.Returns(
                vectors=True,
                dims=None if cut else self.writes.shape.dims,
                datatype=self.writes.shape.datatype if plain else "",
            )
        function = self.functions.get(name)
        if function is None:
            raise PlannerBugError(f"{self.notes.field}: the callable {name} was not loaded")
        return calling.Call(
            name=name, function=function, columns=columns, returns=returns, rows=self.rows, notes=self.notes
        ).outcome()


def cast(column: Column, shape: VectorShape, scale: float | None, notes: Notes) -> Vectors:
    """Vectors (n, dims) of any datatype in the declared one, see `vectors.cast`; notes the peak."""
    given = vectors_of(column)
    notes.largest = max(given.peak, notes.largest or 0.0)
    return vectors.cast(given, shape.datatype, scale, notes)


def truncate(column: Column, shape: VectorShape, notes: Notes) -> Vectors:
    """Vectors (n, more) cut to (n, dims), dtype kept. Bad: vectors that are shorter than dims."""
    given = vectors_of(column)
    have = given.matrix.shape[1]
    if have < shape.dims:
        _refuse_all(given, f"{have} values cannot be cut to {shape.dims}", notes)
    cut = np.ascontiguousarray(given.matrix[:, : shape.dims])
    return without_bad(Vectors(matrix=cut, owners=given.owners, peak=0.0, several=given.several), notes)


def normalize(column: Column, notes: Notes) -> Vectors:
    """Vectors (n, dims) scaled to L2 length 1, as float32, or float64 if they were. Bad: the zero vector."""
    given = vectors_of(column)
    wide = given.matrix.astype(np.float64)
    # Divided by the largest first, so that no square overflows or vanishes.
    peaks = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    for index in np.flatnonzero(peaks == 0).tolist():
        notes.refuse(given.owners[index], "the zero vector has no direction and cannot be normalised")
    peaks[peaks == 0] = 1.0
    wide /= peaks
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, np.newaxis]
    lengths[lengths == 0] = 1.0
    wide /= lengths
    unit: Matrix = wide if given.matrix.dtype == np.float64 else wide.astype(np.float32)
    return without_bad(Vectors(matrix=unit, owners=given.owners, peak=0.0, several=given.several), notes)


def join(columns: Sequence[Column], separator: str, notes: Notes) -> Values:
    """The texts of several columns as one, those that are there. None where none is there. Bad: an object."""
    texts = [to_text(column, notes).items for column in columns]
    rows = [[text for text in row if text is not None] for row in zip(*texts, strict=True)]
    return Values(items=[separator.join(row) if row else None for row in rows])


def split(column: Column, step: model.Split, notes: Notes) -> Values:
    """One part of each text. None where a text has no such part. Bad: an object."""

    def part_of(value: Any) -> str | None:
        parts = as_text(value).split(step.separator)
        return parts[step.part] if -len(parts) <= step.part < len(parts) else None

    return _mapped(column, part_of, notes)


def to_number(column: Column, notes: Notes) -> Values:
    """Texts as int or float; lists item by item. Bad: what is no finite number."""

    def number_of(value: Any) -> Any:
        return [as_number(item) for item in value] if isinstance(value, list) else as_number(value)

    return _mapped(column, number_of, notes)


def to_text(column: Column, notes: Notes) -> Values:
    """Values as text: numbers in their shortest form, lists joined by a space. Bad: an object."""
    return _mapped(column, as_text, notes)


def to_tag(column: Column, step: model.ToTag, separators: tuple[str, str], notes: Notes) -> Values:
    """Values as tags: texts as they are, lists as lists of text; a text is divided anew if the two separators differ.

    Bad: an object; a tag that holds the new separator.
    """
    before, after = separators

    def tag_of(value: Any) -> Any:
        if isinstance(value, str) and before and before != after:
            parts = value.split(before)
            value = as_tag(parts, after) if after else parts
        texts = [as_text(item) for item in value if item is not None] if isinstance(value, list) else as_text(value)
        if not step.lower:
            return texts
        return texts.lower() if isinstance(texts, str) else [text.lower() for text in texts]

    return _mapped(column, tag_of, notes)


def to_geo(columns: Sequence[Column], step: model.ToGeo, notes: Notes) -> Values:
    """One column of texts or pairs, or two of numbers, as "longitude,latitude". Bad: no point; half a point."""
    if len(columns) != _PAIR:
        return _mapped(columns[0], lambda value: as_point(value, step.order), notes)
    first, second = (values_of(column).items for column in columns)
    pairs = [None if a is None and b is None else [a, b] for a, b in zip(first, second, strict=True)]
    return _mapped(Values(items=pairs), lambda pair: _point(pair, step), notes)


def _point(pair: list[Any], step: model.ToGeo) -> str:
    if None in pair:
        raise UnfitError("one of the two numbers of the point is missing")
    return as_point(pair, step.order)


def _mapped(column: Column, convert: Callable[[Any], Any], notes: Notes) -> Values:
    """Each value converted, matches one by one; None stays None, and a value that does not fit is noted."""
    values = values_of(column)
    if values.several:
        one, convert = convert, lambda found: [None if item is None else one(item) for item in found]
    items = [_attempt(convert, item, row, notes) for row, item in enumerate(values.items)]
    return Values(items=items, several=values.several)


def _attempt(convert: Callable[[Any], Any], item: Any, row: int, notes: Notes) -> Any:
    if item is None:
        return None
    try:
        return convert(item)
    except UnfitError as error:
        notes.refuse(row, str(error))
        return None


def _refuse_all(given: Vectors, reason: str, notes: Notes) -> None:
    for owner in given.owners:
        notes.refuse(owner, reason)
