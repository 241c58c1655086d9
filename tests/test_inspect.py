"""The live side as it is read: every attribute, aliases, synonyms, odd names, while indexes come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError
from servers import EmbeddedServer, is_capable
from test_info_replies import INDEXES, expected_definition, recorded

from rvlstate.errors import ReplyNotUnderstoodError, ServerError
from rvlstate.model.catalog import Capability, Catalog, LiveIndex, ServerProfile
from rvlstate.model.field import GeoShapeField
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.inspect import inspect_catalog, inspect_index
from rvlstate.runtime.profile import inspect_server

PROTOCOLS = (2, 3)
RECORDED = "search-2.10.5-standalone"
"""Whose FT.CREATE arguments are sent again to the server of the tests."""

VECTORS: tuple[Capability, ...] = ("float16_vectors", "bfloat16_vectors", "int8_vectors")
PLAIN = ("PREFIX", "1", "p:", "SCHEMA", "t", "TEXT")


@pytest.fixture(params=["standalone", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty server, then of an empty single-node cluster."""
    address: str = request.getfixturevalue("redis_url" if request.param == "standalone" else "cluster_url")
    return address


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A connection to each kind of server."""
    with connect(url) as opened:
        yield opened


def send(connection: Connection, *parts: Any) -> Any:
    """A command to the server."""
    return command(connection.search, *parts)


def create(connection: Connection, name: str | bytes, *arguments: str) -> None:
    """An index; a plain one if nothing is said about it."""
    send(connection, "FT.CREATE", name, *(arguments or PLAIN))


def look(connection: Connection, *names: str) -> Catalog:
    """The catalog with these names asked for."""
    return inspect_catalog(connection, names, inspect_server(connection))


def names_of(catalog: Catalog) -> list[str]:
    """The names of the physical indexes."""
    return [index.name for index in catalog.indexes]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_attribute_is_read_back(url: str, protocol: int) -> None:
    """Indexes created by the recorded arguments read as what was written down about these."""
    with connect(url, protocol=protocol) as connection:
        for name in INDEXES:
            create(connection, name, *recorded(RECORDED)["create_argv"][name])
        catalog = look(connection)
        assert names_of(catalog) == sorted(INDEXES)
        for name in INDEXES:
            live = catalog.index(name)
            assert live is not None
            assert live.definition == expected_definition(RECORDED, name)
            assert inspect_index(connection, name) == live


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_documents_and_failures_are_counted(redis_url: str, protocol: int) -> None:
    """The figures are those of the server, with the last failure and its key."""
    with connect(redis_url, protocol=protocol) as connection:
        vector = ("VECTOR", "FLAT", "6", "TYPE", "FLOAT32", "DIM", "2", "DISTANCE_METRIC", "L2")
        create(connection, "i", "PREFIX", "1", "p:", "SCHEMA", "v", *vector)
        connection.keys.hset("p:1", mapping={"v": bytes(8)})
        connection.keys.hset("p:2", mapping={"v": b"short"})
        live = inspect_index(connection, "i")
        assert live is not None
        figures = live.statistics
        assert (figures.documents, figures.failures, figures.last_error_key) == (1, 1, "p:2")
        assert "blob size 5" in figures.last_error
        assert figures.index_bytes > 0
        assert (figures.indexing, figures.percent, figures.scan_error) == (0, 1.0, "")


def test_vectors_are_part_of_the_memory_of_an_index(redis_url: str) -> None:
    """2.10.5 leaves vectors out of its total; they are counted all the same, and once."""
    with connect(redis_url) as connection:
        vector = ("VECTOR", "FLAT", "6", "TYPE", "FLOAT32", "DIM", "1024", "DISTANCE_METRIC", "L2")
        create(connection, "i", "PREFIX", "1", "p:", "SCHEMA", "v", *vector)
        before = inspect_index(connection, "i")
        pipeline: Any = connection.search.pipeline(transaction=False)
        for number in range(1000):
            pipeline.hset(f"p:{number}", "v", bytes(4096))
        pipeline.execute()
        after = inspect_index(connection, "i")
        assert before is not None
        assert after is not None
        grown = after.statistics.index_bytes - before.statistics.index_bytes
        assert 4_096_000 < grown < 2 * 4_096_000


def test_an_empty_server_has_an_empty_catalog(connection: Connection) -> None:
    """No indexes, and names that nobody answers to are no aliases."""
    assert look(connection, "products", "nobody") == Catalog()


def test_aliases_are_found_by_asking(connection: Connection) -> None:
    """Names that are asked for and stand for an index are aliases; an index is none of its own."""
    create(connection, "{a}@1")
    create(connection, "{b}")
    send(connection, "FT.ALIASADD", "{a}", "{a}@1")
    send(connection, "FT.ALIASADD", "{a}x", "{a}@1")
    catalog = look(connection, "{a}", "{b}", "{c}")
    assert names_of(catalog) == ["{a}@1", "{b}"]
    assert catalog.aliases == (("{a}", "{a}@1"),)
    assert look(connection, "{a}x", "{a}").aliases == (("{a}", "{a}@1"), ("{a}x", "{a}@1"))


def test_a_hidden_alias_cannot_be_seen(redis_url: str) -> None:
    """An index created under the name of an alias answers in its place (measured on 2.10.5)."""
    with connect(redis_url) as connection:
        create(connection, "a@1")
        send(connection, "FT.ALIASADD", "a", "a@1")
        create(connection, "a")
        catalog = look(connection, "a")
        assert (names_of(catalog), catalog.aliases) == (["a", "a@1"], ())
        send(connection, "FT.DROPINDEX", "a")
        assert look(connection, "a").aliases == (("a", "a@1"),)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_synonyms_belong_to_the_index(url: str, protocol: int) -> None:
    """Terms with all their groups."""
    with connect(url, protocol=protocol) as connection:
        create(connection, "i")
        send(connection, "FT.SYNUPDATE", "i", "g1", "boy", "child")
        send(connection, "FT.SYNUPDATE", "i", "g2", "child")
        expected = (("boy", ("g1",)), ("child", ("g1", "g2")))
        (live,) = look(connection).indexes
        assert live.synonyms == expected
        assert getattr(inspect_index(connection, "i"), "synonyms", None) == expected


ODD_NAMES = (
    "",
    "a:b c",
    'quo"te',
    "caf\u00e9",
    "tab\tbed",
    "new\nline",
    "carriage\rreturn",
    "both\\n\n",
    "back\\slash",
    "literal\\n",
    b"bytes\xff".decode("utf-8", "surrogateescape"),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_odd_names_are_read_as_they_are(url: str, protocol: int) -> None:
    """FT._LIST shows line breaks escaped and backslashes not, so every spelling is asked for."""
    with connect(url, protocol=protocol) as connection:
        for name in ODD_NAMES:
            create(connection, name)
        assert names_of(look(connection)) == sorted(ODD_NAMES)
        for name in ODD_NAMES:
            live = inspect_index(connection, name)
            assert live is not None
            assert live.name == name


def test_names_that_are_shown_alike_are_told_apart(connection: Connection) -> None:
    """An index with a line break beside one with the two characters that it is shown as."""
    create(connection, "a\nb")
    create(connection, "a\\nb", "PREFIX", "1", "q:", "SCHEMA", "t", "TAG")
    catalog = look(connection)
    assert names_of(catalog) == ["a\nb", "a\\nb"]
    assert [index.definition.prefixes for index in catalog.indexes] == [("p:",), ("q:",)]


def test_an_alias_of_an_odd_index_is_found(redis_url: str) -> None:
    """FT.INFO of the alias shows the escaped name; the pair holds the real one."""
    with connect(redis_url) as connection:
        create(connection, "new\nline")
        send(connection, "FT.ALIASADD", "odd", "new\nline")
        assert look(connection, "odd").aliases == (("odd", "new\nline"),)


def test_an_index_is_found_by_name_and_by_alias(connection: Connection) -> None:
    """By alias, the index behind it; None where nothing answers."""
    create(connection, "{i}@1")
    send(connection, "FT.ALIASADD", "{i}", "{i}@1")
    by_name, by_alias = inspect_index(connection, "{i}@1"), inspect_index(connection, "{i}")
    assert isinstance(by_name, LiveIndex)
    assert by_name.name == "{i}@1"
    assert by_alias == by_name
    assert inspect_index(connection, "{j}") is None


def test_what_redisvl_cannot_say_is_read_all_the_same(redis_url: str) -> None:
    """The server takes and shows GEOSHAPE SORTABLE UNF NOINDEX, for which redisvl has no words."""
    with connect(redis_url) as connection:
        create(connection, "shapes", "PREFIX", "1", "s:", "SCHEMA", "area", "GEOSHAPE", "SORTABLE", "UNF", "NOINDEX")
        index = look(connection).index("shapes")
    assert index is not None
    shape = GeoShapeField(name="area", identifier="area", sortable=True, unf=True, no_index=True)
    assert index.definition.fields == (shape,)


@contextmanager
def meanwhile(url: str, work: Callable[[Connection, int], None]) -> Iterator[None]:
    """Does `work` again and again on a connection of its own, until the block ends."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        with connect(url) as connection:
            turn = 0
            while not stop.is_set():
                try:
                    work(connection, turn)
                except redis.RedisError as error:
                    failures.append(error)
                    return
                turn += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures


