"""Whole documents from hash to JSON and back, field rewrites included, for an index that changes its storage.

Declared fields go to the place and the form that they are declared in: vectors become lists of numbers or blobs,
numbers numbers of JSON or text. Fields that no schema declares are kept, under their own name at the top of the
document: a hash's as strings; of JSON, texts as they are and everything else as JSON text, but null, which a hash
cannot hold.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Field, TagField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.transforms.columns import Bad
from rvlstate.transforms.compute import Outcome, converted
from rvlstate.transforms.paths import put, take, value_at
from rvlstate.transforms.texts import UnfitError, as_text

_NO_FUNCTIONS: Mapping[str, Callable[..., Any]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What comes of a batch: the new documents, None for bad rows, and the notes of `Outcome`."""

    documents: list[Any]
    bad: tuple[Bad, ...]
    saturated: int = 0
    largest: tuple[tuple[str, float], ...] = ()


def to_json(
    rewrite: Rewrite, fields: Mapping[bytes, bytes], *, functions: Mapping[str, Callable[..., Any]] = _NO_FUNCTIONS
) -> dict[str, Any] | Bad:
    """One hash as a JSON document, or why it cannot be one."""
    conversion = all_to_json(rewrite, [fields], functions=functions)
    return conversion.bad[0] if conversion.bad else conversion.documents[0]


def to_hash(
    rewrite: Rewrite, document: Any, *, functions: Mapping[str, Callable[..., Any]] = _NO_FUNCTIONS
) -> dict[bytes, bytes] | Bad:
    """One parsed JSON document as the fields of a hash, or why it cannot be one."""
    conversion = all_to_hash(rewrite, [document], functions=functions)
    return conversion.bad[0] if conversion.bad else conversion.documents[0]


def all_to_json(
    rewrite: Rewrite, hashes: Sequence[Mapping[bytes, bytes]], *, functions: Mapping[str, Callable[..., Any]]
) -> Conversion:
    """A batch of hashes as JSON documents.

    Bad: bytes that are no UTF-8 outside of vectors, a value that does not fit its field, two fields in one place.
    """
    rewrites = _all_rewrites(rewrite)
    columns = {
        source.identifier: [fields.get(_bytes(source.identifier)) for fields in hashes] for source in _reads(rewrites)
    }
    outcome = converted(rewrites, columns, len(hashes), storage="hash", into="json", functions=functions)
    gone = _consumed(rewrites)

    def document(row: int) -> dict[str, Any]:
        made = {_text(name): _text(value) for name, value in hashes[row].items() if _text(name) not in gone}
        return _placed(made, rewrites, outcome, row)

    return _conversion(outcome, len(hashes), document)


def all_to_hash(
    rewrite: Rewrite, documents: Sequence[Any], *, functions: Mapping[str, Callable[..., Any]]
) -> Conversion:
    """A batch of parsed JSON documents as fields of hashes.

    Bad: a document that is no object, several vectors or numbers for one field, two values in one field, nothing left.
    """
    rewrites = _all_rewrites(rewrite)
    columns = {
        source.identifier: [value_at(document, source.identifier) for document in documents]
        for source in _reads(rewrites)
    }
    outcome = converted(rewrites, columns, len(documents), storage="json", into="hash", functions=functions)
    gone = sorted(_consumed(rewrites))

    def fields(row: int) -> dict[bytes, bytes]:
        made = _undeclared(documents[row], gone)
        for field, values in zip(rewrites, outcome.values, strict=True):
            if field.writes is not None and values[row] is not None:
                name = _bytes(field.writes.identifier)
                if name in made:
                    raise UnfitError(f"{field.writes.identifier} is in the document under two paths")
                made[name] = values[row]
        if not made:
            raise UnfitError("nothing is left of it, and there is no empty hash")
        return made

    return _conversion(outcome, len(documents), fields)


def _conversion(outcome: Outcome, rows: int, build: Callable[[int], Any]) -> Conversion:
    bad = {fault.row: fault for fault in outcome.bad}
    documents: list[Any] = [None] * rows
    for row in range(rows):
        if row not in bad:
            made = _attempt(build, row)
            if isinstance(made, Bad):
                bad[row] = made
            else:
                documents[row] = made
    faults = tuple(bad[row] for row in sorted(bad))
    return Conversion(documents=documents, bad=faults, saturated=outcome.saturated, largest=outcome.largest)


def _attempt(build: Callable[[int], Any], row: int) -> Any:
    try:
        return build(row)
    except UnfitError as error:
        return Bad(row=row, field="", reason=str(error))
    except UnicodeDecodeError as error:
        return Bad(row=row, field="", reason=f"{error.object[:40]!r} is not UTF-8")


