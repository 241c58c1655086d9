"""Many indexes at once, made by redisvl or by us, are read back as declared: nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from redisvl.exceptions import RedisSearchError
from redisvl.index import SearchIndex
from redisvl.schema import IndexSchema
from servers import EmbeddedServer, connected

from rvlstate.files.schema_definition import definition_from_schema
from rvlstate.files.schema_limits import PHONETIC_MATCHERS
from rvlstate.files.spec import LANGUAGES
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.field import Field, GeoField, GeoShapeField, TagField, TextField, VectorField
from rvlstate.model.state import State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.build import build_plan
from rvlstate.plan.predict import predict
from rvlstate.plan.situation import World
from rvlstate.runtime.connect import connect
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.profile import inspect_server

YES_NO = st.booleans()
FIELD_NAMES = ("title", "price", "a b", "größe", "in-stock", "x.y", "v", 'q"uote')
PREFIXES = ("p:", "p:a", "", "*", "ü:", "a b:")
STOPWORDS = ("b", "A", "the", "über")
DATATYPES = ("float16", "bfloat16", "float32", "FLOAT64")
LEXICAL = ("text", "tag", "numeric", "geo")
FILTERS = (None, "@price > 1", "@title == 'a b'", "exists(@v)\n&& @price < 2")
SEPARATORS = (",", ";", "|", " ", "\t", "a", '"')

NO_SHRINK = (Phase.explicit, Phase.generate)

batches = settings(
    phases=NO_SHRINK,
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def vector_attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Any FLAT or HNSW vector; left out as often as given, so that defaults are tried as well."""
    algorithm = draw(st.sampled_from(("flat", "hnsw", "HNSW")))
    given_always: dict[str, Any] = {"algorithm": algorithm, "dims": draw(st.integers(1, 64))}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "datatype": st.sampled_from(DATATYPES),
        "distance_metric": st.sampled_from(("cosine", "L2", "ip")),
        "initial_cap": st.integers(0, 100),
    }
    if algorithm == "flat":
        optional["block_size"] = st.integers(1, 100)
    else:
        numbers = {"m": st.integers(2, 64), "ef_construction": st.integers(1, 300), "ef_runtime": st.integers(1, 300)}
        optional |= {**numbers, "epsilon": st.floats(0, 5)}
    return given_always | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def schema_fields(draw: st.DrawFn, name: str, storage: str) -> dict[str, Any]:
    """One field of a redisvl schema; NOINDEX only beside SORTABLE, since redis-py refuses it alone."""
    kind = draw(st.sampled_from((*LEXICAL, "vector")))
    made: dict[str, Any] = {"name": name, "type": kind}
    if storage == "json":
        quoted = name.replace('"', '\\"')
        made["path"] = draw(st.sampled_from((f'$["{quoted}"]', f'$.deep["{quoted}"]')))
    if kind == "vector":
        return {**made, "attrs": draw(vector_attributes())}
    optional: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(("sortable", "index_missing"), YES_NO)
    if kind in ("text", "tag"):
        optional |= dict.fromkeys(("withsuffixtrie", "index_empty"), YES_NO)
    if kind in ("text", "numeric"):
        optional["unf"] = YES_NO
    if kind == "text":
        weight = st.floats(0, 100) | st.integers(1, 9)
        optional |= {"weight": weight, "no_stem": YES_NO, "phonetic_matcher": st.sampled_from(PHONETIC_MATCHERS)}
    if kind == "tag":
        optional |= {"separator": st.sampled_from(SEPARATORS), "case_sensitive": YES_NO}
    attrs = draw(st.fixed_dictionaries({}, optional=optional))
    if attrs.get("sortable") and not attrs.get("index_missing"):  # the server refuses NOINDEX beside it
        attrs["no_index"] = draw(YES_NO)
    return {**made, "attrs": attrs}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema as redisvl takes it, without a name; only what the server of the tests can do."""
    storage = draw(st.sampled_from(("hash", "json")))
    names = draw(st.lists(st.sampled_from(FIELD_NAMES), min_size=1, max_size=5, unique=True))
    index: dict[str, Any] = {"storage_type": storage}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "prefix": st.sampled_from(PREFIXES) | st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3),
        "stopwords": st.none() | st.lists(st.sampled_from(STOPWORDS), max_size=3, unique=True),
        "key_separator": st.sampled_from((":", "|")),
    }
    index |= draw(st.fixed_dictionaries({}, optional=optional))
    return {"index": index, "fields": [draw(schema_fields(name, storage)) for name in names]}


def named(schema: Mapping[str, Any], name: str) -> IndexSchema:
    """The schema as redisvl's own value."""
    return IndexSchema.from_dict({**schema, "index": {**schema["index"], "name": name}})


def texts(count: int) -> dict[str, Any]:
    """A schema with so many text fields."""
    return {"index": {}, "fields": [{"name": f"t{number}", "type": "text"} for number in range(count)]}