def test_indexes_that_come_and_go_disturb_nobody(redis_url: str) -> None:
    """Somebody creates and drops indexes all the time; ours are there in every look."""

    def churn(connection: Connection, turn: int) -> None:
        create(connection, f"other-{turn}")
        send(connection, "FT.DROPINDEX", f"other-{turn}")

    with connect(redis_url) as connection:
        profile = inspect_server(connection)
        for number in range(20):
            create(connection, f"ours-{number}")
        with meanwhile(redis_url, churn):
            for _ in range(60):
                catalog = inspect_catalog(connection, (), profile)
                assert len([name for name in names_of(catalog) if name.startswith("ours-")]) == 20


def test_an_alias_that_moves_is_never_missing(redis_url: str) -> None:
    """While somebody points the alias here and there, each look sees it at one of the two."""

    def move(connection: Connection, turn: int) -> None:
        send(connection, "FT.ALIASUPDATE", "a", f"a@{1 + turn % 2}")

    with connect(redis_url) as connection:
        profile = inspect_server(connection)
        create(connection, "a@1")
        create(connection, "a@2")
        send(connection, "FT.ALIASADD", "a", "a@1")
        with meanwhile(redis_url, move):
            seen = {inspect_catalog(connection, ("a",), profile).resolve("a") for _ in range(60)}
        assert seen <= {"a@1", "a@2"}


