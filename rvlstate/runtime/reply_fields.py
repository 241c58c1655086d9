r"""The fields of an FT.INFO reply turned into fields of the model; whatever is not known is refused, never skipped.

| shown                              | by                              | becomes                                      |
|------------------------------------|---------------------------------|----------------------------------------------|
| `[k, v, ..., FLAG, FLAG]`          | RESP2                           | pairs and flags                              |
| `{k: v, flags: [FLAG, FLAG]}`      | RESP3                           | pairs and flags                              |
| SEPARATOR `\n`, two characters     | all: line breaks are escaped    | the one character that it stands for         |
| VECTOR without `algorithm`         | RediSearch before 2.10          | refused: nothing is shown of the vector      |
| ef_runtime                         | RediSearch 8.10                 | the value; UNREVEALED where it is not shown  |
| compression NO_COMPRESSION         | RediSearch 8.2                  | None                                         |
| compression GlobalSQ8              | 8.2 on processors without LVQ   | UNREVEALED: it stands for whatever was asked |

The last five rows are from the server's source and tests, not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rvlstate.model.field import (
    BYTES_PER_VALUE,
    UNREVEALED,
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

T = TypeVar("T")

FLAGS = frozenset(
    {"SORTABLE", "UNF", "NOSTEM", "NOINDEX", "WITHSUFFIXTRIE", "INDEXEMPTY", "INDEXMISSING", "CASESENSITIVE"}
)
METRICS = frozenset({"cosine", "l2", "ip"})
COORDINATES = frozenset({"spherical", "flat"})
ESCAPED_LINE_BREAKS = {"\\n": "\n", "\\r": "\r"}
NO_COMPRESSION = "NO_COMPRESSION"
SCALAR_FALLBACK = "GlobalSQ8"
LEAN_COMPRESSION = "LeanVec"


class NotUnderstoodError(Exception):
    """A part of a reply that cannot be read: what is wrong with it, and the part itself."""

    def __init__(self, what: str, part: object) -> None:
        super().__init__(what)
        self.what = what
        self.part = part


class Shown:
    """One field as the server shows it; what is taken is crossed off, and what is left over was not understood."""

    def __init__(self, shown: object) -> None:
        self.part = shown
        self.pairs, self.flags = _pairs_and_flags(shown)
        self.name = str(self.pairs.get("ATTRIBUTE", "?"))

    def take(self, key: str, convert: Callable[[Any], T]) -> T:
        """The value of a key that must be there."""
        if key not in self.pairs:
            raise NotUnderstoodError(f'field "{self.name}" is shown without {key.lower()}', self.part)
        return self._converted(key, self.pairs.pop(key), convert)

    def take_or(self, key: str, convert: Callable[[Any], T], default: Any) -> Any:
        """The value of a key, or `default` where the server does not show it."""
        return self.take(key, convert) if key in self.pairs else default

    def flag(self, name: str) -> bool:
        """Whether a flag is shown."""
        present = name in self.flags
        self.flags.discard(name)
        return present

    def choice(self, key: str, known: frozenset[str] | Mapping[str, Any]) -> str:
        """The value of a key in lower case, which must be one of the known ones."""
        value = self.take(key, str).lower()
        if value not in known:
            raise NotUnderstoodError(f'field "{self.name}" has an unknown {key.lower()}: {value}', self.part)
        return value

    def finish(self) -> None:
        """Refuse what nobody took."""
        left = sorted([*self.pairs, *self.flags])
        if left:
            raise NotUnderstoodError(
                f'field "{self.name}" is shown with what this version does not know there: {", ".join(left)}', self.part
            )

    def _converted(self, key: str, value: Any, convert: Callable[[Any], T]) -> T:
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise NotUnderstoodError(
                f'field "{self.name}" has no readable {key.lower()}: {value!r}', self.part
            ) from error


def parse_field(shown: object) -> Field:
    """One element of `attributes`. Raises NotUnderstoodError."""
    attribute = Shown(shown)
    name = attribute.take("ATTRIBUTE", str)
    identifier = attribute.take("IDENTIFIER", str)
    kind = attribute.take("TYPE", str).upper()
    if kind not in _READERS:
        raise NotUnderstoodError(f'field "{name}" is of an unknown type: {kind}', shown)
    field = _READERS[kind](attribute, name, identifier)
    attribute.finish()
    return field


def _pairs_and_flags(shown: object) -> tuple[dict[str, Any], set[str]]:
    if isinstance(shown, Mapping):
        pairs = {str(key).upper(): value for key, value in shown.items()}
        return pairs, {str(flag).upper() for flag in pairs.pop("FLAGS", ())}
    if not isinstance(shown, list | tuple):
        raise NotUnderstoodError("a field is shown as neither a map nor a list", shown)
    pairs, flags, tokens = {}, set(), iter(shown)
    for token in tokens:
        key = str(token).upper()
        if key in FLAGS:
            flags.add(key)
            continue
        value = next(tokens, None)
        if value is None:
            raise NotUnderstoodError(f'a field ends in "{token}", which is no flag that this version knows', shown)
        pairs[key] = value
    return pairs, flags


def _text(shown: Shown, name: str, identifier: str) -> TextField:
    return TextField(
        name=name,
        identifier=identifier,
        weight=shown.take("WEIGHT", float),
        no_stem=shown.flag("NOSTEM"),
        phonetic_matcher=UNREVEALED,
        withsuffixtrie=shown.flag("WITHSUFFIXTRIE"),
        index_empty=shown.flag("INDEXEMPTY"),
        index_missing=shown.flag("INDEXMISSING"),
        sortable=shown.flag("SORTABLE"),
        unf=shown.flag("UNF"),
        no_index=shown.flag("NOINDEX"),
    )


def _tag(shown: Shown, name: str, identifier: str) -> TagField:
    return TagField(
        name=name,
        identifier=identifier,
        separator=shown.take("SEPARATOR", _separator),
        case_sensitive=shown.flag("CASESENSITIVE"),
        withsuffixtrie=shown.flag("WITHSUFFIXTRIE"),
        index_empty=shown.flag("INDEXEMPTY"),
        index_missing=shown.flag("INDEXMISSING"),
        sortable=shown.flag("SORTABLE"),
        unf=shown.flag("UNF"),
        no_index=shown.flag("NOINDEX"),
    )


def _separator(shown: str) -> str:
    # A separator is one character, so two of them can only be an escaped line break.
    separator = ESCAPED_LINE_BREAKS.get(shown, shown)
    if len(separator) > 1:
        raise ValueError(shown)
    return separator


def _numeric(shown: Shown, name: str, identifier: str) -> NumericField:
    return NumericField(name=name, identifier=identifier, **_modifiers(shown))


def _geo(shown: Shown, name: str, identifier: str) -> GeoField:
    return GeoField(name=name, identifier=identifier, **_modifiers(shown))


def _modifiers(shown: Shown) -> dict[str, Any]:
    return {
        "index_missing": shown.flag("INDEXMISSING"),
        "sortable": shown.flag("SORTABLE"),
        "unf": shown.flag("UNF"),
        "no_index": shown.flag("NOINDEX"),
    }


def _geoshape(shown: Shown, name: str, identifier: str) -> GeoShapeField:
    flat = shown.choice("COORD_SYSTEM", COORDINATES) == "flat"
    return GeoShapeField(
        name=name,
        identifier=identifier,
        coord_system="flat" if flat else "spherical",
        **_modifiers(shown),
    )


def _vector(shown: Shown, name: str, identifier: str) -> VectorField:
    if "ALGORITHM" not in shown.pairs:
        raise NotUnderstoodError(
            f'field "{name}" is a vector of which this server shows nothing; RediSearch 2.10 is the first that does',
            shown.part,
        )
    algorithm = shown.choice("ALGORITHM", _ALGORITHMS)
    return VectorField(
        name=name,
        identifier=identifier,
        search=_ALGORITHMS[algorithm](shown),
        dims=shown.take("DIM", int),
        datatype=shown.choice("DATA_TYPE", BYTES_PER_VALUE),
        distance_metric=shown.choice("DISTANCE_METRIC", METRICS),
        initial_cap=shown.take_or("INITIAL_CAP", int, UNREVEALED),
        index_missing=shown.flag("INDEXMISSING"),
    )


def _flat(shown: Shown) -> Flat:
    return Flat(block_size=shown.take_or("BLOCK_SIZE", int, UNREVEALED))


def _hnsw(shown: Shown) -> Hnsw:
    # Builds in the making show a compression of HNSW too; none is the only one that the model knows.
    if shown.pairs.get("COMPRESSION") == NO_COMPRESSION:
        del shown.pairs["COMPRESSION"]
    return Hnsw(
        m=shown.take("M", int),
        ef_construction=shown.take("EF_CONSTRUCTION", int),
        ef_runtime=shown.take_or("EF_RUNTIME", int, UNREVEALED),
        epsilon=shown.take_or("EPSILON", float, UNREVEALED),
    )


def _svs_vamana(shown: Shown) -> SvsVamana:
    compression = shown.take_or("COMPRESSION", _compression, UNREVEALED)
    hides_reduction = compression == UNREVEALED or str(compression).startswith(LEAN_COMPRESSION)
    return SvsVamana(
        graph_max_degree=shown.take_or("GRAPH_MAX_DEGREE", int, UNREVEALED),
        construction_window_size=shown.take_or("CONSTRUCTION_WINDOW_SIZE", int, UNREVEALED),
        search_window_size=shown.take_or("SEARCH_WINDOW_SIZE", int, UNREVEALED),
        epsilon=shown.take_or("EPSILON", float, UNREVEALED),
        compression=compression,
        reduce=shown.take_or("REDUCED_DIM", int, UNREVEALED if hides_reduction else None),
        training_threshold=shown.take_or("TRAINING_THRESHOLD", int, UNREVEALED if compression == UNREVEALED else None),
    )


def _compression(shown: str) -> str | None:
    if shown == NO_COMPRESSION:
        return None
    return UNREVEALED if shown == SCALAR_FALLBACK else shown


_ALGORITHMS: dict[str, Callable[[Shown], Algorithm]] = {"flat": _flat, "hnsw": _hnsw, "svs-vamana": _svs_vamana}

_READERS: dict[str, Callable[[Shown, str, str], Field]] = {
    "TEXT": _text,
    "TAG": _tag,
    "NUMERIC": _numeric,
    "GEO": _geo,
    "GEOSHAPE": _geoshape,
    "VECTOR": _vector,
}
