"""Replies of FT.INFO, FT.SYNDUMP and FT._LIST as three servers gave them, and what newer and older ones would give."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from rvlstate.errors import ReplyNotUnderstoodError
from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.catalog import Statistics
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
from rvlstate.runtime import server_errors
from rvlstate.runtime.replies import parse_index_name, parse_info, parse_names, parse_syndump

CASES = Path(__file__).parent / "cases" / "info"
SERVERS = sorted(path.parent.name for path in CASES.glob("*/replies.json"))
PROTOCOLS = ("resp2", "resp3")
INDEXES = ("rich", "json", "plain", "nostop", "noprefix", "nofields", "empty_prefix")
KINDS: dict[str, Any] = {
    "text": TextField,
    "tag": TagField,
    "numeric": NumericField,
    "geo": GeoField,
    "geoshape": GeoShapeField,
    "vector": VectorField,
}
ALGORITHMS: dict[str, Any] = {"flat": Flat, "hnsw": Hnsw}


@cache
def recorded(server: str) -> Any:
    """Everything that was recorded of a server."""
    return json.loads((CASES / server / "replies.json").read_text(encoding="utf-8"))


def info(server: str, protocol: str, index: str) -> Any:
    """A recorded FT.INFO reply, to be changed at will."""
    return copy.deepcopy(recorded(server)[protocol][f"FT.INFO {index}"])


@cache
def written(path: str) -> Any:
    """A file that was written by hand."""
    return yaml.safe_load((CASES / path).read_text(encoding="utf-8"))


def build_field(attributes: Mapping[str, Any]) -> Field:
    """A field of the model from its attributes; a misspelt one is an error."""
    given = dict(attributes)
    if "search" in given:
        search = dict(given["search"])
        given["search"] = ALGORITHMS[search["algorithm"]](**search)
    field: Field = KINDS[given["type"]](**given)
    return field


def expected_definition(server: str, index: str) -> IndexDefinition:
    """The definition that was written down for an index of a server."""
    known = written(f"{server}/expected.yaml")
    settings = dict(written("definitions.yaml")[known.get(index, index)])
    fields = [*settings.pop("fields"), *settings.pop("more_fields", [])]
    lists = {key: tuple(value) for key, value in settings.items() if isinstance(value, list)}
    return IndexDefinition(**{**settings, **lists, "fields": tuple(build_field(field) for field in fields)})


def as_bytes(reply: Any) -> Any:
    """The reply as a client without decoding hands it over."""
    if isinstance(reply, str):
        return reply.encode("latin-1")
    if isinstance(reply, dict):
        return {as_bytes(key): as_bytes(value) for key, value in reply.items()}
    return [as_bytes(item) for item in reply] if isinstance(reply, list) else reply


def test_three_servers_were_recorded() -> None:
    """The cases below are there."""
    assert SERVERS == ["search-2.10.5-standalone", "search-8.0.2-cluster", "search-8.0.2-standalone"]


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("server", SERVERS)
def test_a_reply_reads_as_what_was_created(server: str, protocol: str, index: str) -> None:
    """Every attribute is read, on either protocol, from every server."""
    live = parse_info(index, info(server, protocol, index))
    assert live.name == index
    assert live.definition == expected_definition(server, index)


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("server", SERVERS)
def test_what_is_never_shown_is_unrevealed(server: str, index: str) -> None:
    """Nothing is read that FT.INFO does not show: masking takes nothing more away."""
    definition = parse_info(index, info(server, "resp3", index)).definition
    assert mask(definition) == canonicalise(definition)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("server", SERVERS)
def test_undecoded_replies_read_the_same(server: str, protocol: str) -> None:
    """Bytes and text give equal values."""
    reply = info(server, protocol, "rich")
    assert parse_info("rich", as_bytes(reply)) == parse_info("rich", reply)


@pytest.mark.parametrize("index", ["rich", "json", "plain"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("server", SERVERS)
def test_the_figures_are_read(server: str, protocol: str, index: str) -> None:
    """Counts, errors, memory and time, whether they come as numbers or as text."""
    figures = parse_info(index, info(server, protocol, index)).statistics
    wanted = written(f"{server}/expected.yaml")["statistics"][index]
    assert figures == Statistics(**{**wanted, "indexing_ms": figures.indexing_ms})
    assert figures.indexing_ms == pytest.approx(wanted.get("indexing_ms", 0.0), abs=0.001)


@pytest.mark.parametrize("server", SERVERS)
def test_an_index_caught_while_building_says_how_far_it_is(server: str) -> None:
    """Shards that still scan and the share of keys scanned; a cluster counts its shards."""
    figures = parse_info("building", info(server, "resp3", "building (just created)")).statistics
    wanted = written(f"{server}/expected.yaml")["statistics"]["building"]
    assert figures.percent == pytest.approx(wanted["percent"], abs=1e-6)
    assert (figures.documents, figures.indexing) == (wanted["documents"], wanted["indexing"])
    assert figures.index_bytes == wanted["index_bytes"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reply_about_an_alias_names_the_index(protocol: str) -> None:
    """The name is the one in the reply, not the one that was asked for."""
    reply = info(SERVERS[0], protocol, "an_alias")
    assert parse_info("an_alias", reply).name == "plain"
    assert parse_index_name("an_alias", reply) == "plain"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("server", SERVERS)
def test_synonyms_are_read(server: str, protocol: str) -> None:
    """Terms with their groups, sorted."""
    assert parse_syndump(recorded(server)[protocol]["FT.SYNDUMP plain"]) == (("boy", ("g1",)), ("child", ("g1",)))


@pytest.mark.parametrize("reply", [[], {}])
def test_no_synonyms_are_none(reply: object) -> None:
    """An empty reply is understood."""
    assert parse_syndump(reply) == ()


@pytest.mark.parametrize("reply", [["b", "a"], ("a", "b"), {"a", "b"}, [b"a", b"b"], frozenset({b"b", b"a"})])
def test_names_come_as_lists_or_sets(reply: object) -> None:
    """RESP3 sets and RESP2 lists give the same sorted names."""
    assert parse_names("FT._LIST", reply) == ("a", "b")


@pytest.mark.parametrize("reply", ["a", None, 3, [["a"]], [1], {"a": "b"}])
def test_names_that_are_none_are_refused(reply: object) -> None:
    """A reply of another shape is an error that names the command."""
    with pytest.raises(ReplyNotUnderstoodError, match="ALIASLIST"):
        parse_names("FT.ALIASLIST", reply)


def without(key: str) -> Callable[[Any], None]:
    """Takes a key out of the RESP3 reply."""
    return lambda reply: reply.pop(key)


def with_field(position: int, **changes: Any) -> Callable[[Any], None]:
    """Changes what is shown of one field; None takes a key away."""

    def change(reply: Any) -> None:
        shown = reply["attributes"][position]
        shown.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del shown[key]

    return change


def with_rule(**changes: Any) -> Callable[[Any], None]:
    """Changes `index_definition`."""
    return lambda reply: reply["index_definition"].update(changes)


TEXT, TAG, NUMERIC, SHAPE, HNSW, FLAT = 0, 2, 4, 7, 9, 10
NOT_UNDERSTOOD: dict[str, tuple[Callable[[Any], None], str]] = {
    "flag of a field": (with_field(TEXT, flags=["SORTABLE", "FROBNICATE"]), "FROBNICATE"),
    "known flag of another type": (with_field(NUMERIC, flags=["CASESENSITIVE"]), "CASESENSITIVE"),
    "flag that shapes have not": (with_field(SHAPE, flags=["NOSTEM"]), "NOSTEM"),
    "key of a field": (with_field(TEXT, STEMMER="snowball"), "STEMMER"),
    "key of another type": (with_field(NUMERIC, SEPARATOR=","), "SEPARATOR"),
    "type": (with_field(TEXT, type="BITMAP"), "BITMAP"),
    "several types": (with_field(TEXT, type="<DYNAMIC>", types=["TEXT", "TAG"]), "DYNAMIC"),
    "algorithm": (with_field(HNSW, algorithm="DISKANN"), "diskann"),
    "datatype": (with_field(HNSW, data_type="FLOAT8"), "float8"),
    "metric": (with_field(HNSW, distance_metric="HAMMING"), "hamming"),
    "coordinates": (with_field(SHAPE, coord_system="TOROIDAL"), "toroidal"),
    "compression of HNSW": (with_field(HNSW, compression="SQ8"), "COMPRESSION"),
    "vector without anything": (with_field(HNSW, algorithm=None), "RediSearch 2.10 is the first"),
    "missing dim": (with_field(FLAT, dim=None), "dim"),
    "missing weight": (with_field(TEXT, WEIGHT=None), "weight"),
    "missing name": (with_field(TEXT, attribute=None), "attribute"),
    "dim that is no number": (with_field(FLAT, dim="many"), "many"),
    "long separator": (with_field(TAG, SEPARATOR="::"), "::"),
    "field of another shape": (lambda reply: reply["attributes"].append("price"), "price"),
    "option": (lambda reply: reply["index_options"].append("NOSAVE"), "NOSAVE"),
    "rule": (with_rule(engine="disk"), "engine"),
    "storage": (with_rule(key_type="STREAM"), "STREAM"),
    "indexes all": (with_rule(indexes_all="perhaps"), "perhaps"),
    "filter of another shape": (with_rule(filter=["@a", "@b"]), "filter"),
    "score that is no number": (with_rule(default_score="high"), "default_score"),
    "missing fields": (without("attributes"), "attributes"),
    "missing options": (without("index_options"), "index_options"),
    "missing name of the index": (without("index_name"), "index_name"),
    "missing rules": (without("index_definition"), "map"),
}


@pytest.mark.parametrize("case", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_an_error_that_names_it(case: str) -> None:
    """Never a skipped field or a guess: the message names the index and what was seen."""
    change, seen = NOT_UNDERSTOOD[case]
    reply = info("search-2.10.5-standalone", "resp3", "rich")
    change(reply)
    with pytest.raises(ReplyNotUnderstoodError) as caught:
        parse_info("rich", reply)
    assert str(caught.value).startswith('index "rich": ')
    assert seen in str(caught.value)


@pytest.mark.parametrize("reply", ["OK", None, 7, ["index_name"], [["index_name"], "rich"], {}])
def test_a_reply_of_another_shape_is_an_error(reply: object) -> None:
    """Text, numbers, odd lists and lists for keys are no FT.INFO."""
    with pytest.raises(ReplyNotUnderstoodError, match='index "rich"'):
        parse_info("rich", reply)


@pytest.mark.parametrize("word", ["FROBNICATE", "STEMMER"])
def test_an_unknown_word_in_a_flat_list_is_an_error(word: str) -> None:
    """On RESP2 flags and keys look alike: neither is skipped."""
    reply = info("search-2.10.5-standalone", "resp2", "rich")
    attributes = reply[reply.index("attributes") + 1]
    attributes[TEXT].append(word)
    if word == "STEMMER":
        attributes[TEXT].append("snowball")
    with pytest.raises(ReplyNotUnderstoodError, match=word):
        parse_info("rich", reply)


def vector(**shown: Any) -> VectorField:
    """The field that a RESP3 reply with one vector field shows."""
    reply = info("search-8.0.2-standalone", "resp3", "plain")
    common = {"identifier": "v", "attribute": "v", "type": "VECTOR", "dim": 8, "flags": []}
    reply["attributes"] = [{**common, "data_type": "FLOAT32", "distance_metric": "L2", **shown}]
    (field,) = parse_info("plain", reply).definition.fields
    assert isinstance(field, VectorField)
    return field


def test_newer_servers_reveal_search_parameters() -> None:
    """ef_runtime, which RediSearch 8.10 shows, and others in any case of letters are read rather than hidden."""
    hnsw = vector(algorithm="HNSW", M=16, ef_construction=200, ef_runtime=30, EPSILON="0.05")
    assert hnsw.search == Hnsw(ef_runtime=30, epsilon=0.05)
    assert vector(algorithm="FLAT", BLOCK_SIZE=512, INITIAL_CAP="100").search == Flat(block_size=512)
    assert vector(algorithm="FLAT", BLOCK_SIZE=512, INITIAL_CAP="100").initial_cap == 100


def test_a_shown_absence_of_compression_is_none() -> None:
    """NO_COMPRESSION is not a value of its own, neither for SVS-VAMANA nor for HNSW."""
    assert vector(algorithm="HNSW", M=16, ef_construction=200, compression="NO_COMPRESSION").search == Hnsw(
        ef_runtime=UNREVEALED, epsilon=UNREVEALED
    )
    shown = {"graph_max_degree": 64, "construction_window_size": 300, "compression": "NO_COMPRESSION"}
    assert vector(algorithm="SVS-VAMANA", **shown).search == SvsVamana(
        graph_max_degree=64, construction_window_size=300, search_window_size=UNREVEALED, epsilon=UNREVEALED
    )


@pytest.mark.parametrize(
    ("shown", "compression", "reduce", "threshold"),
    [
        ({"compression": "LVQ8", "training_threshold": 10240}, "LVQ8", None, 10240),
        ({"compression": "LeanVec4x8", "training_threshold": 2048, "reduced_dim": 4}, "LeanVec4x8", 4, 2048),
        ({"compression": "GlobalSQ8", "training_threshold": 10240}, UNREVEALED, UNREVEALED, 10240),
    ],
)
def test_the_compression_of_vamana_is_read_unless_the_server_hides_it(
    shown: dict[str, Any], compression: str, reduce: object, threshold: int
) -> None:
    """GlobalSQ8 is what a server without LVQ says whatever was asked for."""
    field = vector(algorithm="SVS-VAMANA", graph_max_degree=40, construction_window_size=250, **shown)
    assert isinstance(field.search, SvsVamana)
    assert (field.search.compression, field.search.reduce) == (compression, reduce)
    assert field.search.training_threshold == threshold


def test_a_score_that_is_not_shown_is_nought() -> None:
    """The server leaves out a default score of 0 (measured), and shows 1."""
    reply = info("search-2.10.5-standalone", "resp3", "plain")
    assert parse_info("plain", reply).definition.score == 1.0
    del reply["index_definition"]["default_score"]
    assert parse_info("plain", reply).definition.score == 0.0


@pytest.mark.parametrize(("shown", "index_all"), [("true", True), ("false", False)])
def test_indexes_all_is_read(shown: str, index_all: bool) -> None:
    """INDEXALL, which only some servers show."""
    reply = info("search-8.0.2-standalone", "resp3", "plain")
    reply["index_definition"]["indexes_all"] = shown
    assert parse_info("plain", reply).definition.index_all is index_all


@pytest.mark.parametrize(("shown", "separator"), [("\\n", "\n"), ("\\r", "\r"), ("\\", "\\"), ("", ""), ("|", "|")])
def test_an_escaped_line_break_is_a_separator(shown: str, separator: str) -> None:
    """The server escapes line breaks, and a separator is one character."""
    reply = info("search-2.10.5-standalone", "resp3", "rich")
    reply["attributes"][TAG]["SEPARATOR"] = shown
    field = parse_info("rich", reply).definition.field("cat")
    assert isinstance(field, TagField)
    assert field.separator == separator


def test_an_older_server_is_read_as_far_as_it_shows() -> None:
    """RediSearch 2.8: figures as text, no error block, CASESENSITIVE in front of the other flags, no total."""
    reply = [
        *("index_name", "old", "index_options", ["NOOFFSETS"]),
        *("index_definition", ["key_type", "HASH", "prefixes", ["p:"], "default_score", "1"]),
        *(
            "attributes",
            [["identifier", "c", "attribute", "c", "type", "TAG", "SEPARATOR", ",", "CASESENSITIVE", "SORTABLE"]],
        ),
        *("num_docs", "12", "max_doc_id", "15", "inverted_sz_mb", "0.5", "vector_index_sz_mb", "1"),
        *("doc_table_size_mb", "0.25", "hash_indexing_failures", "3", "indexing", "0", "percent_indexed", "1"),
    ]
    live = parse_info("old", reply)
    assert live.definition.fields == (TagField(name="c", identifier="c", case_sensitive=True, sortable=True),)
    assert live.statistics == Statistics(
        documents=12, max_document_id=15, failures=3, index_bytes=int(1.75 * 1024 * 1024)
    )


@pytest.mark.parametrize("figure", ["nan", "-nan", "inf", float("nan"), float("inf")])
def test_figures_without_a_value_count_as_nothing(figure: object) -> None:
    """A division by no documents breaks no plan; a scan that has ended has seen everything."""
    reply = info("search-2.10.5-standalone", "resp3", "plain")
    reply.update({"num_docs": figure, "total_index_memory_sz_mb": figure, "percent_indexed": figure})
    figures = parse_info("plain", reply).statistics
    assert (figures.documents, figures.percent) == (0, 1.0)
    reply["indexing"] = 1
    assert parse_info("plain", reply).statistics.percent == 0.0


def test_a_total_with_vectors_is_not_counted_twice() -> None:
    """Newer servers count the vectors in total_index_memory_sz_mb; both kinds give the same memory."""
    reply = info("search-2.10.5-standalone", "resp3", "rich")
    apart = parse_info("rich", reply).statistics.index_bytes
    reply["total_index_memory_sz_mb"] += reply["vector_index_sz_mb"]
    assert parse_info("rich", reply).statistics.index_bytes == apart


@pytest.mark.parametrize(
    ("errors", "scan_error"),
    [
        ({"background indexing status": "OK"}, ""),
        ({"background indexing status": "OOM failure"}, "OOM failure"),
        (
            {
                "background indexing status": "OOM failure",
                "last indexing error": "Used memory is more than 80 percent of max memory, cancelling the scan",
            },
            "OOM failure: Used memory is more than 80 percent of max memory, cancelling the scan",
        ),
        (
            {"last indexing error": "Used memory is more than 80 percent of max memory, cancelling the scan"},
            "Used memory is more than 80 percent of max memory, cancelling the scan",
        ),
        ({"last indexing error": "Could not add vector with blob size 5 (expected size 16)"}, ""),
    ],
)
def test_an_aborted_scan_is_told(errors: dict[str, str], scan_error: str) -> None:
    """A scan that ended for want of memory is told apart from documents that failed."""
    reply = info("search-2.10.5-standalone", "resp3", "plain")
    reply["Index Errors"].update(errors)
    assert parse_info("plain", reply).statistics.scan_error == scan_error


ERRORS: dict[str, Callable[[object], bool]] = {
    "FT.INFO missing": server_errors.is_unknown_index,
    "FT.DROPINDEX missing": server_errors.is_unknown_index,
    "FT.ALTER missing": server_errors.is_unknown_index,
    "FT.ALIASADD an_alias plain": server_errors.is_alias_exists,
    "FT.ALIASDEL nope": server_errors.is_alias_missing,
    "FT.CREATE plain": server_errors.is_index_exists,
    "FT.ALTER plain duplicate": server_errors.is_duplicate_field,
    "FT.ALIASLIST": server_errors.is_unknown_command,
}
SEARCH_QUESTIONS = {*ERRORS.values(), server_errors.is_alias_hidden, server_errors.is_alias_conflict}


@pytest.mark.parametrize("command", ERRORS)
@pytest.mark.parametrize("server", SERVERS)
def test_every_recorded_error_has_one_name(server: str, command: str) -> None:
    """A recorded error answers its own question and no other."""
    error = ResponseError(recorded(server)["resp3"][command]["error"])
    assert [question for question in SEARCH_QUESTIONS if question(error)] == [ERRORS[command]]


@pytest.mark.parametrize(
    ("wording", "question"),
    [
        ("Unknown index name (or name is an alias itself)", server_errors.is_unknown_index),
        ("Unknown index name script: 2f4e, on @user_script:1.", server_errors.is_unknown_index),
        ("No such index products", server_errors.is_unknown_index),
        ("SEARCH_INDEX_NOT_FOUND Index not found: products", server_errors.is_unknown_index),
        ("SEARCH_INDEX_NOT_FOUND Alias does not belong to provided spec", server_errors.is_alias_hidden),
        ("SEARCH_INDEX_EXISTS Index already exists", server_errors.is_index_exists),
        ("SEARCH_INDEX_EXISTS Alias already exists", server_errors.is_alias_exists),
        ("SEARCH_ALIAS_CONFLICT Alias conflicts with an existing index name", server_errors.is_alias_conflict),
    ],
)
def test_newer_wordings_have_the_same_names(wording: str, question: Callable[[object], bool]) -> None:
    """Code words in front and scripts behind do not matter, and no wording answers two questions."""
    error = ResponseError(wording)
    assert [other for other in SEARCH_QUESTIONS if other(error)] == [question]


@pytest.mark.parametrize(
    "reply", ["Unknown index name", None, ["Unknown index name"], RuntimeError("Unknown index name")]
)
def test_only_errors_of_the_server_are_questioned(reply: object) -> None:
    """A text that merely reads like an error is none."""
    assert not server_errors.is_unknown_index(reply)


def test_permissions_for_commands_and_keys_are_told_apart() -> None:
    """Both are permissions; one of them is about the command itself."""
    command: RedisError = NoPermissionError("User ro has no permissions to run the 'FT.CREATE' command")
    key: RedisError = NoPermissionError("No permissions to access a key")
    assert [server_errors.is_permission(error) for error in (command, key)] == [True, True]
    assert [server_errors.is_command_permission(error) for error in (command, key)] == [True, False]
