"""From what was read to what is written: the transforms, applied to the rows of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from rvlstate.model.rewrite import FieldRewrite
from rvlstate.model.transform import user_functions
from rvlstate.plan.effects import BadRow
from rvlstate.runtime.documents.batch import Row, dumped, packed, pairs, shown
from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.transforms.columns import Bad
from rvlstate.transforms.compute import compute
from rvlstate.transforms.paths import is_several
from rvlstate.transforms.storage import all_to_hash, all_to_json

COMPUTE = "1"

Functions: TypeAlias = Mapping[str, Callable[..., Any]]


@dataclass(slots=True)
class Computed:
    """What came of a batch: rows that are to be written, and those that cannot be transformed."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    saturated: int = 0
    largest: dict[str, float] = field(default_factory=dict)


def computed(blueprint: Blueprint, rows: Sequence[Row], functions: Functions | None) -> Computed:
    """The new values of rows; without `functions`, what the user's own code would make is left out.

    Rows that differ in what is done already are computed apart: a value that is in the new layout is no input.
    """
    result = Computed()
    for states in sorted({row.states for row in rows}):
        group = [row for row in rows if row.states == states]
        if blueprint.adapter == "whole":
            _convert(blueprint, group, states, functions, result)
        else:
            _compute(blueprint, group, states, functions, result)
    result.rows = [row for row in result.rows if row.is_todo]
    return result


def uses_user_code(item: FieldRewrite) -> bool:
    """Whether a callable of the user's own has a part in a field."""
    return bool(user_functions(item.steps))


def _compute(blueprint: Blueprint, rows: list[Row], states: str, functions: Functions | None, result: Computed) -> None:
    fields = blueprint.rewrite.fields
    wanted = [
        at
        for at, item in enumerate(fields)
        if states[at] == COMPUTE and item.writes and not (functions is None and uses_user_code(item))
    ]
    rewrites = [_as_it_is(fields[at], fields, states) for at in wanted]
    columns = {
        source.identifier: _column(blueprint, source.identifier, rows) for item in rewrites for source in item.reads
    }
    outcome = compute(rewrites, columns, len(rows), storage=blueprint.rewrite.before.storage, functions=functions or {})
    result.saturated += outcome.saturated
    for name, value in outcome.largest:
        result.largest[name] = max(value, result.largest.get(name, 0.0))
    for at, values in zip(wanted, outcome.values, strict=True):
        for row, value in zip(rows, values, strict=True):
            if value is None:
                row.leave(at)
            else:
                row.new[at] = value if blueprint.adapter == "hash" else _text(blueprint, at, value)
    _sort_out(rows, outcome.bad, result)


def _as_it_is(item: FieldRewrite, fields: Sequence[FieldRewrite], states: str) -> FieldRewrite:
    """The field, reading in its new form what is in the new layout already: a writer of that may have left the rest."""
    done = {
        field.writes.identifier: field.writes
        for field, state in zip(fields, states, strict=False)
        if field.writes is not None and state != COMPUTE
    }
    return replace(item, reads=tuple(done.get(source.identifier, source) for source in item.reads))


def _convert(blueprint: Blueprint, rows: list[Row], states: str, functions: Functions | None, result: Computed) -> None:
    rewrite = blueprint.rewrite
    if states[0] != COMPUTE or (functions is None and any(map(uses_user_code, rewrite.fields))):
        result.rows += rows
        return
    if rewrite.before.storage == "hash":
        made = all_to_json(rewrite, [dict(pairs(row.values)) for row in rows], functions=functions or {})
        texts = [None if document is None else dumped(document) for document in made.documents]
    else:
        documents = [json.loads(row.values[0] or b"null") for row in rows]
        made = all_to_hash(rewrite, documents, functions=functions or {})
        texts = [None if fields is None else _packed_hash(fields) for fields in made.documents]
    result.saturated += made.saturated
    for row, text in zip(rows, texts, strict=True):
        if text is not None:
            row.new[0] = text
    _sort_out(rows, made.bad, result)


def _packed_hash(fields: Mapping[bytes, bytes]) -> bytes:
    return packed([part for pair in fields.items() for part in pair])


def _sort_out(rows: list[Row], faults: Iterable[Bad], result: Computed) -> None:
    bad = {fault.row: fault for fault in faults}
    for number, row in enumerate(rows):
        fault = bad.get(number)
        if fault is None:
            result.rows.append(row)
        else:
            result.bad.append(BadRow(key=shown(row.key), field=fault.field, reason=fault.reason, detail=fault.detail))


def _column(blueprint: Blueprint, identifier: str, rows: Iterable[Row]) -> list[Any]:
    at = blueprint.guarded.index(blueprint.identifiers.index(blueprint.column(identifier)))
    values = [row.values[at] for row in rows]
    if blueprint.adapter == "hash":
        return values
    if is_several(identifier):
        return [[] if value is None else json.loads(value) for value in values]
    return [None if value is None else json.loads(value)[0] for value in values]


def _text(blueprint: Blueprint, at: int, value: Any) -> bytes:
    target = blueprint.rewrite.fields[at].writes
    if target is not None and is_several(target.identifier):
        # The script puts each text to its place: numbers of its own have fewer digits.
        return dumped([dumped(item).decode() for item in value])
    return dumped(value)
