"""Fields of an index: one frozen value per field type, with the attributes that FT.CREATE knows.

Names and spellings of values are those of redisvl's YAML (`dims`, `datatype: float32`, `algorithm: hnsw`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

UNREVEALED: Literal["(not revealed by the server)"] = "(not revealed by the server)"
"""Stands for the value of an attribute that FT.INFO does not show; equal to itself only."""

Unrevealed: TypeAlias = Literal["(not revealed by the server)"]
Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""The value of one attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """A full-text field."""

    name: str
    identifier: str
    type: Literal["text"] = "text"
    weight: float = 1.0
    no_stem: bool = False
    phonetic_matcher: str | Unrevealed | None = None
    withsuffixtrie: bool = False
    index_empty: bool = False
    index_missing: bool = False
    sortable: bool = False
    unf: bool = False
    no_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TagField:
    """An exact-match field; `separator` "" means that JSON arrays are not split further."""

    name: str
    identifier: str
    type: Literal["tag"] = "tag"
    separator: str = ","
    case_sensitive: bool = False
    withsuffixtrie: bool = False
    index_empty: bool = False
    index_missing: bool = False
    sortable: bool = False
    unf: bool = False
    no_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericField:
    """A field for numeric ranges."""

    name: str
    identifier: str
    type: Literal["numeric"] = "numeric"
    index_missing: bool = False
    sortable: bool = False
    unf: bool = False
    no_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoField:
    """A field of longitude,latitude points."""

    name: str
    identifier: str
    type: Literal["geo"] = "geo"
    index_missing: bool = False
    sortable: bool = False
    unf: bool = False
    no_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoShapeField:
    """A field of WKT shapes; redisvl has no such type, the project file declares it."""

    name: str
    identifier: str
    type: Literal["geoshape"] = "geoshape"
    coord_system: Literal["spherical", "flat"] = "spherical"
    index_missing: bool = False
    sortable: bool = False
    unf: bool = False
    no_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Exact nearest neighbours."""

    algorithm: Literal["flat"] = "flat"
    block_size: int | Unrevealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hnsw:
    """Approximate nearest neighbours over a navigable small-world graph (Malkov and Yashunin, 2016)."""

    algorithm: Literal["hnsw"] = "hnsw"
    m: int = 16
    ef_construction: int = 200
    ef_runtime: int | Unrevealed = 10
    epsilon: float | Unrevealed = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SvsVamana:
    """Approximate nearest neighbours over a Vamana graph, optionally compressed."""

    algorithm: Literal["svs-vamana"] = "svs-vamana"
    graph_max_degree: int | Unrevealed = 40
    construction_window_size: int | Unrevealed = 250
    search_window_size: int | Unrevealed = 20
    epsilon: float | Unrevealed = 0.01
    compression: str | Unrevealed | None = None
    reduce: int | Unrevealed | None = None
    training_threshold: int | Unrevealed | None = None


Algorithm: TypeAlias = Flat | Hnsw | SvsVamana


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorField:
    """A field of vectors of `dims` values of `datatype`; `search` holds the algorithm with its parameters."""

    name: str
    identifier: str
    type: Literal["vector"] = "vector"
    search: Algorithm
    dims: int
    datatype: str = "float32"
    distance_metric: str = "cosine"
    initial_cap: int | Unrevealed | None = None
    index_missing: bool = False


Field: TypeAlias = TextField | TagField | NumericField | GeoField | GeoShapeField | VectorField

NEVER_SHOWN = frozenset(
    {"phonetic_matcher", "initial_cap", "block_size", "ef_runtime", "epsilon", "search_window_size"}
)
"""Attributes of fields that no released FT.INFO shows (facts: measured on RediSearch 2.10.5 and 8.0.2)."""

BYTES_PER_VALUE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}
"""Width of one vector component, by datatype."""

INTEGERS = ("int8", "uint8")
"""The datatypes whose values are integers: a scale tells what one step is worth."""


def attributes(field: Field) -> dict[str, Value]:
    """All attributes of a field but its name, flattened (`algorithm` beside its parameters), in declaration order."""
    flat: dict[str, Value] = {}
    for item in fields(field):
        if item.name == "search" and isinstance(field, VectorField):
            flat.update({part.name: getattr(field.search, part.name) for part in fields(field.search)})
        elif item.name != "name":
            flat[item.name] = getattr(field, item.name)
    return flat