def test_a_name_that_turns_into_an_alias_is_never_missing(redis_url: str) -> None:
    """A cutover from a physical index to an alias of its name, again and again: something answers in every look."""
    script = """redis.call('FT.DROPINDEX', 'a') redis.call('FT.ALIASADD', 'a', 'a@1')"""

    def cut_over(connection: Connection, _turn: int) -> None:
        send(connection, "EVAL", script, "0")
        pipeline: Any = connection.search.pipeline(transaction=True)
        pipeline.execute_command("FT.ALIASDEL", "a")
        pipeline.execute_command("FT.CREATE", "a", *PLAIN)
        pipeline.execute()
        # Without a pause nearly every look would fall into a change, which no deployment does.
        time.sleep(0.005)

    with connect(redis_url) as connection:
        profile = inspect_server(connection)
        create(connection, "a")
        create(connection, "a@1")
        with meanwhile(redis_url, cut_over):
            for _ in range(60):
                assert inspect_catalog(connection, ("a",), profile).resolve("a") in ("a", "a@1")
                assert inspect_index(connection, "a") is not None


class Retelling(Connection):
    """A connection to a real server whose answers to some questions are told otherwise, as other servers would."""

    def __init__(self, real: Connection, retell: Callable[[tuple[str, ...], Any], Any]) -> None:
        super().__init__(real.url, real.search, real.keys)
        self._retell = retell

    def ask(self, questions: Sequence[tuple[str, ...]], node: redis.Redis | None = None) -> list[Any]:
        """The replies, retold."""
        replies = super().ask(questions, node)
        return [self._retell(question, reply) for question, reply in zip(questions, replies, strict=True)]


