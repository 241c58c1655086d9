"""Fill in what FT.INFO does not show, from definitions that rvlstate itself sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import UNREVEALED, Field, VectorField

Part = TypeVar("Part")


def reveal(seen: IndexDefinition, known: Iterable[IndexDefinition]) -> IndexDefinition:
    """The canonical form of `seen` with unrevealed attributes taken from the first of `known` that agrees on the rest.

    A field is filled in when one of `known` has the same field as far as both can be seen; an attribute that no record
    vouches for stays UNREVEALED.
    """
    canonical = canonicalise(seen)
    records = [canonicalise(definition) for definition in known]
    if records and canonical == mask(records[0]):
        return records[0]
    same = [record for record in records if _settings_agree(canonical, record)]
    temporary = canonical.temporary
    if temporary == UNREVEALED and same:
        temporary = same[0].temporary
    return replace(
        canonical, temporary=temporary, fields=tuple(_reveal_field(field, records) for field in canonical.fields)
    )


def _settings_agree(seen: IndexDefinition, record: IndexDefinition) -> bool:
    return replace(mask(seen), fields=()) == replace(mask(record), fields=())


def _reveal_field(seen: Field, records: list[IndexDefinition]) -> Field:
    for record in records:
        known = record.field(seen.name)
        if known is not None and type(known) is type(seen):
            merged = _merge(seen, known)
            if merged == known:
                return merged
    return seen


def _merge(seen: Part, known: Part) -> Part:
    """`seen` with every UNREVEALED attribute taken from `known`; algorithms of another kind are left as seen."""
    taken: dict[str, Any] = {}
    for item in fields(seen):  # type: ignore[arg-type]
        value = getattr(seen, item.name)
        other = getattr(known, item.name)
        if value == UNREVEALED:
            taken[item.name] = other
        elif isinstance(seen, VectorField) and item.name == "search" and type(value) is type(other):
            taken[item.name] = _merge(value, other)
    return replace(seen, **taken) if taken else seen  # type: ignore[type-var]
