"""Field rewrites over one batch of documents: columns as they were read in, values as they are to be written out.

| storage | a column holds                                                                  | a value to write     |
|---------|---------------------------------------------------------------------------------|----------------------|
| hash    | `bytes`, None where the hash has no such field                                  | `bytes`              |
| json    | the parsed value; None where the path is missing or holds null                  | a JSON value         |
| json *  | the list of what the path matches, empty if nothing                             | a list, one for each |

* a path that may match several values, see `paths.is_several`.

None in the outcome means that nothing is written: nothing was there to make it from, or the row is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rvlstate.errors import PlannerBugError
from rvlstate.model.rewrite import FieldRewrite, Source
from rvlstate.model.transform import Copy, ToTag
from rvlstate.transforms import vectors
from rvlstate.transforms.columns import Bad, Column, Notes, Storage, Values, Vectors
from rvlstate.transforms.paths import is_several
from rvlstate.transforms.steps import Chain
from rvlstate.transforms.texts import UnfitError, as_number, as_point, as_tag, as_text, number_text

__all__ = ["Bad", "Outcome", "compute", "converted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What comes of a batch.

    `values` has one list for each rewrite, aligned with the rows; `bad` is sorted by row, one for each bad row, whose
    values are None in every list. `saturated` counts vector values that were clipped to the integer range. `largest`
    maps a field to the largest absolute value that its cast was given (without a cast: of the vectors that it read).
    """

    values: tuple[list[Any], ...]
    bad: tuple[Bad, ...]
    saturated: int = 0
    largest: tuple[tuple[str, float], ...] = ()


def compute(
    rewrites: Sequence[FieldRewrite],
    columns: Mapping[str, Sequence[Any]],
    rows: int,
    *,
    storage: Storage,
    functions: Mapping[str, Callable[..., Any]],
) -> Outcome:
    """The new values of `rows` documents; `columns` maps each identifier that is read to one value for each row.

    `functions` maps `module:name` to callables. Raises PlannerBugError for rewrites that cannot be carried out at all,
    such as a cast to integers without a scale.
    """
    return converted(rewrites, columns, rows, storage=storage, into=storage, functions=functions)


def converted(
    rewrites: Sequence[FieldRewrite],
    columns: Mapping[str, Sequence[Any]],
    rows: int,
    *,
    storage: Storage,
    into: Storage,
    functions: Mapping[str, Callable[..., Any]],
) -> Outcome:
    """Like `compute`, for documents that are written in another storage than they are read in."""
    notes = [Notes(rewrite.field) for rewrite in rewrites]
    values = [
        _rewritten(rewrite, columns, rows, (storage, into), functions, note)
        for rewrite, note in zip(rewrites, notes, strict=True)
    ]
    bad: dict[int, Bad] = {}
    for note in notes:
        bad = {**note.bad, **bad}
    for row in bad:
        for column in values:
            column[row] = None
    return Outcome(
        values=tuple(values),
        bad=tuple(bad[row] for row in sorted(bad)),
        saturated=sum(note.saturated for note in notes),
        largest=tuple(sorted((note.field, note.largest) for note in notes if note.largest is not None)),
    )


def _rewritten(  # noqa: PLR0917 - the batch, and the rewrite
    rewrite: FieldRewrite,
    columns: Mapping[str, Sequence[Any]],
    rows: int,
    storages: tuple[Storage, Storage],
    functions: Mapping[str, Callable[..., Any]],
    notes: Notes,
) -> list[Any]:
    if rewrite.writes is None:
        return [None] * rows
    if _is_as_it_is(rewrite, storages):
        return _passed_on(rewrite.reads[0], columns[rewrite.reads[0].identifier], storages[0], notes)
    steps = (ToTag(),) if _moves_tags(rewrite) else rewrite.steps
    read = [_read(source, columns[source.identifier], storages[0], notes) for source in rewrite.reads]
    chain = Chain(reads=rewrite.reads, steps=steps, writes=rewrite.writes, rows=rows, functions=functions, notes=notes)
    made = chain.outcome(read)
    peaks = [column.peak for column in read if isinstance(column, Vectors)]
    if notes.largest is None and peaks:
        notes.largest = max(peaks)
    if isinstance(made, Vectors):
        return _written_vectors(made, rewrite.writes, rows, storages[1], notes)
    return _written_values(_as_matches(made, rewrite.writes, storages), rewrite.writes, storages[1], notes)


