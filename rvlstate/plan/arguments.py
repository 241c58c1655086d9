"""The arguments of FT.CREATE and FT.ALTER for a definition: what redisvl's own `create()` sends, plus what it cannot.

The order of modifiers is the one that every server accepts (INDEXEMPTY INDEXMISSING SORTABLE UNF NOINDEX; measured).
"""

from __future__ import annotations

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import (
    UNREVEALED,
    Field,
    Flat,
    GeoField,
    GeoShapeField,
    Hnsw,
    NumericField,
    SvsVamana,
    TagField,
    TextField,
    VectorField,
)
from rvlstate.model.filter_text import sendable


def create_arguments(physical: str, definition: IndexDefinition) -> tuple[str, ...]:
    """The whole FT.CREATE command for a definition, as text arguments."""
    parts = ["FT.CREATE", physical, "ON", definition.storage.upper()]
    if definition.index_all:
        parts += ["INDEXALL", "ENABLE"]
    parts += ["PREFIX", str(len(definition.prefixes)), *definition.prefixes]
    parts += _option("FILTER", sendable(definition.filter) if definition.filter else None)
    parts += _option("LANGUAGE_FIELD", definition.language_field)
    parts += _option("LANGUAGE", definition.language)
    parts += _option("SCORE_FIELD", definition.score_field)
    parts += ["SCORE", _number(definition.score)]
    parts += _option("PAYLOAD_FIELD", definition.payload_field)
    parts += _flag("MAXTEXTFIELDS", definition.max_text_fields)
    parts += _option("TEMPORARY", definition.temporary)
    parts += _flag("NOOFFSETS", definition.no_offsets)
    parts += _flag("NOHL", definition.no_highlight)
    parts += _flag("NOFIELDS", definition.no_fields)
    parts += _flag("NOFREQS", definition.no_frequencies)
    if definition.stopwords is not None:
        parts += ["STOPWORDS", str(len(definition.stopwords)), *definition.stopwords]
    parts.append("SCHEMA")
    for field in definition.fields:
        parts += field_arguments(field, definition.storage)
    return tuple(parts)


def alter_arguments(physical: str, fields: tuple[Field, ...], storage: str) -> tuple[str, ...]:
    """One FT.ALTER that adds all of `fields`: the server scans once, and adds all of them or none."""
    parts = ["FT.ALTER", physical, "SCHEMA", "ADD"]
    for field in fields:
        parts += field_arguments(field, storage)
    return tuple(parts)


def field_arguments(field: Field, storage: str) -> list[str]:
    """The part of SCHEMA that declares one field."""
    parts = [field.identifier]
    if storage == "json" or field.identifier != field.name:
        parts += ["AS", field.name]
    match field:
        case TextField():
            return parts + _text(field)
        case TagField():
            return parts + _tag(field)
        case NumericField():
            return [*parts, "NUMERIC", *_modifiers(field)]
        case GeoField():
            return [*parts, "GEO", *_modifiers(field)]
        case GeoShapeField():
            return [*parts, "GEOSHAPE", field.coord_system.upper(), *_modifiers(field)]
        case VectorField():
            return [*parts, "VECTOR", *_vector(field), *_flag("INDEXMISSING", field.index_missing)]


def _text(field: TextField) -> list[str]:
    return [
        "TEXT",
        *("WEIGHT", _number(field.weight)),
        *_flag("NOSTEM", field.no_stem),
        *_option("PHONETIC", field.phonetic_matcher),
        *_flag("WITHSUFFIXTRIE", field.withsuffixtrie),
        *_flag("INDEXEMPTY", field.index_empty),
        *_modifiers(field),
    ]


def _tag(field: TagField) -> list[str]:
    return [
        "TAG",
        *_option("SEPARATOR", field.separator or None),
        *_flag("CASESENSITIVE", field.case_sensitive),
        *_flag("WITHSUFFIXTRIE", field.withsuffixtrie),
        *_flag("INDEXEMPTY", field.index_empty),
        *_modifiers(field),
    ]


def _modifiers(field: TextField | TagField | NumericField | GeoField | GeoShapeField) -> list[str]:
    return [
        *_flag("INDEXMISSING", field.index_missing),
        *_flag("SORTABLE", field.sortable),
        *_flag("UNF", field.sortable and field.unf),
        *_flag("NOINDEX", field.no_index),
    ]


def _vector(field: VectorField) -> list[str]:
    pairs: list[tuple[str, object]] = [
        ("TYPE", field.datatype.upper()),
        ("DIM", field.dims),
        ("DISTANCE_METRIC", field.distance_metric.upper()),
        ("INITIAL_CAP", field.initial_cap),
        *_search_pairs(field.search),
    ]
    words = [word for name, value in pairs for word in _option(name, value)]
    return [field.search.algorithm.upper(), str(len(words)), *words]


def _search_pairs(search: Flat | Hnsw | SvsVamana) -> list[tuple[str, object]]:
    match search:
        case Flat():
            return [("BLOCK_SIZE", search.block_size)]
        case Hnsw():
            return [
                ("M", search.m),
                ("EF_CONSTRUCTION", search.ef_construction),
                ("EF_RUNTIME", search.ef_runtime),
                ("EPSILON", search.epsilon),
            ]
        case SvsVamana():
            return [
                ("GRAPH_MAX_DEGREE", search.graph_max_degree),
                ("CONSTRUCTION_WINDOW_SIZE", search.construction_window_size),
                ("SEARCH_WINDOW_SIZE", search.search_window_size),
                ("EPSILON", search.epsilon),
                ("COMPRESSION", search.compression),
                ("REDUCE", search.reduce),
                ("TRAINING_THRESHOLD", search.training_threshold),
            ]


def _option(name: str, value: object) -> list[str]:
    """`NAME value`, or nothing for a value that is not set or not known."""
    if value is None or value == UNREVEALED:
        return []
    return [name, _number(value) if isinstance(value, float) else str(value)]


def _flag(name: str, on: bool) -> list[str]:
    return [name] if on else []


def _number(value: float) -> str:
    return repr(value)
