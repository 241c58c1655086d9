"""Staleness: what a plan was made for, and in which sentences the world differs from it now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rvlstate.diff.compare import compare
from rvlstate.diff.facts import Fact, FieldAdded, FieldRemoved
from rvlstate.model.canonical import canonicalise
from rvlstate.model.catalog import Catalog
from rvlstate.model.codec import dump_value, parse_definition
from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.remedies import overlap


def snapshot(catalog: Catalog, names: Iterable[str], prefixes: tuple[str, ...]) -> dict[str, Any]:
    """The part of a catalog that a plan rests on: the named indexes, their aliases, and siblings over `prefixes`.

    Figures that change by themselves (documents, memory) are not part of it.
    """
    wanted = set(names)
    aliases = {alias: target for alias, target in catalog.aliases if alias in wanted or target in wanted}
    wanted |= set(aliases.values())
    kept = [index for index in catalog.indexes if index.name in wanted or overlap(index.definition.prefixes, prefixes)]
    return {
        "indexes": {index.name: dump_value(canonicalise(index.definition)) for index in kept},
        "synonyms": {index.name: [[t, list(g)] for t, g in index.synonyms] for index in kept if index.synonyms},
        "aliases": aliases,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """One sentence for each thing that differs between two snapshots."""
    old, new = before["indexes"], now["indexes"]
    lines = [f"index {name} is gone" for name in sorted(old.keys() - new.keys())]
    lines += [f"index {name} appeared" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            lines += _definition_lines(name, parse_definition(old[name]), parse_definition(new[name]))
        if before.get("synonyms", {}).get(name) != now.get("synonyms", {}).get(name):
            lines.append(f"index {name}: its synonyms changed")
    for alias in sorted({*before["aliases"], *now["aliases"]}):
        was, points = before["aliases"].get(alias), now["aliases"].get(alias)
        if was != points:
            lines.append(f"alias {alias} pointed to {was or 'nothing'} and now points to {points or 'nothing'}")
    return tuple(lines)


def _definition_lines(name: str, before: IndexDefinition, after: IndexDefinition) -> list[str]:
    return [describe(fact) for fact in compare(name, before, after).facts]


def describe(fact: Fact) -> str:
    """A fact as a sentence."""
    match fact:
        case FieldAdded():
            return f"{fact.address} was added ({fact.field.type})"
        case FieldRemoved():
            return f"{fact.address} was removed ({fact.field.type})"
        case _:
            before, after = getattr(fact, "before", None), getattr(fact, "after", None)
            return f"{fact.address} changed from {_shown(before)} to {_shown(after)}"


def _shown(value: object) -> str:
    kind = getattr(value, "type", None)
    return str(kind) if kind is not None else repr(value)
