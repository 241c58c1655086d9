"""Import and load are inverses: what is written for a live definition declares that very definition."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from error_cases import PROJECT
from hypothesis import given, settings
from hypothesis import strategies as st
from redisvl.schema import CompressionType, IndexSchema

from rvlstate.files.project_file import load_project
from rvlstate.files.schema_file import add_index_settings, dump_schema
from rvlstate.files.schema_limits import PHONETIC_MATCHERS
from rvlstate.files.spec import LANGUAGES
from rvlstate.model.canonical import canonicalise, mask
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

ANY_TEXT = st.text(max_size=12)
STORAGES: tuple[Literal["hash", "json"], ...] = ("hash", "json")
TEXT = st.text(min_size=1, max_size=12)
COUNT = st.integers(1, 5000)
RATIO = st.floats(0, 10)
YES_NO = st.booleans()
SEPARATOR = st.characters(min_codepoint=1, max_codepoint=127)


def flat() -> st.SearchStrategy[Flat]:
    """Any FLAT algorithm."""
    return st.builds(Flat, block_size=st.none() | COUNT)


def hnsw() -> st.SearchStrategy[Hnsw]:
    """Any HNSW algorithm."""
    return st.builds(Hnsw, m=COUNT, ef_construction=COUNT, ef_runtime=COUNT, epsilon=RATIO)


@st.composite
def svs_vamana(draw: st.DrawFn, dims: int) -> SvsVamana:
    """Any SVS-VAMANA algorithm that redisvl accepts for a number of dimensions."""
    compression = draw(st.none() | st.sampled_from([kind.value for kind in CompressionType]))
    reducible = compression is not None and compression.startswith("LeanVec") and dims > 1
    return SvsVamana(
        graph_max_degree=draw(COUNT),
        construction_window_size=draw(COUNT),
        search_window_size=draw(COUNT),
        epsilon=draw(RATIO),
        compression=compression,
        reduce=draw(st.none() | st.integers(1, dims - 1)) if reducible else None,
        training_threshold=draw(st.none() | COUNT),
    )


@st.composite
def vectors(draw: st.DrawFn, name: str, identifier: str) -> VectorField:
    """Any vector field."""
    dims = draw(COUNT)
    search = draw(st.one_of(flat(), hnsw(), svs_vamana(dims)))
    svs = isinstance(search, SvsVamana)
    types = ["float16", "float32"] if svs else ["float64", "float32", "float16", "bfloat16", "int8", "uint8"]
    return VectorField(
        name=name,
        identifier=identifier,
        search=search,
        dims=dims,
        datatype=draw(st.sampled_from(types)),
        distance_metric=draw(st.sampled_from(["cosine", "l2", "ip"])),
        initial_cap=draw(st.none() | st.integers(0, 5000)),
        index_missing=draw(YES_NO),
    )


@st.composite
def fields(draw: st.DrawFn, name: str, storage: str) -> Field:
    """Any field of a name, of every type and with every attribute."""
    own = st.just(name if storage == "hash" else f"$.{name}")
    names = {"name": name, "identifier": draw(own | TEXT)}
    common: dict[str, Any] = {
        "index_missing": YES_NO,
        "sortable": YES_NO,
        "unf": YES_NO,
        "no_index": YES_NO,
        **{key: st.just(value) for key, value in names.items()},
    }
    words = {"withsuffixtrie": YES_NO, "index_empty": YES_NO}
    separator = SEPARATOR if storage == "hash" else SEPARATOR | st.just("")
    found: Field = draw(
        st.one_of(
            st.builds(
                TextField,
                **common,
                **words,
                weight=st.floats(allow_nan=False, allow_infinity=False),
                no_stem=YES_NO,
                phonetic_matcher=st.none() | st.sampled_from(PHONETIC_MATCHERS),
            ),
            st.builds(TagField, **common, **words, separator=separator, case_sensitive=YES_NO),
            st.builds(NumericField, **common),
            st.builds(GeoField, **common),
            st.builds(
                GeoShapeField,
                name=st.just(name),
                identifier=common["identifier"],
                coord_system=st.sampled_from(["spherical", "flat"]),
                index_missing=YES_NO,
                sortable=YES_NO,
                unf=YES_NO,
                no_index=YES_NO,
            ),
            vectors(**names),
        )
    )
    return found


@st.composite
def definitions(draw: st.DrawFn) -> IndexDefinition:
    """Any definition that a server could hold, in canonical form."""
    storage = draw(st.sampled_from(STORAGES))
    names = draw(st.lists(ANY_TEXT, min_size=1, max_size=5, unique=True))
    no_fields = draw(YES_NO)
    return canonicalise(
        IndexDefinition(
            storage=storage,
            prefixes=tuple(draw(st.lists(ANY_TEXT, min_size=1, max_size=3))),
            filter=draw(st.none() | TEXT),
            language=draw(st.none() | st.sampled_from(LANGUAGES)),
            language_field=draw(st.none() | TEXT),
            score=draw(st.floats(0, 1)),
            score_field=draw(st.none() | TEXT),
            payload_field=draw(st.none() | TEXT),
            stopwords=draw(st.none() | st.lists(ANY_TEXT, max_size=3).map(tuple)),
            no_offsets=draw(YES_NO),
            no_highlight=draw(YES_NO),
            no_fields=no_fields,
            no_frequencies=draw(YES_NO),
            max_text_fields=not no_fields and draw(YES_NO),  # the two crash the server
            index_all=draw(YES_NO),
            temporary=draw(st.none() | COUNT),
            fields=tuple(draw(fields(name, storage)) for name in names),
        )
    )


def reload(definition: IndexDefinition) -> IndexDefinition:
    """The definition that the files written for `definition` declare, in canonical form."""
    dumped = dump_schema("a", definition)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "indexes").mkdir()
        (folder / "indexes" / "a.yaml").write_text(dumped.text, encoding="utf-8", newline="")
        (folder / "rvlstate.yaml").write_text(
            add_index_settings(PROJECT, "a", dumped.settings), encoding="utf-8", newline=""
        )
        (index,) = load_project(folder, {}).desired.indexes
    return canonicalise(index.definition)


@settings(max_examples=100, deadline=None)
@given(definitions())
def test_loading_what_was_dumped_gives_the_same_definition(definition: IndexDefinition) -> None:
    """For every definition; nothing is left out when all is known."""
    assert reload(definition) == definition
    assert dump_schema("a", definition).unrevealed == ()


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_what_the_server_hides_comes_back_as_its_default(definition: IndexDefinition) -> None:
    """Each attribute that is not revealed is listed, marked by a comment, and left to redisvl's default."""
    seen = mask(definition)
    dumped = dump_schema("a", seen)
    hidden = [address for field in seen.fields for address in _hidden(field)]
    assert set(dumped.unrevealed) == {"a.index.temporary", *hidden}
    assert sum(line.strip().startswith("# ") for line in dumped.text.splitlines()) == len(dumped.unrevealed)
    assert reload(seen) == _with_defaults(seen)


