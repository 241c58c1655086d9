"""Settings of an imported index put into the text of a project file, which otherwise stays as it is.

The text is edited at the places that the YAML parser reports, so that comments, order and style are kept; the result
is parsed again and must hold exactly the old data with the settings added.
"""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from rvlstate.errors import SpecError
from rvlstate.files.interpolation import escape
from rvlstate.files.schema_dump import plain_yaml
from rvlstate.files.tree import Entry, Mapping, Scalar, data_of
from rvlstate.files.yaml_text import parse_tree

_FILE = "rvlstate.yaml"


def add_index_settings(project_text: str, name: str, settings: dict[str, Any]) -> str:
    """The project file's text with `settings` merged into `indexes.<name>`; equal keys take the new value."""
    if not settings:
        return project_text
    addition = {"indexes": {name: _escaped(settings)}}
    text = project_text if project_text.endswith("\n") else project_text + _newline(project_text)
    before = data_of(parse_tree(text, _FILE))
    try:
        for path, value in _insertions(before, addition):
            text = _insert(text, path, value)
        after = data_of(parse_tree(text, _FILE))
    except SpecError as error:
        raise _by_hand(name, addition) from error
    if after != _deep_merge(before, addition):
        raise _by_hand(name, addition)
    return text


def _by_hand(name: str, addition: dict[str, Any]) -> SpecError:
    """What is left where anchors, tags or the like make the text more than it seems."""
    return SpecError(
        f"the settings of {name} do not fit into the file as it is written",
        file=_FILE,
        why=plain_yaml(addition),
        next_step="add these lines by hand.",
    )


def _escaped(data: Any) -> Any:
    """The data as the project file must hold it, so that interpolation gives the data back."""
    if isinstance(data, dict):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_escaped(value) for value in data]
    return escape(data) if isinstance(data, str) else data


def _deep_merge(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: _deep_merge(under.get(key), value) for key, value in over.items()}}


def _insertions(before: Any, addition: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """What is new, as the highest paths that are not there yet or hold another value."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in addition.items():
        below = before.get(key)
        if isinstance(below, dict) and below and isinstance(value, dict):
            found += [((key, *path), part) for path, part in _insertions(below, value)]
        elif below != value:
            found.append(((key,), value))
    return found


def _insert(text: str, path: tuple[str, ...], value: Any) -> str:
    """The text with `value` at `path`, all of whose parts but the last exist as mappings."""
    node = parse_tree(text, _FILE)
    for key in path[:-1]:
        inner = node.entries[key].value
        if not isinstance(inner, Mapping):  # pragma: no cover - _insertions descends into mappings only
            raise TypeError(key)
        node = inner
    present = node.entries.get(path[-1])
    if present is not None:
        return _replace(text, present, value, flow=node.flow)
    if node.flow:
        return _insert_flow(text, node, {path[-1]: value})
    return _insert_block(text, node, {path[-1]: value})


def _replace(text: str, entry: Entry, value: Any, *, flow: bool) -> str:
    """The text with the value of a key exchanged: a scalar, or an empty mapping or list."""
    lines = text.splitlines(keepends=True)
    start, end = _offset(lines, *_value_start(entry)), _offset(lines, *_value_end(entry))
    if text[end - 1] == "\n" and end > start:  # a block of text ends where the next line begins
        end -= 1
    if flow or not isinstance(value, dict):
        return f"{text[:start]}{_pad(text, start)}{_flow(value)}{text[end:]}"
    block = textwrap.indent(plain_yaml(value), " " * (entry.place.column + 2))
    rest_of_line, newline, after = text[end:].partition("\n")
    return f"{text[:start].rstrip(' ')}{rest_of_line}{newline or _newline(text)}{_ended(block, text)}{after}"


def _value_start(entry: Entry) -> tuple[int, int]:
    return entry.value.place.line, entry.value.place.column


def _value_end(entry: Entry) -> tuple[int, int]:
    place = entry.value.place
    written = isinstance(entry.value, Mapping) or (isinstance(entry.value, Scalar) and entry.value.source != "")
    return (place.end_line, place.end_column) if written else (place.line, place.column)


def _insert_flow(text: str, node: Mapping, addition: dict[str, Any]) -> str:
    at = _offset(text.splitlines(keepends=True), node.place.line, node.place.column) + 1
    inner = _flow(addition)[1:-1]
    return f"{text[:at]}{inner}{', ' if node.entries else ''}{text[at:]}"


def _insert_block(text: str, node: Mapping, addition: dict[str, Any]) -> str:
    """Lines for a new key after the last line of a mapping; comments that are indented less belong to what follows."""
    lines = text.splitlines(keepends=True)
    column = min(entry.place.column for entry in node.entries.values())
    at = node.place.end_line - 1
    while at and _is_foreign(lines[at - 1], column):
        at -= 1
    block = _ended(textwrap.indent(plain_yaml(addition), " " * column), text)
    return f"{''.join(lines[:at])}{block}{''.join(lines[at:])}"


def _is_foreign(line: str, column: int) -> bool:
    content = line.strip()
    indentation = len(line) - len(line.lstrip(" "))
    return not content or (content.startswith("#") and indentation < column)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=False, width=float("inf"))
    return text.removesuffix("\n").removesuffix("...").strip()


def _pad(text: str, at: int) -> str:
    return "" if at and text[at - 1] in " \n" else " "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _ended(block: str, text: str) -> str:
    return block.replace("\n", _newline(text))


def _offset(lines: list[str], line: int, column: int) -> int:
    return sum(len(one) for one in lines[: line - 1]) + column
