r"""Canonical forms: two definitions mean the same to the server exactly when their canonical forms are equal.

| written                                   | means the same as             | source                        |
|-------------------------------------------|-------------------------------|-------------------------------|
| fields, prefixes in any order, twice      | sorted, once                  | order carries no meaning      |
| NUMERIC SORTABLE                          | SORTABLE UNF                  | FT.INFO, measured             |
| any SORTABLE on JSON                      | SORTABLE UNF                  | FT.INFO, measured             |
| TAG CASESENSITIVE SORTABLE                | SORTABLE UNF                  | FT.INFO, measured             |
| UNF without SORTABLE                      | nothing                       | redisvl drops it              |
| NOOFFSETS                                 | NOOFFSETS NOHL                | FT.INFO, measured             |
| more than 32 TEXT fields                  | MAXTEXTFIELDS                 | FT.INFO, measured             |
| LANGUAGE english                          | no LANGUAGE                   | FT.INFO, measured             |
| STOPWORDS B a                             | STOPWORDS a b                 | FT.INFO, measured             |
| FILTER with a line break                  | with \n in its place           | FT.INFO, measured             |
| a prefix of staged copies, beside others  | without it                    | what a promotion left behind  |
| SVS-VAMANA compressed, no TRAINING_THRESHOLD, LeanVec no REDUCE | 10240, dims / 2 | server doc            |

PREFIX "*" is no wild card: it matches keys that begin with a star (measured), so it stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

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

STAGED = "rvlstate:stage:"
"""What staged copies of documents begin with, in any project."""

MAX_TEXT_FIELDS = 32
"""Text fields that an index without MAXTEXTFIELDS can hold (FT.ALTER refuses the 33rd, measured)."""


CACHED = 16384
"""Definitions whose canonical form is remembered: each is asked for several times while a plan is made."""

TRAINING_THRESHOLD = 10240
"""Vectors before SVS-VAMANA trains its compression, if none is declared (server doc; FT.INFO shows it then)."""


@lru_cache(maxsize=CACHED)
def canonicalise(definition: IndexDefinition) -> IndexDefinition:
    """The canonical form of a definition; idempotent."""
    text_fields = sum(isinstance(field, TextField) for field in definition.fields)
    language = definition.language.lower() if definition.language else None
    stopwords = definition.stopwords
    return replace(
        definition,
        prefixes=_canonical_prefixes(definition.prefixes),
        filter=None if definition.filter is None else definition.filter.replace("\n", "\\n"),
        language=None if language == "english" else language,
        stopwords=None if stopwords is None else tuple(sorted({word.lower() for word in stopwords})),
        score=float(definition.score),
        no_highlight=definition.no_highlight or definition.no_offsets,
        max_text_fields=definition.max_text_fields or text_fields > MAX_TEXT_FIELDS,
        fields=tuple(
            sorted((_canonical_field(field, definition.storage) for field in definition.fields), key=lambda f: f.name)
        ),
    )


def _canonical_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """In order, once each; those of staged copies only where the index holds nothing else."""
    declared = {prefix for prefix in prefixes if not prefix.startswith(STAGED)}
    return tuple(sorted(declared or set(prefixes))) or ("",)


def _canonical_field(field: Field, storage: str) -> Field:
    if isinstance(field, VectorField):
        return _canonical_vector(field)
    always_unf = storage == "json" or isinstance(field, NumericField)
    always_unf = always_unf or (isinstance(field, TagField) and field.case_sensitive)
    unf = field.sortable and (field.unf or always_unf)
    if isinstance(field, TextField):
        return replace(field, unf=unf, weight=float(field.weight))
    return replace(field, unf=unf)


def _canonical_vector(field: VectorField) -> Field:
    search = field.search
    if not isinstance(search, SvsVamana) or search.compression in (None, UNREVEALED):
        return field
    reduce = search.reduce
    if reduce is None and str(search.compression).startswith("LeanVec"):
        reduce = field.dims // 2
    threshold = TRAINING_THRESHOLD if search.training_threshold is None else search.training_threshold
    return replace(field, search=replace(search, reduce=reduce, training_threshold=threshold))


@lru_cache(maxsize=CACHED)
def mask(definition: IndexDefinition) -> IndexDefinition:
    """What FT.INFO would show of a definition: its canonical form with every never-shown attribute unrevealed."""
    canonical = canonicalise(definition)
    return replace(canonical, temporary=UNREVEALED, fields=tuple(_mask_field(field) for field in canonical.fields))


def _mask_field(field: Field) -> Field:
    match field:
        case TextField():
            return replace(field, phonetic_matcher=UNREVEALED)
        case VectorField(search=Flat() as search):
            return replace(field, initial_cap=UNREVEALED, search=replace(search, block_size=UNREVEALED))
        case VectorField(search=Hnsw() as search):
            hidden = replace(search, ef_runtime=UNREVEALED, epsilon=UNREVEALED)
            return replace(field, initial_cap=UNREVEALED, search=hidden)
        case VectorField(search=SvsVamana() as search):
            hidden_svs = replace(search, search_window_size=UNREVEALED, epsilon=UNREVEALED)
            return replace(field, initial_cap=UNREVEALED, search=hidden_svs)
        case TagField() | NumericField() | GeoField() | GeoShapeField() | VectorField():
            return field
