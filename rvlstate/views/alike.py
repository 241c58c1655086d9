"""Indexes of a plan that change alike, told together where there are hundreds of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.plan import IndexPlan
from rvlstate.views.change_lines import ChangeLine, change_lines, created_lines
from rvlstate.views.index_block import HEADS

BLOCKS_SHOWN = 20
"""Of more changed indexes than this, those that change alike are told together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Names of indexes with the symbol and style of their heads, and the lines that hold for each of them."""

    head: tuple[str, str]
    names: tuple[str, ...]
    lines: tuple[ChangeLine, ...]


def alike(indexes: Iterable[IndexPlan], created: Mapping[str, IndexDefinition]) -> list[Group]:
    """Groups of two and more; an index with something to think about (a hazard, drift, a note) is never in one."""
    found: dict[tuple[tuple[str, str], tuple[ChangeLine, ...]], list[str]] = {}
    for index in indexes:
        if not (index.hazards or index.drift or index.notes or index.refused or index.held or index.renamed_from):
            key = (HEADS[index.action], _lines(index, created.get(index.name)))
            found.setdefault(key, []).append(index.name)
    return [Group(head=head, names=tuple(names), lines=lines) for (head, lines), names in found.items() if names[1:]]


def _lines(index: IndexPlan, definition: IndexDefinition | None) -> tuple[ChangeLine, ...]:
    """What is said about an index, but for the prefixes of a new one, in which all differ."""
    lines = created_lines(definition) if definition else ()
    return (*change_lines(index), *(line for line in lines if not line.value.startswith("prefixes ")))