def _is_as_it_is(rewrite: FieldRewrite, storages: tuple[Storage, Storage]) -> bool:
    """Whether the bytes, or the JSON value, are to be written just as they were read."""
    if not all(isinstance(step, Copy) for step in rewrite.steps) or not rewrite.reads:
        return False
    source, target = rewrite.reads[0], rewrite.writes
    same_tag = target is not None and (source.kind != "tag" or source.separator == target.separator)
    alike = target is not None and source.kind == target.kind and source.shape == target.shape
    return alike and same_tag and storages[0] == storages[1]


def _moves_tags(rewrite: FieldRewrite) -> bool:
    """Whether tags go as they are from one field of tags to another, whose separator may differ."""
    source, target = rewrite.reads[0] if rewrite.reads else None, rewrite.writes
    as_it_is = all(isinstance(step, Copy) for step in rewrite.steps)
    return as_it_is and source is not None and target is not None and source.kind == target.kind == "tag"


def _as_matches(made: Values, writes: Source, storages: tuple[Storage, Storage]) -> Values:
    """What came from a hash as the list that a path with several matches holds."""
    if storages != ("hash", "json") or not is_several(writes.identifier):
        return made
    return Values(items=[item if item is None or isinstance(item, list) else [item] for item in made.items])


def _passed_on(source: Source, column: Sequence[Any], storage: Storage, notes: Notes) -> list[Any]:
    if source.shape is None and storage == "hash":
        return list(column)
    if source.shape is None:
        return [_attempted(_json_as_it_is, value, source, row, notes) for row, value in enumerate(column)]
    if storage == "hash":
        if vectors.all_of_length(column, source.shape.nbytes):
            return list(column)
        return [blob if vectors.blob_fits(blob, source.shape, row, notes) else None for row, blob in enumerate(column)]
    several = is_several(source.identifier)
    for row, value in enumerate(column):
        vectors.list_fits([] if value is None else value if several else [value], source.shape, row, notes)
    return list(column)


def _read(source: Source, column: Sequence[Any], storage: Storage, notes: Notes) -> Column:
    several = storage == "json" and is_several(source.identifier)
    if source.kind == "vector" and source.shape is None:
        raise PlannerBugError(f"{notes.field}: the shape of the vectors at {source.identifier} is not known")
    if source.shape is not None and storage == "hash":
        return vectors.read_blobs(column, source.shape, notes)
    if source.shape is not None:
        return vectors.read_lists(column, source.shape, notes, several=several)
    if storage == "hash":
        return Values(items=[_decoded(value, row, notes) for row, value in enumerate(column)])
    return Values(items=[None if value == [] and several else value for value in column], several=several)


def _decoded(value: bytes | None, row: int, notes: Notes) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError as error:
        notes.refuse(row, f"byte {error.start} (0x{error.object[error.start]:02x}) is not UTF-8")
        return None


def _written_vectors(made: Vectors, writes: Source, rows: int, into: Storage, notes: Notes) -> list[Any]:
    shape = writes.shape
    if shape is None:
        raise PlannerBugError(f"{notes.field}: vectors were made for a field that holds none")
    if made.matrix.shape[1] != shape.dims:
        for owner in made.owners:
            notes.refuse(owner, f"{made.matrix.shape[1]} values, expected {shape.dims}")
        return [None] * rows
    checked = made
    if made.matrix.dtype != vectors.DTYPES[shape.datatype]:
        checked = vectors.cast(made, shape.datatype, None, notes)
    if into == "hash":
        return vectors.write_blobs(_single(checked, notes), rows)
    # A list keeps the digits that it had: the index rounds them by itself, and only a cast is asked to do so here.
    return _listed(checked if checked.integer or made.integer else made, writes, rows, notes)


