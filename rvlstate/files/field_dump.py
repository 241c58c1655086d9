"""One field of a definition as redisvl writes it: what differs from redisvl's defaults, and what it has no word for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from redisvl.schema import CompressionType

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
    VectorField,
)

_COMPRESSIONS = frozenset(kind.value for kind in CompressionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedField:
    """A field as redisvl writes it, its settings in the project file, and its attributes that are not known."""

    item: dict[str, Any]
    settings: dict[str, Any]
    unknown: tuple[str, ...] = ()


def dump_field(field: Field, storage: str) -> DumpedField:
    """The files' words for a field; never asked about a geoshape, which is all settings."""
    attrs, settings = _attributes(field)
    unknown = tuple(name for name, value in attrs.items() if value == UNREVEALED)
    attrs = {name: value for name, value in attrs.items() if value != UNREVEALED}
    item: dict[str, Any] = {"name": field.name, "type": field.type}
    if storage == "json" and field.identifier != f"$.{field.name}":
        item["path"] = field.identifier
    if storage == "hash" and field.identifier != field.name:
        settings = {"identifier": field.identifier, **settings}
    if storage == "json":
        settings.pop("unf", None)  # SORTABLE on JSON is always UNF
    if attrs:
        item["attrs"] = attrs
    return DumpedField(item=item, settings=settings, unknown=unknown)


def _attributes(field: Field) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs from redisvl's defaults: as redisvl's attrs, and as settings."""
    if isinstance(field, VectorField):
        return _vector(field), {}
    attrs = _changed(field)
    settings: dict[str, Any] = {}
    if "no_index" in attrs and "sortable" not in attrs:
        settings["no_index"] = attrs.pop("no_index")
    if isinstance(field, TagField | GeoField) and "unf" in attrs:
        settings["unf"] = attrs.pop("unf")
    if isinstance(field, NumericField):
        attrs.pop("unf", None)  # NUMERIC SORTABLE is always UNF
    if attrs.get("separator") == "":
        settings["separator"] = attrs.pop("separator")
    return attrs, settings


def dump_shape(field: GeoShapeField) -> dict[str, Any]:
    """The settings that declare a geoshape whole."""
    always = {"type": field.type, "identifier": field.identifier, "coord_system": field.coord_system}
    return {**always, **_changed(field)}


def _changed(value: Any) -> dict[str, Any]:
    """The attributes of a field or algorithm that differ from their defaults, names and types apart."""
    kept = ("name", "identifier", "type", "search", "algorithm")
    return {
        item.name: getattr(value, item.name)
        for item in fields(value)
        if item.name not in kept and getattr(value, item.name) != item.default
    }


def _vector(field: VectorField) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "algorithm": field.search.algorithm,
        "dims": field.dims,
        "datatype": field.datatype,
        "distance_metric": field.distance_metric,
    }
    return {**attrs, **{key: value for key, value in _changed(field).items() if key not in attrs}, **_search(field)}


def _search(field: VectorField) -> dict[str, Any]:
    match field.search:
        case Flat() as search:
            return _changed(search)
        case Hnsw() as search:
            return {"m": search.m, "ef_construction": search.ef_construction, **_changed(search)}
        case SvsVamana() as search:
            return _svs(search)


def _svs(search: SvsVamana) -> dict[str, Any]:
    """The parameters that differ; a compression that redisvl has no word for counts as not revealed."""
    attrs = _changed(search)
    if attrs.get("compression") not in _COMPRESSIONS:
        # Both say something of a compression only; redisvl refuses reduce without one.
        lost = ("compression", "reduce", "training_threshold") if "compression" in attrs else ("reduce",)
        attrs.update({name: UNREVEALED for name in lost if name in attrs})
    return attrs