def falsely_unknown(times: int) -> Callable[[tuple[str, ...], Any], Any]:
    """Says of `i` that there is no such index, some times, as a coordinator can; the wording is a recorded one."""
    left = [times]

    def retell(question: tuple[str, ...], reply: Any) -> Any:
        if question[-1] == "i" and left[0]:
            left[0] -= 1
            return ResponseError("i: no such index")
        return reply

    return retell


def test_a_false_answer_of_a_coordinator_is_not_believed(connection: Connection) -> None:
    """An index that FT._LIST still shows is asked for again, and is never taken for absent."""
    create(connection, "i")
    create(connection, "j")
    profile = inspect_server(connection)
    assert names_of(inspect_catalog(Retelling(connection, falsely_unknown(2)), (), profile)) == ["i", "j"]
    assert inspect_index(Retelling(connection, falsely_unknown(3)), "i") == inspect_index(connection, "i")


def test_a_false_answer_about_an_alias_is_asked_again_on_a_cluster(cluster_url: str) -> None:
    """No list confirms aliases there, so one false answer is not enough."""
    with connect(cluster_url) as connection:
        create(connection, "{i}@1")
        send(connection, "FT.ALIASADD", "i{i}", "{i}@1")
        profile = inspect_server(connection)

        def retell(question: tuple[str, ...], reply: Any, left: list[int] = [1]) -> Any:  # noqa: B006  # counts
            if question == ("FT.INFO", "i{i}") and left[0]:
                left[0] -= 1
                return ResponseError("i{i}: no such index")
            return reply

        assert inspect_catalog(Retelling(connection, retell), ("i{i}",), profile).resolve("i{i}") == "{i}@1"


def test_lists_that_never_agree_are_an_error(connection: Connection) -> None:
    """What is listed and never shown is told, rather than planned as a create."""
    create(connection, "i")
    liar = Retelling(connection, falsely_unknown(1000))
    with pytest.raises(ServerError, match="do not agree about: i"):
        inspect_catalog(liar, (), inspect_server(connection))
    with pytest.raises(ServerError, match="do not agree about: i"):
        inspect_index(liar, "i")


@pytest.mark.parametrize("shape", [list, set, tuple])
def test_listed_aliases_are_believed(connection: Connection, shape: Callable[[Any], Any]) -> None:
    """Where FT.ALIASLIST exists, all aliases are known without asking for names."""
    create(connection, "a@1")
    create(connection, "b")
    profile = inspect_server(connection)
    profile = replace(profile, capabilities=(*profile.capabilities, "alias_list"))
    listed = {"a@1": ["x", "a", "b"], "b": []}

    def retell(question: tuple[str, ...], reply: Any) -> Any:
        return shape(listed[question[1]]) if question[0] == "FT.ALIASLIST" else reply

    catalog = inspect_catalog(Retelling(connection, retell), (), profile)
    assert catalog.aliases == (("a", "a@1"), ("x", "a@1"))