def _listed(made: Vectors, writes: Source, rows: int, notes: Notes) -> list[Any]:
    if is_several(writes.identifier):
        return vectors.write_lists(Vectors(matrix=made.matrix, owners=made.owners, peak=made.peak, several=True), rows)
    return vectors.write_lists(_single(made, notes), rows)


def _single(made: Vectors, notes: Notes) -> Vectors:
    """The vectors, of which no row may have more than one."""
    if not made.several or len(set(made.owners)) == len(made.owners):
        return Vectors(matrix=made.matrix, owners=made.owners, peak=made.peak)
    several = sorted({owner for before, owner in zip(made.owners, made.owners[1:], strict=False) if before == owner})
    for row in several:
        notes.refuse(row, f"{list(made.owners).count(row)} vectors, and the field holds one")
    kept = [index for index, owner in enumerate(made.owners) if owner not in set(several)]
    return Vectors(matrix=made.matrix[kept], owners=[made.owners[index] for index in kept], peak=made.peak)


def _written_values(made: Values, writes: Source, into: Storage, notes: Notes) -> list[Any]:
    if writes.shape is not None:
        raise PlannerBugError(f"{notes.field}: a field of vectors was given values of another kind")
    write = _hash_value if into == "hash" else _json_values if is_several(writes.identifier) else _json_value
    return [_attempted(write, value, writes, row, notes) for row, value in enumerate(made.items)]


def _attempted(write: Callable[[Any, Source], Any], value: Any, writes: Source, row: int, notes: Notes) -> Any:
    try:
        return None if value is None else write(value, writes)
    except UnicodeEncodeError as error:
        notes.refuse(row, f"character {error.start} cannot be written as UTF-8")
    except UnfitError as error:
        notes.refuse(row, str(error))
    return None


def _json_as_it_is(value: Any, source: Source) -> Any:
    """A JSON value that is only moved; a number where the index takes text, or the other way round, is converted."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    wrong = isinstance(value, str) if source.kind == "numeric" else number
    return _form(value, source) if wrong else value


def _hash_value(value: Any, writes: Source) -> bytes:
    form = _form(value[0] if isinstance(value, list) and len(value) == 1 else value, writes)
    return (form if isinstance(form, str) else number_text(form)).encode("utf-8")


def _json_value(value: Any, writes: Source) -> Any:
    if writes.kind in ("numeric", "geo") and isinstance(value, list) and not _is_pair(value, writes):
        return [_form(item, writes) for item in value]
    if writes.kind == "tag" and isinstance(value, list):
        return [_utf8(as_text(item)) for item in value if item is not None]
    form = _form(value, writes)
    return _utf8(form) if isinstance(form, str) else form


def _utf8(text: str) -> str:
    """The text. Raises UnicodeEncodeError for what JSON on the wire cannot hold."""
    text.encode("utf-8")
    return text


def _json_values(value: Any, writes: Source) -> list[Any]:
    if not isinstance(value, list):
        raise UnfitError(f"{writes.identifier} has several values, and one was made")
    return [None if item is None else _json_value(item, writes) for item in value]


def _is_pair(value: list[Any], writes: Source) -> bool:
    return writes.kind == "geo" and all(isinstance(item, int | float) for item in value)


def _form(value: Any, writes: Source) -> str | int | float:
    """A value in the declared form of its field: a number, a point, a tag, or text."""
    match writes.kind:
        case "numeric":
            return as_number(value)
        case "geo":
            return as_point(value)
        case "tag":
            return as_tag(value, writes.separator)
        case "text" | "geoshape":
            return as_text(value)
        case "vector":
            raise PlannerBugError(f"{writes.identifier}: the shape of the vectors is not known")