class Recorder(redis.Redis):
    """A client that remembers every FT.CREATE that it sent, in words as they went over the wire."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sent: list[tuple[str, ...]] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command."""
        if args[0] == "FT.CREATE":
            encoder: Any = self.get_encoder()
            self.sent.append(tuple(bytes(encoder.encode(word)).decode() for word in args))
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


def sent_by_redisvl(url: str, schema: IndexSchema) -> tuple[str, ...]:
    """The FT.CREATE that redisvl sends for a schema; the server accepts it."""
    with Recorder.from_url(url) as client:
        SearchIndex(schema, redis_client=client).create(overwrite=True)
        sent: list[tuple[str, ...]] = client.sent
        (command,) = sent
        return command


def same_word(one: str, other: str) -> bool:
    """Whether two words are the same, or the same number."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


@settings(deadline=None, max_examples=100)
@given(schema=schemas())
@example(schema=texts(40))
@example(schema={"index": {"prefix": ["p:", "p:", ""], "stopwords": []}, "fields": [{"name": "t", "type": "text"}]})
def test_what_we_send_is_what_redisvl_sends(server: EmbeddedServer, schema: dict[str, Any]) -> None:
    """Word by word, for everything that redisvl can say."""
    declared = named(schema, "goods")
    theirs = sent_by_redisvl(server.url, declared)
    ours = create_arguments("goods", definition_from_schema(declared))
    assert len(ours) == len(theirs), (ours, theirs)
    assert [pair for pair in zip(ours, theirs, strict=True) if not same_word(*pair)] == []


def test_index_missing_of_a_vector_is_the_one_difference(redis_url: str) -> None:
    """The library sends it among the vector's attributes, which the server refuses; after them it is accepted."""
    vector = {"algorithm": "flat", "dims": 2, "index_missing": True}
    declared = named({"index": {}, "fields": [{"name": "v", "type": "vector", "attrs": vector}]}, "goods")
    with Recorder.from_url(redis_url) as client:
        with pytest.raises((RedisSearchError, redis.DataError)):
            SearchIndex(declared, redis_client=client).create()
        client.execute_command(*create_arguments("goods", definition_from_schema(declared)))
        assert client.sent[-1][-1] == "INDEXMISSING"
    assert_settled(redis_url, {"goods": definition_from_schema(declared)})


def assert_settled(url: str, definitions: Mapping[str, IndexDefinition], protocols: Iterable[int] = (2, 3)) -> None:
    """Indexes that are live as declared are taken into management as they are, and then there is nothing to do."""
    indexes = tuple(DesiredIndex(name=name, definition=definitions[name]) for name in sorted(definitions))
    desired = Desired(project="shop", indexes=indexes)
    for protocol in protocols:
        with connect(url, protocol=protocol) as connection:
            profile = inspect_server(connection)
            catalog = inspect_catalog(connection, definitions, profile)
        plan = build_plan(desired, World(catalog=catalog, state=State(), server=profile))
        found = [(index.action, index.changes, index.refused, index.held) for index in plan.indexes]
        odd = [
            (item, definitions[plan.indexes[at].name]) for at, item in enumerate(found) if item != ("adopt", (), (), ())
        ]
        assert not odd, odd[0]
        assert {step.operation.operation for step in plan.steps} == {"record_index"}
        after, state = predict((step.operation for step in plan.steps), catalog, State())
        again = build_plan(desired, World(catalog=after, state=state, server=profile))
        assert again.empty
        assert [(item.action, item.changes, item.drift) for item in again.indexes] == [("no-op", (), ())] * len(indexes)


def clear(server: EmbeddedServer) -> None:
    """Drop all indexes."""
    with connected(server) as client:
        for name in client.execute_command("FT._LIST"):
            client.execute_command("FT.DROPINDEX", name)


def numbered(values: Iterable[Any]) -> dict[str, Any]:
    """Each value under a name of its own."""
    return {f"i{number}": value for number, value in enumerate(values)}


def create_by_redisvl(server: EmbeddedServer, drawn: list[dict[str, Any]]) -> dict[str, IndexDefinition]:
    """An empty server with these indexes, made by redisvl; what they declare."""
    clear(server)
    declared = {name: named(schema, name) for name, schema in numbered(drawn).items()}
    with connected(server) as client:
        for schema in declared.values():
            SearchIndex(schema, redis_client=client).create()
    return {name: definition_from_schema(schema) for name, schema in declared.items()}


many_schemas = st.lists(schemas(), min_size=10, max_size=10)
ODD_SCHEMAS = [texts(32), texts(33), {"index": {"prefix": []}, "fields": [{"name": "t", "type": "text"}]}]