def test_an_alias_list_of_another_shape_is_an_error(connection: Connection) -> None:
    """A reply that is not understood is not skipped."""
    create(connection, "i")
    profile = replace(inspect_server(connection), capabilities=("alias_list",))

    def retell(question: tuple[str, ...], reply: Any) -> Any:
        return {"i": "alias"} if question[0] == "FT.ALIASLIST" else reply

    with pytest.raises(ReplyNotUnderstoodError, match="ALIASLIST i"):
        inspect_catalog(Retelling(connection, retell), (), profile)


def test_another_refusal_is_an_error_and_no_absence(connection: Connection) -> None:
    """An error that is not understood never reads as "no such index"."""
    create(connection, "i")

    def retell(question: tuple[str, ...], reply: Any) -> Any:
        return ResponseError("Index is on fire") if question[0] == "FT.INFO" else reply

    liar = Retelling(connection, retell)
    with pytest.raises(ReplyNotUnderstoodError, match="Index is on fire"):
        inspect_catalog(liar, (), inspect_server(connection))
    with pytest.raises(ReplyNotUnderstoodError, match="Index is on fire"):
        inspect_index(liar, "i")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_profile_says_what_the_server_is(server: EmbeddedServer, redis_url: str, protocol: int) -> None:
    """Versions, memory and keys; capabilities as the server itself shows them."""
    with connect(redis_url, protocol=protocol) as connection:
        connection.keys.set("k", "v")
        profile = inspect_server(connection)
        info: Any = connection.search.info()
        assert (profile.redis, profile.cluster, profile.keys) == (info["redis_version"], False, 1)
        assert (profile.maxmemory, profile.maxmemory_policy) == (0, "noeviction")
        assert 0.5 < profile.used_memory / info["used_memory"] < 2
        for vectors in VECTORS:
            assert profile.can(vectors) == is_capable(server, vectors), vectors
        json, alias_list = send(connection, "COMMAND INFO", "JSON.SET", "FT.ALIASLIST")
        assert profile.can("json") == (json is not None)
        assert profile.can("alias_list") == (alias_list is not None)
        assert profile.can("atomic_takeover")
        assert profile.can("cross_slot_aliases")
        assert profile.capabilities == tuple(sorted(profile.capabilities))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_profile_of_a_cluster(cluster_url: str, protocol: int) -> None:
    """A single-node cluster is one; whether aliases may cross slots is what the server does."""
    with connect(cluster_url, protocol=protocol) as connection:
        profile = inspect_server(connection)
        assert profile.cluster
        assert not profile.can("atomic_takeover")
        create(connection, "b")
        if profile.can("cross_slot_aliases"):
            assert send(connection, "FT.ALIASADD", "a", "b") == "OK"
        else:
            with pytest.raises(redis.ResponseError, match="same slot"):
                send(connection, "FT.ALIASADD", "a", "b")


def test_the_memory_limit_is_part_of_the_profile(new_server: Callable[..., EmbeddedServer]) -> None:
    """Maxmemory and its policy are read."""
    server = new_server(options={"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"})
    with connect(server.url) as connection:
        profile = inspect_server(connection)
    assert (profile.maxmemory, profile.maxmemory_policy) == (100 * 1024 * 1024, "allkeys-lru")


def test_missing_values_are_indexed_where_the_profile_says_so(redis_url: str) -> None:
    """INDEXMISSING, for which there is nothing to ask, is known by version."""
    with connect(redis_url) as connection:
        assert inspect_server(connection).can("index_missing")
        create(connection, "i", "SCHEMA", "t", "TEXT", "INDEXMISSING")


def test_the_profile_is_a_value(redis_url: str) -> None:
    """Two looks at a server that nobody changes differ in memory only."""
    with connect(redis_url) as connection:
        one, other = inspect_server(connection), inspect_server(connection)
    assert isinstance(one, ServerProfile)
    assert replace(one, used_memory=0) == replace(other, used_memory=0)
