"""Values of attributes, and fields with their attributes, as short texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields

from rvlstate.model.field import (
    UNREVEALED,
    Flat,
    GeoField,
    GeoShapeField,
    Hnsw,
    NumericField,
    SvsVamana,
    TagField,
    TextField,
    Value,
    VectorField,
)
from rvlstate.views.untrusted import printable

_BARE = re.compile(r"[\w$@/*.:()\[\]-]+")
_WORDS = frozenset({"none", "true", "false"})  # a text of these letters is quoted
_KINDS = (TextField, TagField, NumericField, GeoField, GeoShapeField, VectorField)
_KIND_OF = {kind.__name__.removesuffix("Field").lower(): kind for kind in _KINDS}
_ALGORITHM_OF = {"flat": Flat, "hnsw": Hnsw, "svs-vamana": SvsVamana}
_TOLD_BY_TYPE = frozenset({"type", "algorithm", "dims"})
_ALWAYS_TOLD = frozenset({"datatype", "distance_metric"})


def show_value(value: Value | Mapping[str, Value]) -> str:
    """One value: text is quoted where it would be misread bare; None is `none`."""
    match value:
        case None:
            return "none"
        case str() if value == UNREVEALED:
            return UNREVEALED
        case bool():
            return "true" if value else "false"
        case str():
            return show_text(value)
        case tuple():
            return f"[{', '.join(show_text(item) for item in value)}]"
        case Mapping():
            return describe_field("", value)
        case _:
            return str(value)


def show_text(text: str) -> str:
    """A text bare if that cannot be misread, else in quotes."""
    if _BARE.fullmatch(text) and text not in _WORDS:
        return printable(text)
    if '"' in text and "'" not in text and "\\" not in text:
        return f"'{printable(text)}'"
    return printable(json.dumps(text, ensure_ascii=False))


def describe_field(name: str, attributes: Mapping[str, Value]) -> str:
    """`tag, separator ";", sortable`: the type of a field and what about it is not as by default."""
    kind = str(attributes.get("type", ""))
    parts = [" ".join([kind, *_vector_words(attributes)]).strip()]
    known = _defaults(kind, str(attributes.get("algorithm", "")))
    for key, value in attributes.items():
        if key in _TOLD_BY_TYPE or (key == "identifier" and value in (name, f"$.{name}")):
            continue
        if key in _ALWAYS_TOLD:
            parts.append(show_value(value))
        elif value != known.get(key) and value not in (None, False, UNREVEALED):
            parts.append(_attribute(key, value))
    return printable(", ".join(parts))


def _vector_words(attributes: Mapping[str, Value]) -> list[str]:
    if "algorithm" not in attributes:
        return []
    return [str(attributes["algorithm"]), f"{attributes.get('dims')} dims"]


def _attribute(key: str, value: Value) -> str:
    if key == "identifier":
        return f"from {show_value(value)}"
    return key if value is True else f"{key} {show_value(value)}"


def _defaults(kind: str, algorithm: str) -> dict[str, object]:
    """Attribute -> default for a type of field, with the parameters of its algorithm if it is a vector field."""
    found: dict[str, object] = {}
    for part in (_KIND_OF.get(kind), _ALGORITHM_OF.get(algorithm)):
        if part is not None:
            found.update({item.name: item.default for item in fields(part)})
    return found