@batches
@given(drawn=many_schemas)
@example(drawn=ODD_SCHEMAS)
def test_what_redisvl_created_needs_no_change(server: EmbeddedServer, drawn: list[dict[str, Any]]) -> None:
    """On a single server, with both protocols."""
    assert_settled(server.url, create_by_redisvl(server, drawn))


@batches
@given(drawn=many_schemas)
@example(drawn=ODD_SCHEMAS)
def test_what_redisvl_created_on_a_cluster_needs_no_change(
    cluster_server: EmbeddedServer, drawn: list[dict[str, Any]]
) -> None:
    """On a cluster-enabled server, with both protocols."""
    assert_settled(cluster_server.url, create_by_redisvl(cluster_server, drawn))


@st.composite
def wider_fields(draw: st.DrawFn, field: Field, storage: str) -> Field:
    """The field with what redisvl cannot say: another attribute of the hash, UNF, NOINDEX alone, no separator."""
    if storage == "hash" and draw(YES_NO):
        field = replace(field, identifier=draw(st.sampled_from((f"{field.name}_raw", "shared", "a b"))))
    if isinstance(field, VectorField):
        return replace(field, index_missing=draw(YES_NO))
    field = replace(field, no_index=not field.index_missing and draw(YES_NO))
    if isinstance(field, TagField | GeoField):
        field = replace(field, unf=draw(YES_NO))
    if isinstance(field, TagField) and storage == "json" and draw(YES_NO):
        field = replace(field, separator="")
    return field


@st.composite
def shapes(draw: st.DrawFn, storage: str) -> GeoShapeField:
    """A field of shapes."""
    return GeoShapeField(
        name="area",
        identifier="$.area" if storage == "json" else draw(st.sampled_from(("area", "region"))),
        coord_system=draw(st.sampled_from(("spherical", "flat"))),
        index_missing=(kind := draw(st.sampled_from(("", "index_missing", "no_index")))) == "index_missing",
        no_index=kind == "no_index",
    )


@st.composite
def wider_definitions(draw: st.DrawFn) -> IndexDefinition:
    """A definition that needs the project file beside the schema."""
    plain = definition_from_schema(named(draw(schemas()), "goods"))
    fields = [draw(wider_fields(field, plain.storage)) for field in plain.fields]
    no_fields = draw(YES_NO)
    return replace(
        plain,
        fields=(*fields, *draw(st.lists(shapes(plain.storage), max_size=1))),
        filter=draw(st.sampled_from(FILTERS)),
        language=draw(st.none() | st.sampled_from(LANGUAGES)),
        language_field=draw(st.sampled_from((None, "lang" if plain.storage == "hash" else "$.lang"))),
        score=draw(st.sampled_from((0.0, 0.25, 1.0)) | st.floats(0, 1)),
        score_field=draw(st.sampled_from((None, "rank" if plain.storage == "hash" else "$.rank"))),
        payload_field=draw(st.sampled_from((None, "extra"))),
        no_offsets=draw(YES_NO),
        no_highlight=draw(YES_NO),
        no_fields=no_fields,
        no_frequencies=draw(YES_NO),
        max_text_fields=not no_fields and draw(YES_NO),  # the two together crash the server
        temporary=draw(st.sampled_from((None, 3600))),
    )


EVERYTHING = IndexDefinition(
    score=0.0,
    stopwords=(),
    filter="@price > 1",
    language="German",
    no_offsets=True,
    no_frequencies=True,
    max_text_fields=True,
    fields=(
        TextField(name="title", identifier="t", no_index=True),
        TagField(name="color", identifier="c", sortable=True, unf=True),
        GeoShapeField(name="area", identifier="area", coord_system="flat", index_missing=True),
    ),
)


def create_ours(server: EmbeddedServer, drawn: list[IndexDefinition]) -> dict[str, IndexDefinition]:
    """An empty server with these indexes, made by our own arguments."""
    clear(server)
    declared: dict[str, IndexDefinition] = numbered(drawn)
    with connected(server) as client:
        for name, definition in declared.items():
            client.execute_command(*create_arguments(name, definition))
    return declared


many_definitions = st.lists(wider_definitions(), min_size=10, max_size=10)


@batches
@given(drawn=many_definitions)
@example(drawn=[EVERYTHING, replace(EVERYTHING, score=0.25, language="english", stopwords=("B", "a"))])
def test_what_redisvl_cannot_say_needs_no_change(server: EmbeddedServer, drawn: list[IndexDefinition]) -> None:
    """What our own arguments created reads back as it was declared, with both protocols."""
    assert_settled(server.url, create_ours(server, drawn))


@batches
@given(drawn=many_definitions)
def test_what_redisvl_cannot_say_needs_no_change_on_a_cluster(
    cluster_server: EmbeddedServer, drawn: list[IndexDefinition]
) -> None:
    """The same on a cluster-enabled server."""
    assert_settled(cluster_server.url, create_ours(cluster_server, drawn))