def _hidden(field: Field) -> list[str]:
    base = f"a.fields.{field.name}"
    parts = {name: getattr(field, name, None) for name in ("phonetic_matcher", "initial_cap")}
    search = field.search if isinstance(field, VectorField) else None
    for name in ("block_size", "ef_runtime", "epsilon", "search_window_size"):
        parts[name] = getattr(search, name, None)
    return [f"{base}.{name}" for name, value in parts.items() if value == UNREVEALED]


def _with_defaults(definition: IndexDefinition) -> IndexDefinition:
    return replace(definition, temporary=None, fields=tuple(_revealed(field) for field in definition.fields))


def _revealed(field: Field) -> Field:
    match field:
        case TextField():
            return replace(field, phonetic_matcher=None)
        case VectorField(search=Flat() as search):
            return replace(field, initial_cap=None, search=replace(search, block_size=None))
        case VectorField(search=Hnsw() as search):
            return replace(field, initial_cap=None, search=replace(search, ef_runtime=10, epsilon=0.01))
        case VectorField(search=SvsVamana() as search):
            return replace(field, initial_cap=None, search=replace(search, search_window_size=20, epsilon=0.01))
    return field


@settings(max_examples=40, deadline=None)
@given(definitions())
def test_redisvl_itself_reads_the_schema_file(definition: IndexDefinition) -> None:
    """The dumped text is redisvl's own format: its loader takes it, as long as the schema declares a field."""
    schema = IndexSchema.from_dict(yaml.safe_load(dump_schema("a", definition).text))
    assert set(schema.fields) == {f.name for f in definition.fields if not isinstance(f, GeoShapeField)}


def test_a_dumped_schema_reads_well() -> None:
    """Defaults are left out, what is not known is marked where it would stand, settings hold the rest."""
    definition = mask(
        IndexDefinition(
            prefixes=("product:",),
            filter="@price > 0",
            fields=(
                TextField(name="title", identifier="t", weight=2.0),
                TagField(name="category", identifier="category", sortable=True, unf=True),
                VectorField(name="embedding", identifier="embedding", dims=384, search=Hnsw(m=24)),
                GeoShapeField(name="area", identifier="area"),
            ),
        )
    )
    dumped = dump_schema("products", definition)
    assert dumped.text == (
        """\
version: 0.1.0
index:
  name: products
  prefix: 'product:'
  storage_type: hash
  # the server does not reveal whether the index is temporary; such an index takes its documents along when it goes
fields:
  - name: category
    type: tag
    attrs:
      sortable: true
  - name: embedding
    type: vector
    attrs:
      algorithm: hnsw
      dims: 384
      datatype: float32
      distance_metric: cosine
      m: 24
      ef_construction: 200
      # initial_cap: not revealed by the server, left to its default
      # ef_runtime: not revealed by the server, left to its default
      # epsilon: not revealed by the server, left to its default
  - name: title
    type: text
    attrs:
      weight: 2.0
      # phonetic_matcher: not revealed by the server, left to its default
"""
    )
    assert dumped.settings == {
        "definition": {"filter": "@price > 0"},
        "fields": {
            "area": {"type": "geoshape", "identifier": "area", "coord_system": "spherical"},
            "category": {"unf": True},
            "title": {"identifier": "t"},
        },
    }


def test_more_than_32_text_fields_do_not_write_max_text_fields_out() -> None:
    """The server sets it by itself; beside NOFIELDS it would be refused, since the pair crashes the server."""
    names = [f"f{number}" for number in range(33)]
    definition = canonicalise(
        IndexDefinition(no_fields=True, fields=tuple(TextField(name=name, identifier=name) for name in names))
    )
    assert definition.max_text_fields
    assert dump_schema("a", definition).settings == {"definition": {"no_fields": True}}
    assert reload(definition) == definition


def test_a_compression_that_redisvl_has_no_word_for_counts_as_not_revealed() -> None:
    """Servers without Intel's library report GlobalSQ8 for whatever was asked."""
    search = SvsVamana(compression="GlobalSQ8", reduce=4)
    definition = IndexDefinition(fields=(VectorField(name="v", identifier="v", dims=8, search=search),))
    hidden = ("compression", "reduce", "training_threshold")
    assert dump_schema("a", definition).unrevealed == tuple(f"a.fields.v.{name}" for name in hidden)
    (field,) = reload(definition).fields
    assert isinstance(field, VectorField)
    assert field.search == SvsVamana()