def _bytes(identifier: str) -> bytes:
    """The name of a hash field; what is no UTF-8 was decoded with surrogateescape."""
    return identifier.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8")


def _placed(made: dict[str, Any], rewrites: Sequence[FieldRewrite], outcome: Outcome, row: int) -> dict[str, Any]:
    for field, values in zip(rewrites, outcome.values, strict=True):
        if field.writes is not None and values[row] is not None:
            put(made, field.writes.identifier, values[row])
    return made


def _undeclared(document: Any, gone: Sequence[str]) -> dict[bytes, bytes]:
    if not isinstance(document, dict):
        raise UnfitError("the document is no JSON object")
    rest = copy.deepcopy(document)
    for path in gone:
        take(rest, path)
        items = path.removesuffix("[*]")
        if items != path and value_at(rest, items) == []:  # a list that was empty all along
            take(rest, items)
    return {name.encode(): _kept(value).encode() for name, value in rest.items() if value is not None}


def _kept(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else as_text(value)


def _reads(rewrites: Sequence[FieldRewrite]) -> list[Source]:
    return [source for field in rewrites for source in field.reads]


def _consumed(rewrites: Sequence[FieldRewrite]) -> set[str]:
    """What is not kept as it was: what is written elsewhere under the same field, and what is removed."""
    moved = {field.reads[0].identifier for field in rewrites if not field.steps and field.reads}
    return moved | {identifier for field in rewrites for identifier in field.removes}


def _all_rewrites(rewrite: Rewrite) -> tuple[FieldRewrite, ...]:
    """The rewrites of the fields, and one as it is for each place that only moves with the storage."""
    own = {field.field for field in rewrite.fields if field.writes is not None}
    removed = {identifier for field in rewrite.fields for identifier in field.removes}
    moves = [
        _move(name, before, after)
        for name, before, after in _pairs(rewrite.before, rewrite.after)
        if name not in own and before.identifier not in removed
    ]
    return (*(_consuming(field, rewrite.before) for field in rewrite.fields), *moves)


def _consuming(field: FieldRewrite, before: IndexDefinition) -> FieldRewrite:
    """The rewrite, with what the field itself was before as removed: its new value takes that one's place."""
    old = before.field(field.field)
    removes = (*field.removes, old.identifier) if old is not None else field.removes
    return FieldRewrite(
        field=field.field,
        reads=field.reads,
        steps=field.steps,
        writes=field.writes,
        removes=tuple(dict.fromkeys(removes)),
        layout=field.layout,
    )


def _move(name: str, before: Source, after: Source) -> FieldRewrite:
    return FieldRewrite(field=name, reads=(before,), writes=after, removes=(before.identifier,), layout="presence")


def _pairs(before: IndexDefinition, after: IndexDefinition) -> list[tuple[str, Source, Source]]:
    """Field, where its value was, and where it will be; a field that is declared no more goes under its own name."""
    pairs = []
    for old in before.fields:
        new = after.field(old.name)
        if new is not None:
            pairs.append((old.name, source_of(old), source_of(new)))
        elif after.storage == "json":
            pairs.append((old.name, source_of(old), _as_member(source_of(old))))
    return pairs + _special(before, after, {identifier for _, source, _ in pairs for identifier in [source.identifier]})


def _special(before: IndexDefinition, after: IndexDefinition, taken: set[str]) -> list[tuple[str, Source, Source]]:
    """The places that the index reads beside its fields: a document's score, and its language."""
    found = []
    for kind, old, new in (
        ("numeric", before.score_field, after.score_field),
        ("text", before.language_field, after.language_field),
    ):
        if old is not None and new is not None and old not in taken:
            source = Source(identifier=old, kind="numeric" if kind == "numeric" else "text")
            found.append((old, source, Source(identifier=new, kind=source.kind)))
    return found


def _as_member(source: Source) -> Source:
    quoted = json.dumps(source.identifier, ensure_ascii=False)
    return Source(identifier=f"$[{quoted}]", kind=source.kind, shape=source.shape, separator=source.separator)


def source_of(field: Field) -> Source:
    """A declared field as a place to read or write: with its kind, its shape, and its separator."""
    return Source(
        identifier=field.identifier,
        kind=field.type,
        shape=VectorShape(datatype=field.datatype, dims=field.dims) if isinstance(field, VectorField) else None,
        separator=field.separator if isinstance(field, TagField) else ",",
    )
