"""Compare two definitions of one index. The door to deepdiff: its paths and types do not leave this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

from rvlstate.diff.facts import (
    AttributeChanged,
    Comparison,
    Fact,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRetyped,
    RenameContradicted,
    SettingChanged,
)
from rvlstate.model.address import field_address, index_address
from rvlstate.model.canonical import canonicalise
from rvlstate.model.definition import IndexDefinition, settings_of
from rvlstate.model.field import UNREVEALED, Field, Value, attributes

Difference: TypeAlias = tuple[str, Value, Value]

NO_RENAMES: Mapping[str, str] = {}

KEPT = 10_000
"""Pairs of fields whose comparison is kept: a plan asks twice, and an apply four times, at 0.5 ms each."""


def compare(
    index: str, before: IndexDefinition, after: IndexDefinition, renamed_from: Mapping[str, str] = NO_RENAMES
) -> Comparison:
    """The facts that lead from `before` to `after`, both taken in canonical form.

    `renamed_from` maps names of fields in `after` to their names in `before`. An attribute that is UNREVEALED on
    either side is no fact: it is listed as unverifiable.
    """
    old, new = canonicalise(before), canonicalise(after)
    if old == new:
        return Comparison()
    contradictions = _contradictions(index, new, renamed_from)
    renames = _renames(old, new, renamed_from)
    facts: list[Fact] = [*contradictions]
    unverifiable: list[str] = []
    for setting, was, becomes in _differences(settings_of(old), settings_of(new)):
        if UNREVEALED in (was, becomes):
            unverifiable.append(index_address(index, setting))
        else:
            facts.append(SettingChanged(index=index, setting=setting, before=was, after=becomes))
    for was_field, is_field in _pairs(old, new, renames):
        found = _compare_field(index, was_field, is_field)
        facts.extend(found.facts)
        unverifiable.extend(found.unverifiable)
    facts.sort(key=lambda fact: (fact.address, type(fact).__name__))
    return Comparison(facts=tuple(facts), unverifiable=tuple(sorted(unverifiable)))


def _contradictions(index: str, new: IndexDefinition, renamed_from: Mapping[str, str]) -> list[RenameContradicted]:
    sources = [source for name, source in renamed_from.items() if new.field(name) is not None]
    return [
        RenameContradicted(index=index, field=name, renamed_from=source)
        for name, source in sorted(renamed_from.items())
        if new.field(name) is not None and (new.field(source) is not None or sources.count(source) > 1)
    ]


def _renames(old: IndexDefinition, new: IndexDefinition, renamed_from: Mapping[str, str]) -> dict[str, str]:
    """New name -> old name of the renames that are still to be done."""
    return {
        name: source
        for name, source in renamed_from.items()
        if old.field(source) is not None
        and old.field(name) is None
        and new.field(name) is not None
        and new.field(source) is None
    }


def _pairs(
    old: IndexDefinition, new: IndexDefinition, renames: Mapping[str, str]
) -> Iterator[tuple[Field | None, Field | None]]:
    claimed = set(renames.values())
    for field in new.fields:
        yield old.field(renames.get(field.name, field.name)), field
    for field in old.fields:
        if new.field(field.name) is None and field.name not in claimed:
            yield field, None


@lru_cache(maxsize=KEPT)
def _compare_field(index: str, before: Field | None, after: Field | None) -> Comparison:
    if before is None and after is not None:
        return Comparison(facts=(FieldAdded(index=index, field=after),))
    if before is not None and after is None:
        return Comparison(facts=(FieldRemoved(index=index, field=before),))
    if before is None or after is None or before == after:
        return Comparison()
    facts: list[Fact] = []
    if before.name != after.name:
        facts.append(FieldRenamed(index=index, before=before, after=after))
        before = replace(before, name=after.name, identifier=after.identifier)
    if before.type != after.type:
        return Comparison(facts=(*facts, FieldRetyped(index=index, before=before, after=after)))
    unverifiable = []
    for attribute, was, becomes in _differences(attributes(before), attributes(after)):
        if UNREVEALED in (was, becomes):
            unverifiable.append(field_address(index, after.name, attribute))
        else:
            facts.append(
                AttributeChanged(
                    index=index, field=after.name, type=after.type, attribute=attribute, before=was, after=becomes
                )
            )
    return Comparison(facts=tuple(facts), unverifiable=tuple(unverifiable))


def _differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[Difference]:
    """The attributes that both have and that differ; those of another algorithm come and go with it."""
    if before == after:
        return
    from deepdiff import DeepDiff

    tree: Any = DeepDiff(dict(before), dict(after), view="tree", ignore_numeric_type_changes=True)
    changed = {str(level.path(output_format="list")[0]) for levels in tree.values() for level in levels}
    for name in sorted(changed & before.keys() & after.keys()):
        yield name, before[name], after[name]
