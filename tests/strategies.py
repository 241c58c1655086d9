"""What Hypothesis draws: definitions of all field types, and histories of a project: applies, kills, hands at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from hypothesis import strategies as st

from rvlstate.model.catalog import Capability, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex, Policy, Strategy
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

Draw = Callable[[st.SearchStrategy[Any]], Any]

CAPABILITIES: tuple[Capability, ...] = (
    "float16_vectors",
    "bfloat16_vectors",
    "int8_vectors",
    "svs_vamana",
    "index_missing",
    "index_all",
    "json",
    "alias_list",
    "index_all",
    "cross_slot_aliases",
    "atomic_takeover",
)
FIELD_NAMES = ("body", "color", "embedding", "place", "price", "title")
DATATYPES = ("bfloat16", "float16", "float32", "float64", "int8", "uint8")

booleans = st.booleans()
rarely = st.sampled_from((False, False, False, True))


def server_profile(*, without: tuple[Capability, ...] = ()) -> ServerProfile:
    """A server that can do everything but `without`."""
    able = tuple(capability for capability in CAPABILITIES if capability not in without)
    return ServerProfile(redis="8.2.3", search="2.10.5", capabilities=able)


STANDALONE = server_profile()
CLUSTER = server_profile(without=("cross_slot_aliases", "atomic_takeover"))


@st.composite
def algorithms(draw: Draw) -> Algorithm:
    """The parameters of a vector index."""
    kind = draw(st.sampled_from((Flat, Hnsw, SvsVamana)))
    if kind is Flat:
        return Flat(block_size=draw(st.sampled_from((None, 512))))
    if kind is Hnsw:
        return Hnsw(
            m=draw(st.sampled_from((16, 32))),
            ef_construction=draw(st.sampled_from((200, 100))),
            ef_runtime=draw(st.sampled_from((10, 77))),
            epsilon=draw(st.sampled_from((0.01, 0.5))),
        )
    return SvsVamana(
        graph_max_degree=draw(st.sampled_from((40, 64))),
        search_window_size=draw(st.sampled_from((20, 30))),
        compression=draw(st.sampled_from((None, "LVQ4", "LeanVec4x8"))),
    )


@st.composite
def index_fields(draw: Draw, name: str, storage: str) -> Field:
    """One field of any type, with any of its attributes."""
    kind = draw(st.sampled_from((TextField, TagField, NumericField, GeoField, GeoShapeField, VectorField)))
    home = draw(st.sampled_from((name, name, f"{name}_raw")))
    given: dict[str, Any] = {
        "name": name,
        "identifier": f"$.{home}" if storage == "json" else home,
        "index_missing": draw(rarely),
    }
    if kind is VectorField:
        given |= {
            "search": draw(algorithms()),
            "dims": draw(st.sampled_from((4, 8))),
            "datatype": draw(st.sampled_from(DATATYPES)),
            "distance_metric": draw(st.sampled_from(("cosine", "ip", "l2"))),
            "initial_cap": draw(st.sampled_from((None, 100))),
        }
        return VectorField(**given)
    given |= {flag: draw(rarely) for flag in ("sortable", "unf")}
    # FT.CREATE refuses NOINDEX together with INDEXMISSING.
    given["no_index"] = not given["index_missing"] and draw(rarely)
    if kind is TextField:
        given |= {flag: draw(rarely) for flag in ("no_stem", "withsuffixtrie", "index_empty")}
        given["weight"] = draw(st.sampled_from((1.0, 2.5)))
        given["phonetic_matcher"] = draw(st.sampled_from((None, "dm:en")))
    elif kind is GeoShapeField:
        given["coord_system"] = draw(st.sampled_from(("spherical", "flat")))
    elif kind is TagField:
        given |= {flag: draw(rarely) for flag in ("case_sensitive", "withsuffixtrie", "index_empty")}
        given["separator"] = draw(st.sampled_from((",", ";")))
    made: Field = kind(**given)
    return made


@st.composite
def definitions(draw: Draw) -> IndexDefinition:
    """A definition with one to four fields of any type, and any setting of the index."""
    storage = draw(st.sampled_from(("hash", "hash", "json")))
    names = draw(st.lists(st.sampled_from(FIELD_NAMES), min_size=1, max_size=4, unique=True))
    no_fields = draw(rarely)
    return IndexDefinition(
        storage=storage,
        prefixes=tuple(draw(st.lists(st.sampled_from(("p:", "p:a", "q:", "")), min_size=1, max_size=2))),
        filter=draw(st.sampled_from((None, None, "@price > 1"))),
        language=draw(st.sampled_from((None, "english", "german"))),
        language_field=draw(st.sampled_from((None, None, "lang"))),
        score=draw(st.sampled_from((1.0, 1.0, 0.5))),
        score_field=draw(st.sampled_from((None, None, "rank"))),
        payload_field=draw(st.sampled_from((None, None, "extra"))),
        stopwords=draw(st.sampled_from((None, None, (), ("b", "A")))),
        no_offsets=draw(rarely),
        no_highlight=draw(rarely),
        no_fields=no_fields,
        no_frequencies=draw(rarely),
        max_text_fields=not no_fields and draw(rarely),
        temporary=draw(st.sampled_from((None, None, 3600))),
        fields=tuple(draw(index_fields(name, storage)) for name in names),
    )


@st.composite
def edits(draw: Draw, definition: IndexDefinition) -> IndexDefinition:
    """The same index after somebody edited its schema: a field added, removed, changed or moved; or settings."""
    other: IndexDefinition = draw(definitions())
    kind = draw(st.sampled_from(("add", "add", "remove", "field", "attribute", "settings", "order", "another")))
    present = {field.name for field in definition.fields}
    if kind == "another":
        return other
    if kind == "settings":
        return replace(other, storage=definition.storage, fields=definition.fields)
    if kind == "order":
        return replace(definition, fields=tuple(draw(st.permutations(definition.fields))))
    if kind == "remove" and len(definition.fields) > 1:
        return replace(definition, fields=definition.fields[1:])
    free = [name for name in FIELD_NAMES if name not in present]
    if kind == "add":
        return replace(definition, fields=(*definition.fields, draw(index_fields(free[0], definition.storage))))
    first, *rest = definition.fields
    if kind == "attribute":
        return replace(definition, fields=(draw(one_attribute(first)), *rest))
    return replace(definition, fields=(draw(index_fields(first.name, definition.storage)), *rest))


@st.composite
def one_attribute(draw: Draw, field: Field) -> Field:
    """The same field with one of its flags turned."""
    flags = [item.name for item in fields(field) if isinstance(getattr(field, item.name), bool)]
    flag = draw(st.sampled_from(flags))
    turned: Any = {flag: not getattr(field, flag)}
    return replace(field, **turned)


BASE = IndexDefinition(prefixes=("p:",), fields=(TextField(name="title", identifier="title"),))
TAGGED = replace(BASE, fields=(*BASE.fields, TagField(name="color", identifier="color")))
FILTERED = replace(TAGGED, filter="@price > 1")
VECTORED = replace(
    TAGGED, fields=(*TAGGED.fields, VectorField(name="embedding", identifier="embedding", dims=4, search=Hnsw()))
)
TUNED = replace(
    TAGGED,
    fields=(
        *TAGGED.fields,
        VectorField(name="embedding", identifier="embedding", dims=4, search=Hnsw(ef_runtime=77)),
    ),
)
FEW = (BASE, TAGGED, FILTERED, VECTORED, TUNED)
"""Definitions between which lie: added fields, a rebuild, tuning, and back again."""

NAMES = ("goods", "people", "places")
SPARE = ("old_goods", "spare")
"""Names that are never declared, only former names and further aliases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Something that a person or an application does on the server, past rvlstate."""

    deed: str
    name: str
    pick: int
    definition: IndexDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One time that somebody works: hands on the server, then an apply of `desired`, killed before write `killed`."""

    hands: tuple[Hand, ...]
    desired: Desired
    killed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a project went through so far, on one server."""

    server: ServerProfile
    rounds: tuple[Round, ...]


hands = st.builds(
    Hand,
    deed=st.sampled_from(("drop", "point", "unpoint", "create", "redefine")),
    name=st.sampled_from((*NAMES, *NAMES, *SPARE, "legacy")),
    pick=st.integers(0, 5),
    definition=st.sampled_from(FEW),
)


@st.composite
def declared_sets(draw: Draw, policy: Policy) -> Desired:
    """A declared set as the project's files allow it: no former name or further alias is claimed twice."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    free = draw(st.permutations([*(name for name in NAMES if name not in names), *SPARE]))
    indexes = []
    for place, name in enumerate(sorted(names)):
        aliases = (free.pop(),) if free and draw(rarely) else ()
        former = free.pop() if free and draw(rarely) else None
        strategy: Strategy = draw(st.sampled_from(("auto", "auto", "auto", "shadow")))
        index = DesiredIndex(
            name=name,
            definition=draw(st.sampled_from(FEW)),
            aliases=aliases,
            renamed_from=former,
            depends_on=(sorted(names)[place - 1],) if place and draw(rarely) else (),
            strategy=strategy,
        )
        indexes.append(index)
    return Desired(project="shop", indexes=tuple(indexes), policy=policy)


@st.composite
def histories(draw: Draw, *, with_hands: bool = True) -> History:
    """One to three rounds on one server."""
    policy = Policy(naming=draw(st.sampled_from(("alias", "alias", "plain"))))
    rounds = [
        Round(
            hands=tuple(draw(st.lists(hands, max_size=2))) if with_hands and number else (),
            desired=draw(declared_sets(policy)),
            killed=draw(st.none() | st.integers(0, 14)),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    return History(server=draw(st.sampled_from((STANDALONE, STANDALONE, CLUSTER))), rounds=tuple(rounds))
