"""Index definitions to redisvl schema files, for import: what loading reads back as the same definition.

What redisvl's schema cannot say goes into settings for the project file; what the server does not reveal is left to
redisvl's default and marked by a comment.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from rvlstate.files.field_dump import DumpedField, dump_field, dump_shape
from rvlstate.model.address import field_address, index_address
from rvlstate.model.canonical import MAX_TEXT_FIELDS, canonicalise
from rvlstate.model.definition import IndexDefinition, settings_of
from rvlstate.model.field import UNREVEALED, GeoShapeField, TextField

_IN_SCHEMA = frozenset({"storage", "prefixes", "stopwords"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedSchema:
    """An index as files: redisvl YAML, settings for `indexes.<name>` of the project file, and what is not known.

    `unrevealed` holds the addresses of attributes that were left to redisvl's defaults.
    """

    text: str
    settings: dict[str, Any]
    unrevealed: tuple[str, ...]


def dump_schema(name: str, definition: IndexDefinition) -> DumpedSchema:
    """The files that declare a definition under a name."""
    canonical = canonicalise(definition)
    parts = [
        (field, dump_field(field, canonical.storage))
        for field in canonical.fields
        if not isinstance(field, GeoShapeField)
    ]
    hidden = [index_address(name, "temporary")] if canonical.temporary == UNREVEALED else []
    for field, part in parts:
        hidden += [field_address(name, field.name, attribute) for attribute in part.unknown]
    return DumpedSchema(
        text=_text(name, canonical, [part for _, part in parts]),
        settings=_settings(canonical, {field.name: part.settings for field, part in parts}),
        unrevealed=tuple(hidden),
    )


def plain_yaml(data: Any) -> str:
    """Data as YAML lines in the order given, one line for each text."""
    readable = all(text.isprintable() for text in _texts(data))
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=readable, width=float("inf"))


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from _texts(value)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)


def _settings(definition: IndexDefinition, fields_settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    defaults = settings_of(IndexDefinition())
    block = {
        key: value
        for key, value in settings_of(definition).items()
        if key not in _IN_SCHEMA and value not in (defaults[key], UNREVEALED)
    }
    if _implied_max_text_fields(definition):
        block.pop("max_text_fields", None)
    shapes = {field.name: dump_shape(field) for field in definition.fields if isinstance(field, GeoShapeField)}
    found = {name: settings for name, settings in {**fields_settings, **shapes}.items() if settings}
    return {key: value for key, value in (("definition", block), ("fields", dict(sorted(found.items())))) if value}


def _implied_max_text_fields(definition: IndexDefinition) -> bool:
    """Whether the server sets MAXTEXTFIELDS by itself; written out it would crash the server beside NOFIELDS."""
    return sum(isinstance(field, TextField) for field in definition.fields) > MAX_TEXT_FIELDS


def _text(name: str, definition: IndexDefinition, parts: list[DumpedField]) -> str:
    index: dict[str, Any] = {"name": name, "prefix": _prefix(definition), "storage_type": definition.storage}
    if definition.stopwords is not None:
        index["stopwords"] = list(definition.stopwords)
    lines = [plain_yaml({"version": "0.1.0", "index": index})]
    if definition.temporary == UNREVEALED:
        lines.append(
            "  # the server does not reveal whether the index is temporary; such an index takes its documents along "
            "when it goes\n"
        )
    if not parts:
        return "".join([*lines, "fields: []\n"])
    items = [textwrap.indent(plain_yaml([part.item]) + _comments(part), "  ") for part in parts]
    return "".join([*lines, "fields:\n", *items])


def _comments(part: DumpedField) -> str:
    margin = "    " if "attrs" in part.item else "  "
    return "".join(f"{margin}# {name}: not revealed by the server, left to its default\n" for name in part.unknown)


def _prefix(definition: IndexDefinition) -> str | list[str]:
    return definition.prefixes[0] if len(definition.prefixes) == 1 else list(definition.prefixes)
