"""What definitions need of a server, and what it must not be asked to do."""

from __future__ import annotations

from collections.abc import Iterator

from rvlstate.model.address import field_address, index_address
from rvlstate.model.catalog import Capability, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Field, SvsVamana, TagField, TextField, VectorField

DATATYPES: dict[str, Capability] = {
    "float16": "float16_vectors",
    "bfloat16": "bfloat16_vectors",
    "int8": "int8_vectors",
    "uint8": "int8_vectors",
}

SINCE: dict[Capability, str] = {
    "float16_vectors": "RediSearch 2.10",
    "bfloat16_vectors": "RediSearch 2.10",
    "int8_vectors": "RediSearch 8.0 (Redis 8)",
    "svs_vamana": "RediSearch 8.2 (Redis 8.2)",
    "index_missing": "RediSearch 2.10",
    "index_all": "RediSearch 8.0 (Redis 8)",
    "json": "the RedisJSON module (in Redis 8 and Redis Stack)",
}


def unmet_needs(name: str, definition: IndexDefinition, server: ServerProfile) -> tuple[str, ...]:
    """A sentence for each thing that the server cannot do for a definition, or must not be asked to."""
    lines = [
        f"{address}: {what} needs {SINCE[capability]}; this server has Redis {server.redis}, search {server.search}"
        for address, what, capability in _needs(name, definition)
        if not server.can(capability)
    ]
    lines += [
        f"{field_address(name, field.name, 'no_index')}: FT.CREATE refuses it together with index_missing: "
        "give up one of the two"
        for field in definition.fields
        if not isinstance(field, VectorField) and field.no_index and field.index_missing
    ]
    if isinstance(definition.temporary, int):
        lines.append(
            f"{index_address(name, 'temporary')}: the server deletes the documents of a temporary index with it, when "
            "it has not been used for so long and whenever it is dropped: give it up, or let the documents expire"
        )
    if definition.max_text_fields and definition.no_fields:
        lines.append(
            f"{index_address(name, 'no_fields')}: together with max_text_fields it crashes the server when the first "
            "document is indexed (RediSearch 2.10.5 and 8.0.2): give up one of the two"
        )
    return (*lines, *_crashing_names(name, definition))


def _crashing_names(name: str, definition: IndexDefinition) -> tuple[str, ...]:
    """Fields that differ in case alone, one of them a vector: FT.INFO crashes RediSearch 2.10.5 then (measured)."""
    first: dict[str, Field] = {}
    lines = []
    for field in definition.fields:
        twin = first.setdefault(field.name.lower(), field)
        if twin is not field and (isinstance(field, VectorField) or isinstance(twin, VectorField)):
            lines.append(
                f"{field_address(name, field.name)}: it differs from {twin.name} in case alone, and one of the two is "
                "a vector: FT.INFO crashes the server then (RediSearch 2.10.5): rename one of them"
            )
    return tuple(lines)


def _needs(name: str, definition: IndexDefinition) -> Iterator[tuple[str, str, Capability]]:
    if definition.storage == "json":
        yield index_address(name, "storage"), "storage: json", "json"
    if definition.index_all:
        yield index_address(name, "index_all"), "index_all", "index_all"
    for field in definition.fields:
        if field.index_missing:
            yield field_address(name, field.name, "index_missing"), "index_missing", "index_missing"
        if isinstance(field, TextField | TagField) and field.index_empty:
            yield field_address(name, field.name, "index_empty"), "index_empty", "index_missing"
        if isinstance(field, VectorField) and field.datatype in DATATYPES:
            address = field_address(name, field.name, "datatype")
            yield address, f"datatype: {field.datatype}", DATATYPES[field.datatype]
        if isinstance(field, VectorField) and isinstance(field.search, SvsVamana):
            yield field_address(name, field.name, "algorithm"), "algorithm: svs-vamana", "svs_vamana"
