"""The tree of a YAML document: plain values that know where in which file they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rvlstate.errors import SpecError


@dataclass(slots=True)  # neither frozen nor keyword-only: a thousand files make a hundred thousand of these
class Place:
    """A stretch of text: its file, and where it begins and ends; lines count from 1, columns from 0."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(slots=True)
class Scalar:
    """A text, number, truth value, date or null; `source` is how it is written, before interpolation."""

    place: Place
    value: Any
    source: str


@dataclass(slots=True)
class Sequence:
    """A list."""

    place: Place
    items: list[Node]


@dataclass(slots=True)
class Entry:
    """One key of a mapping with its value; `place` is that of the key."""

    place: Place
    value: Node


@dataclass(slots=True)
class Mapping:
    """A mapping with text keys in the order written; `flow` tells `{a: 1}` from indented lines."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    flow: bool = False

    def get(self, key: str) -> Node | None:
        """The value of a key, or None."""
        entry = self.entries.get(key)
        return entry.value if entry else None


Node: TypeAlias = Scalar | Sequence | Mapping
Path: TypeAlias = tuple[str | int, ...]


def data_of(node: Node) -> Any:
    """The node as plain Python data."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [data_of(item) for item in node.items]
        case Mapping():
            return {key: data_of(entry.value) for key, entry in node.entries.items()}


def place_of(root: Node, path: Path) -> Place:
    """Where the value at `path` is written: the place of its key, or of the deepest part of the path that exists."""
    place, node = root.place, root
    for part in path:
        if isinstance(node, Mapping) and part in node.entries:
            entry = node.entries[str(part)]
            place, node = entry.place, entry.value
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            place = node.place
    return place


def node_at(root: Node, path: Path) -> Node | None:
    """The node at `path`, or None if there is none."""
    node: Node | None = root
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(str(part))
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node


def as_mapping(node: Node | None, place: Place) -> Mapping:
    """The node as a mapping; nothing and null count as an empty one, since comments alone leave a null behind."""
    return node if isinstance(node, Mapping) else Mapping(place)


def merged(under: Mapping, over: Mapping) -> Mapping:
    """Both mappings in one, `over` winning; mappings within are merged likewise, lists and scalars are replaced."""
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        if below is not None and isinstance(below.value, Mapping) and _is_block(entry.value):
            entries[key] = Entry(entry.place, merged(below.value, as_mapping(entry.value, entry.place)))
        else:
            entries[key] = entry
    return Mapping(over.place, entries)


def _is_block(node: Node) -> bool:
    return isinstance(node, Mapping) or (isinstance(node, Scalar) and node.value is None)


def spec_error(place: Place, what: str, *, key: str = "", why: str = "", next_step: str = "") -> SpecError:
    """A SpecError at a place."""
    return SpecError(what, file=place.file, line=place.line, key=key, why=why, next_step=next_step)
