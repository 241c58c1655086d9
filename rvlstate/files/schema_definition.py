"""redisvl schemas, with the settings of the project file beside them, to index definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redisvl.schema import IndexSchema

from rvlstate.files.spec import DefinitionBlock, FieldBlock, IndexBlock
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import (
    Algorithm,
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

_NOTHING = FieldBlock()


def definition_from_schema(schema: IndexSchema, settings: IndexBlock | None = None) -> IndexDefinition:
    """The definition that a schema declares, with `definition` and `fields` of its settings added."""
    index = schema.index
    prefix = index.prefix
    extras = settings.fields if settings else {}
    declared = [_field(field, extras.get(name, _NOTHING)) for name, field in schema.fields.items()]
    return IndexDefinition(
        storage=index.storage_type.value,
        prefixes=tuple(prefix if isinstance(prefix, list) else [prefix]) or ("",),
        stopwords=None if index.stopwords is None else tuple(index.stopwords),
        fields=(*declared, *_shapes(extras, index.storage_type.value)),
        **(settings.definition if settings else DefinitionBlock()).model_dump(),
    )


def _shapes(extras: Mapping[str, FieldBlock], storage: str) -> list[GeoShapeField]:
    """The fields that settings declare whole."""
    return [
        GeoShapeField(
            name=name,
            identifier=block.identifier or (f"$.{name}" if storage == "json" else name),
            coord_system=block.coord_system or "spherical",
            index_missing=bool(block.index_missing),
            sortable=bool(block.sortable),
            unf=bool(block.unf),
            no_index=bool(block.no_index),
        )
        for name, block in extras.items()
        if block.type == "geoshape"
    ]


def _field(field: Any, extra: FieldBlock) -> Field:
    """One field of redisvl; `type` is an enum member or a plain string there, both compare with text."""
    attrs = field.attrs
    identifier = extra.identifier if extra.identifier is not None else field.path or field.name
    if field.type == "vector":
        return _vector(field.name, identifier, attrs)
    common = {
        "name": field.name,
        "identifier": identifier,
        "index_missing": attrs.index_missing,
        "sortable": attrs.sortable,
        "no_index": attrs.no_index if extra.no_index is None else extra.no_index,
    }
    if field.type == "text":
        return TextField(
            **common,
            weight=attrs.weight,
            no_stem=attrs.no_stem,
            phonetic_matcher=attrs.phonetic_matcher,
            withsuffixtrie=attrs.withsuffixtrie,
            index_empty=attrs.index_empty,
            unf=attrs.unf,
        )
    if field.type == "tag":
        return TagField(
            **common,
            separator=attrs.separator if extra.separator is None else extra.separator,
            case_sensitive=attrs.case_sensitive,
            withsuffixtrie=attrs.withsuffixtrie,
            index_empty=attrs.index_empty,
            unf=bool(extra.unf),
        )
    if field.type == "numeric":
        return NumericField(**common, unf=attrs.unf)
    return GeoField(**common, unf=bool(extra.unf))


def _vector(name: str, identifier: str, attrs: Any) -> VectorField:
    return VectorField(
        name=name,
        identifier=identifier,
        search=_search(attrs),
        dims=attrs.dims,
        datatype=attrs.datatype.value.lower(),
        distance_metric=attrs.distance_metric.value.lower(),
        initial_cap=attrs.initial_cap,
        index_missing=attrs.index_missing,
    )


def _search(attrs: Any) -> Algorithm:
    algorithm = attrs.algorithm.value
    if algorithm == "FLAT":
        return Flat(block_size=attrs.block_size)
    if algorithm == "HNSW":
        return Hnsw(
            m=attrs.m, ef_construction=attrs.ef_construction, ef_runtime=attrs.ef_runtime, epsilon=attrs.epsilon
        )
    return SvsVamana(
        graph_max_degree=attrs.graph_max_degree,
        construction_window_size=attrs.construction_window_size,
        search_window_size=attrs.search_window_size,
        epsilon=attrs.epsilon,
        compression=attrs.compression.value if attrs.compression else None,
        reduce=attrs.reduce,
        training_threshold=attrs.training_threshold,
    )
