"""Staged copies that take the place of their documents, by rename or by writing back: each row of the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from conftest import NewServer
from document_kit import (
    STAGE,
    Kept,
    StopAfter,
    called,
    cast,
    copy_of,
    counts,
    floats,
    get_json,
    leftovers,
    made,
    put_json,
    renamed,
    rewrite_of,
    staged,
    sweep,
    vector,
    worker,
)
from redis.crc import key_slot
from servers import connected, kill, start_server

from rvlstate.errors import InterruptedRunError, LockLostError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source
from rvlstate.model.transform import Call
from rvlstate.runtime.connect import Connection, connect

F32, F16 = floats(1, 2, 3, 4), floats(1, 2, 3, 4, form="e")
NEWER, NEWER16 = floats(9, 9, 9, 9), floats(9, 9, 9, 9, form="e")
FAR = 4102444800123

CAST = staged(cast())
BACK = staged(rewrite_of(renamed("a", "b")), "write_back")


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to the emptied server."""
    with connect(redis_url) as opened:
        yield opened


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    """A plain client of the same server, in bytes."""
    with redis.from_url(server.url) as opened:
        yield opened


def meddled(meddle: Callable[[], object], rewrite: Rewrite = CAST) -> tuple[Rewrite, dict[str, Callable[..., Any]]]:
    """The cast by a function of the user's own, before which something is done to the documents, once."""
    done: list[object] = []

    def passed_on(values: Any) -> Any:
        if not done:
            done.append(meddle())
        return values

    item = FieldRewrite(
        field="v", reads=(vector(),), steps=(Call(function="m:f"),), writes=vector("float16"), layout="length"
    )
    return staged(rewrite_of(item), rewrite.promotion), {"m:f": passed_on}


def test_staging_leaves_documents_as_they_are_and_finds_nothing_to_do_again(
    connection: Connection, client: Any
) -> None:
    """A copy in the new layout, with the expiries of the document and of its fields."""
    client.hset("doc:1", mapping={"v": F32, "title": "a"})
    client.pexpireat("doc:1", FAR)
    client.execute_command("HPEXPIREAT", "doc:1", FAR - 1, "FIELDS", 1, "v")
    client.execute_command("HPEXPIREAT", "doc:1", FAR - 2, "FIELDS", 1, "title")
    client.hset("doc:done", "v", F16)
    client.hset("doc:none", "title", "b")
    client.set("doc:text", "t")
    before = client.dump("doc:1")
    tally = sweep(connection, CAST, mode="stage")
    assert counts(tally) == {"written": 1, "done": 2, "foreign": 1}
    assert client.dump("doc:1") == before
    assert client.hgetall(copy_of("doc:1")) == {b"v": F16, b"title": b"a"}
    assert client.pexpiretime(copy_of("doc:1")) == FAR
    told = client.execute_command("HPEXPIRETIME", copy_of("doc:1"), "FIELDS", 2, "v", "title")
    assert told == [FAR - 1, FAR - 2]
    assert not client.exists(copy_of("doc:done"), copy_of("doc:none"))
    assert counts(sweep(connection, CAST, mode="stage")) == {"done": 3, "foreign": 1}


@pytest.mark.parametrize("rewrite", [CAST, BACK], ids=["rename", "write-back"])
def test_what_changed_since_is_staged_anew(connection: Connection, client: Any, rewrite: Rewrite) -> None:
    """Its values, its expiry, or that of one field: the copy is of exactly what the document holds."""
    for name in ("same", "value", "other", "expiry", "field"):
        client.hset(f"doc:{name}", mapping={"v": F32, "a": "x", "title": "a"})
    assert sweep(connection, rewrite, mode="stage").written == 5
    client.hset("doc:value", mapping={"v": NEWER, "a": "y"})
    client.hset("doc:other", "title", "b")
    client.pexpireat("doc:expiry", FAR)
    client.execute_command("HPEXPIREAT", "doc:field", FAR, "FIELDS", 1, "title")
    assert counts(sweep(connection, rewrite, mode="stage")) == {"written": 4, "done": 1}
    assert client.hget(copy_of("doc:value"), "v") == (NEWER16 if rewrite is CAST else NEWER)
    assert client.hget(copy_of("doc:value"), "b") == (None if rewrite is CAST else b"y")
    assert client.hget(copy_of("doc:other"), "title") == b"b"
    assert client.pexpiretime(copy_of("doc:expiry")) == FAR
    assert client.execute_command("HPEXPIRETIME", copy_of("doc:field"), "FIELDS", 1, "title") == [FAR]


@pytest.mark.parametrize("mode", ["stage", "promote"])
@pytest.mark.parametrize("rewrite", [CAST, BACK], ids=["rename", "write-back"])
def test_the_copy_of_what_is_gone_goes_and_nothing_comes_back(
    connection: Connection, client: Any, mode: Any, rewrite: Rewrite
) -> None:
    """Deleted, expired, or another type by now."""
    for name in ("deleted", "expired", "text"):
        client.hset(f"doc:{name}", mapping={"v": F32, "a": "x"})
    sweep(connection, rewrite, mode="stage")
    client.delete("doc:deleted", "doc:text")
    client.set("doc:text", "t")
    client.pexpire("doc:expired", 1)
    time.sleep(0.01)
    assert counts(sweep(connection, rewrite, mode=mode)) == {"foreign": 1, "dropped": 3}
    assert client.keys("doc:*") == [b"doc:text"]
    assert not client.keys(f"{STAGE}*")


@pytest.mark.parametrize("mode", ["stage", "promote"])
def test_by_rename_a_writer_of_the_new_layout_wins(connection: Connection, client: Any, mode: Any) -> None:
    """The document is in the new index by itself; its copy would answer for what it was."""
    client.hset("doc:1", "v", F32)
    sweep(connection, CAST, mode="stage")
    client.hset("doc:1", "v", NEWER16)
    assert counts(sweep(connection, CAST, mode=mode)) == {"done": 1, "dropped": 1}
    assert client.hgetall("doc:1") == {b"v": NEWER16}
    assert not client.exists(copy_of("doc:1"))


def test_by_rename_copies_take_the_place_of_documents(connection: Connection, client: Any) -> None:
    """All expiries come along; what was written since is converted where it is, and its copy goes."""
    for name in ("clean", "dirty"):
        client.hset(f"doc:{name}", mapping={"v": F32, "title": "a"})
        client.pexpireat(f"doc:{name}", FAR)
        client.execute_command("HPEXPIREAT", f"doc:{name}", FAR - 1, "FIELDS", 1, "title")
    sweep(connection, CAST, mode="stage")
    client.hset("doc:dirty", "v", NEWER)
    client.hset("doc:late", "v", NEWER)
    assert counts(sweep(connection, CAST, mode="promote")) == {"promoted": 1, "written": 2, "dropped": 1}
    assert client.hgetall("doc:clean") == {b"v": F16, b"title": b"a"}
    assert client.hgetall("doc:dirty") == {b"v": NEWER16, b"title": b"a"}
    assert client.hgetall("doc:late") == {b"v": NEWER16}
    for name in ("clean", "dirty"):
        assert client.pexpiretime(f"doc:{name}") == FAR
        assert client.execute_command("HPEXPIRETIME", f"doc:{name}", "FIELDS", 1, "title") == [FAR - 1]
    assert not client.keys(f"{STAGE}*")
    assert counts(sweep(connection, CAST, mode="promote")) == {"done": 3}


def test_by_writing_back_copies_stay_and_are_what_documents_are(connection: Connection, client: Any) -> None:
    """The index over the copies serves meanwhile: each write of either layout has to get there."""
    client.hset("doc:old", "a", "1")
    client.hset("doc:dirty", "a", "2")
    client.hset("doc:new", "b", "3")
    client.hset("doc:neither", "title", "t")
    client.pexpireat("doc:old", FAR)
    assert counts(sweep(connection, BACK, mode="stage")) == {"written": 4}
    assert client.hgetall(copy_of("doc:neither")) == {b"title": b"t"}
    assert counts(sweep(connection, BACK, mode="stage")) == {"done": 4}
    client.hset("doc:dirty", "a", "4")
    client.hset("doc:new", "b", "5")
    client.hset("doc:late", "a", "6")
    assert counts(sweep(connection, BACK, mode="promote")) == {"promoted": 1, "written": 3, "done": 1}
    expected = {"old": {b"b": b"1"}, "dirty": {b"b": b"4"}, "new": {b"b": b"5"}, "late": {b"b": b"6"}}
    for name, values in expected.items():
        assert client.hgetall(f"doc:{name}") == client.hgetall(copy_of(f"doc:{name}")) == values
    assert client.pexpiretime("doc:old") == client.pexpiretime(copy_of("doc:old")) == FAR
    assert counts(sweep(connection, BACK, mode="promote")) == {"done": 5}


@pytest.mark.parametrize(
    ("promotion", "first"), [("rename", {"done": 1, "dropped": 1}), ("write_back", {"written": 1})]
)
def test_a_document_of_which_nothing_can_be_made_settles(
    connection: Connection, client: Any, promotion: Any, first: dict[str, int]
) -> None:
    """It has no copy of what it was before; where only copies answer, it is copied as it is."""
    rewrite = staged(rewrite_of(called("a", "b")), promotion)
    functions = {"m:f": lambda texts: [text if text == "x" else None for text in texts]}
    client.hset("doc:1", mapping={"a": "x", "title": "t"})
    assert counts(sweep(connection, rewrite, mode="stage", functions=functions)) == {"written": 1}
    client.hset("doc:1", "a", "nothing")
    assert counts(sweep(connection, rewrite, mode="stage", functions=functions)) == first
    expected = {} if promotion == "rename" else {b"a": b"nothing", b"title": b"t"}
    for mode in ("stage", "promote", "promote"):
        assert client.hgetall(copy_of("doc:1")) == expected
        assert counts(sweep(connection, rewrite, mode=mode, functions=functions)) == {"done": 1}


@pytest.mark.parametrize("promotion", ["rename", "write_back"])
def test_a_write_between_reading_and_writing_is_never_lost(connection: Connection, client: Any, promotion: Any) -> None:
    """Neither while copies are made nor while late writes are converted; what is deleted stays so."""
    for mode in ("stage", "promote"):
        client.flushall()
        client.hset("doc:1", "v", F32)
        client.hset("doc:gone", "v", F32)

        def meddle() -> None:
            client.hset("doc:1", "v", NEWER)
            client.delete("doc:gone")

        rewrite, functions = meddled(meddle, staged(cast(), promotion))
        tally = sweep(connection, rewrite, mode=mode, functions=functions)
        assert counts(tally) == {"moved_on": 1, "gone": 1}
        assert client.hgetall("doc:1") == {b"v": NEWER}
        assert not client.keys(f"{STAGE}*")
        assert sweep(connection, rewrite, mode=mode, functions=functions).written == 1
        assert client.hget("doc:1" if mode == "promote" else copy_of("doc:1"), "v") == NEWER16


def test_an_unrelated_write_meanwhile_is_in_the_copy(connection: Connection, client: Any) -> None:
    """Only what the transform reads has to be as it was; the copy is of what is there then."""
    client.hset("doc:1", mapping={"v": F32, "title": "a"})
    rewrite, functions = meddled(lambda: client.hset("doc:1", "title", "b"))
    assert sweep(connection, rewrite, mode="stage", functions=functions).written == 1
    assert client.hgetall(copy_of("doc:1")) == {b"v": F16, b"title": b"b"}
    assert counts(sweep(connection, rewrite, mode="stage", functions=functions)) == {"done": 1}


def test_what_cannot_be_transformed_any_more_has_no_copy(connection: Connection, client: Any) -> None:
    """An answer that tells of what it was before would be a lost update."""
    client.hset("doc:1", "v", F32)
    sweep(connection, CAST, mode="stage")
    client.hset("doc:1", "v", b"seven b")
    for mode in ("stage", "promote"):
        assert sweep(connection, CAST, mode=mode).bad == 1
        assert not client.exists(copy_of("doc:1"))
    assert client.hget("doc:1", "v") == b"seven b"


@pytest.mark.requires("json")
def test_json_documents_are_staged_and_promoted(connection: Connection, client: Any) -> None:
    """With paths that are missing above, and numbers that the server spells in its own way."""
    item = FieldRewrite(
        field="v",
        reads=(Source(identifier="$.a"),),
        steps=called("$.a", "$.deep.b").steps,
        writes=Source(identifier="$.deep.b"),
        removes=("$.a",),
        layout="absence",
    )
    rewrite = staged(rewrite_of(item, storage="json"), "write_back")
    functions = {"m:f": lambda texts: [f"{text}!" for text in texts]}
    put_json(client, "doc:1", {"a": "x", "n": 0.1, "m": [1e22, 3]})
    put_json(client, "doc:2", {"a": "y"})
    put_json(client, "doc:odd", {"a": "z", "deep": 7})
    client.pexpireat("doc:1", FAR)
    assert counts(sweep(connection, rewrite, mode="stage", functions=functions)) == {"written": 2, "bad": 1}
    assert get_json(client, "doc:1") == {"a": "x", "n": 0.1, "m": [1e22, 3]}
    assert get_json(client, copy_of("doc:1")) == {"deep": {"b": "x!"}, "n": 0.1, "m": [1e22, 3]}
    assert not client.exists(copy_of("doc:odd"))
    put_json(client, "doc:2", {"a": "w"})
    tally = sweep(connection, rewrite, mode="promote", functions=functions)
    assert counts(tally) == {"promoted": 1, "written": 1, "bad": 1}
    assert get_json(client, "doc:1") == get_json(client, copy_of("doc:1"))
    assert get_json(client, "doc:2") == {"deep": {"b": "w!"}}
    assert client.pexpiretime("doc:1") == client.pexpiretime(copy_of("doc:1")) == FAR
    tally = sweep(connection, rewrite, mode="promote", functions=functions)
    assert counts(tally) == {"done": 2, "bad": 1}


@pytest.mark.requires("json")
@pytest.mark.parametrize("into", ["json", "hash"])
def test_a_change_of_storage_is_staged_and_renamed(connection: Connection, client: Any, into: Any) -> None:
    """The document keeps its key and its expiry; a late write of the old type is converted where it is."""
    storage: Any = "hash" if into == "json" else "json"
    rewrite = staged(
        rewrite_of(
            before=IndexDefinition(storage=storage, prefixes=("doc:",)),
            after=IndexDefinition(storage=into, prefixes=("doc:",)),
        )
    )

    def write(key: str, title: str, kind: str) -> None:
        client.delete(key)
        if kind == "hash":
            client.hset(key, "title", title)
        else:
            put_json(client, key, {"title": title})

    def read(key: str) -> Any:
        if client.type(key) == b"hash":
            return "hash", client.hget(key, "title").decode()
        return "json", get_json(client, key)["title"]

    for name in ("clean", "dirty", "newer", "gone"):
        write(f"doc:{name}", name, storage)
    client.pexpireat("doc:clean", FAR)
    assert counts(sweep(connection, rewrite, mode="stage")) == {"written": 4}
    assert read(copy_of("doc:clean")) == (into, "clean")
    assert read("doc:clean") == (storage, "clean")
    assert client.pexpiretime(copy_of("doc:clean")) == FAR
    assert counts(sweep(connection, rewrite, mode="stage")) == {"done": 4}
    write("doc:dirty", "late", storage)
    write("doc:newer", "new", into)
    client.delete("doc:gone")
    tally = sweep(connection, rewrite, mode="promote")
    assert counts(tally) == {"promoted": 1, "written": 1, "done": 1, "dropped": 3}
    assert [read(f"doc:{name}") for name in ("clean", "dirty", "newer")] == [
        (into, "clean"),
        (into, "late"),
        (into, "new"),
    ]
    assert client.pexpiretime("doc:clean") == FAR
    assert len(client.keys("doc:*")) == 3
    assert not client.keys(f"{STAGE}*")


@pytest.mark.parametrize("promotion", ["rename", "write_back"])
@pytest.mark.parametrize("prefixes", [("",), ("do", "doc:")], ids=["empty", "overlapping"])
def test_copies_and_marks_are_no_documents_whatever_the_prefix(
    connection: Connection, client: Any, prefixes: tuple[str, ...], promotion: Any
) -> None:
    """Each document is handled once, and a copy is never copied; keys may hold braces and any bytes."""
    rewrite = staged(cast(prefixes=prefixes), promotion)
    keys = [b"doc:1", b"doc:{a}:2", b"doc:}{", b"doc:{}", b"doc:\xff:*[x]", b"doc:rvlstate:stage:"]
    for key in keys:
        client.hset(key, "v", F32)
    assert counts(sweep(connection, rewrite, mode="stage")) == {"written": len(keys)}
    assert counts(sweep(connection, rewrite, mode="stage")) == {"done": len(keys)}
    client.delete(keys[1])
    assert counts(sweep(connection, rewrite, mode="stage")) == {"done": len(keys) - 1, "dropped": 1}
    assert sweep(connection, rewrite, mode="promote").promoted == len(keys) - 1
    assert {key: client.hget(key, "v") for key in keys if key != keys[1]} == {k: F16 for k in keys if k != keys[1]}
    worker(connection).tidy(rewrite)
    assert leftovers(client) == [b"doc:rvlstate:stage:"]


@pytest.mark.parametrize("promotion", ["rename", "write_back"])
def test_on_a_cluster_copies_are_in_the_slots_of_their_documents(cluster_url: str, promotion: Any) -> None:
    """Braces in the name of the index decide nothing; tidying up finds all copies and all marks."""
    rewrite = staged(cast(), promotion)
    rewrite = Rewrite(
        **{
            **{name: getattr(rewrite, name) for name in rewrite.__slots__},
            "id": "{products}-3",
            "stage": "rvlstate:stage:shop.%7Bproducts%7D-3:",
        }
    )
    with connect(cluster_url) as connection, redis.from_url(cluster_url.replace("redis+cluster", "redis")) as client:
        keys = [*(f"doc:{number}" for number in range(200)), "doc:{a}:1", "doc:{a}:2", "doc:{}"]
        for key in keys:
            client.hset(key, "v", F32)
        assert counts(sweep(connection, rewrite, mode="stage")) == {"written": len(keys)}
        copies = client.keys(f"{rewrite.stage}*")
        assert len(copies) == len(keys)
        assert all(key_slot(copy) == key_slot(copy.split(b"}:", 1)[1]) for copy in copies)
        assert all(client.hget(key, "v") == F32 for key in keys)
        client.delete("doc:{a}:2")
        client.hset("doc:{a}:1", "v", NEWER)
        tally = sweep(connection, rewrite, mode="promote")
        assert (tally.promoted, tally.written) == (len(keys) - 2, 1)
        assert client.hget("doc:{a}:1", "v") == NEWER16
        assert counts(sweep(connection, rewrite, mode="promote")) == {"done": len(keys) - 1}
        client.hset("rvlstate:stage:shop.other:{0}:doc:1", "v", F16)
        for _ in range(2):
            worker(connection).tidy(rewrite)
        assert leftovers(client) == [b"rvlstate:stage:shop.other:{0}:doc:1"]


def test_braces_in_the_name_of_an_index_leave_marks_in_the_slot_of_the_document(cluster_url: str) -> None:
    """In place as well: a script may touch a document and its mark only if both are in one slot."""
    rewrite = rewrite_of(called("m", "m", layout="marker"))
    rewrite = Rewrite(**{**{name: getattr(rewrite, name) for name in rewrite.__slots__}, "id": "{pro}{ducts%-3"})
    functions = {"m:f": lambda texts: [f"{text}!" for text in texts]}
    with connect(cluster_url) as connection, redis.from_url(cluster_url.replace("redis+cluster", "redis")) as client:
        for number in range(20):
            client.hset(f"doc:{number}", "m", "x")
        assert sweep(connection, rewrite, functions=functions).written == 20
        assert sweep(connection, rewrite, functions=functions).done == 20
        worker(connection).tidy(rewrite)
        assert leftovers(client) == []


def test_what_a_filter_leaves_out_has_no_copy(connection: Connection, client: Any) -> None:
    """Nor does what it left out since."""
    client.execute_command(
        "FT.CREATE", "members", "ON", "HASH", "PREFIX", 1, "doc:", "FILTER", "@kind=='a'", "SCHEMA", "kind", "TAG"
    )
    for name, kind in (("1", "a"), ("2", "a"), ("3", "b")):
        client.hset(f"doc:{name}", mapping={"v": F32, "kind": kind})
    assert counts(sweep(connection, CAST, mode="stage", members="members")) == {"written": 2, "excluded": 1}
    client.hset("doc:2", "kind", "b")
    tally = sweep(connection, CAST, mode="promote", members="members")
    assert counts(tally) == {"promoted": 1, "excluded": 2, "dropped": 1}
    assert [len(client.hget(f"doc:{name}", "v")) for name in "123"] == [8, 16, 16]


def test_originals_are_kept_when_the_copy_is_made(connection: Connection, client: Any) -> None:
    """And for what is converted in place; not for what is promoted, which was kept already."""
    client.hset("doc:1", "v", F32)
    kept = Kept()
    sweep(connection, CAST, mode="stage", originals=kept)
    assert [(row.key, row.before) for row in kept.rows] == [(b"doc:1", {b"v": F32})]
    client.hset("doc:2", "v", NEWER)
    sweep(connection, CAST, mode="promote", originals=kept)
    assert [(row.key, row.before) for row in kept.rows[1:]] == [(b"doc:2", {b"v": NEWER})]


def test_a_pass_that_was_stopped_goes_on_and_looks_for_orphans_all_the_same(
    connection: Connection, client: Any
) -> None:
    """Counts come along."""
    for number in range(2000):
        client.hset(f"doc:{number}", "v", F32)
    with pytest.raises(InterruptedRunError):
        sweep(connection, CAST, mode="stage", pacer=StopAfter(6), batch_size=100)
    assert 0 < len(client.keys(f"{STAGE}*")) < 2000
    client.hset(copy_of("doc:never"), "v", F16)
    tally = sweep(connection, CAST, mode="stage", resume=True, batch_size=100)
    assert (tally.seen, tally.dropped) == (2000, 1)
    assert len(client.keys(f"{STAGE}*")) == 2000
    assert counts(sweep(connection, CAST, mode="stage")) == {"done": 2000}


def test_a_server_that_was_restarted_knows_its_copies_again(new_server: NewServer) -> None:
    """It tells the fields of a hash in another order then."""
    server = new_server()
    rewrite = staged(rewrite_of(*cast().fields, made("a", "b")), "write_back")
    with connected(server) as client, connect(server.url) as connection:
        for number in range(100):
            more = {f"field {n}": f"{n}" * 70 for n in range(20)}
            client.hset(f"doc:{number}", mapping={"v": F32, "a": "x", **more})
        assert sweep(connection, rewrite, mode="stage").written == 100
        client.execute_command("BGREWRITEAOF")
        kill(server)
    start_server(server.folder)
    with connect(server.url) as connection:
        assert counts(sweep(connection, rewrite, mode="stage")) == {"done": 100}


def test_tidying_up_asks_before_each_batch_and_goes_on_after_a_stop(connection: Connection, client: Any) -> None:
    """Nothing but copies goes, and who lost the lease removes none."""
    for number in range(300):
        client.hset(f"doc:{number}", "v", F32)
    sweep(connection, CAST, mode="stage")

    def lost() -> None:
        raise LockLostError("the lease went to somebody else")

    with pytest.raises(LockLostError):
        worker(connection, guard=lost).tidy(CAST)
    assert len(client.keys(f"{STAGE}*")) == 300
    with pytest.raises(InterruptedRunError):
        worker(connection, pacer=StopAfter(2)).tidy(CAST)
    assert 0 < len(client.keys(f"{STAGE}*")) < 300
    for _ in range(2):
        worker(connection).tidy(CAST)
        assert leftovers(client) == []
    assert len(client.keys("doc:*")) == 300


def test_an_old_and_another_new_value_are_a_question_before_the_cutover(connection: Connection, client: Any) -> None:
    """Nobody writes the new layout yet: one of the two would be lost, and the user knows which is meant."""
    client.hset("doc:1", mapping={"a": "one", "b": "another"})
    client.hset("doc:2", mapping={"a": "same", "b": "same"})
    tally = sweep(connection, BACK, mode="stage")
    assert counts(tally) == {"written": 1, "bad": 1}
    assert [(row.key, row.field) for row in tally.bad_rows] == [("doc:1", "b")]
    assert not client.exists(copy_of("doc:1"))
    assert client.hgetall(copy_of("doc:2")) == {b"b": b"same"}


def test_a_new_value_that_came_after_staging_replaces_the_old_one_that_did_not_change(
    connection: Connection, client: Any
) -> None:
    """A writer of the new layout changed one field of a document that was not promoted yet."""
    client.hset("doc:1", mapping={"a": "one", "c": "x"})
    sweep(connection, BACK, mode="stage")
    client.hset("doc:1", "b", "by a new writer")
    tally = sweep(connection, BACK, mode="promote")
    assert (tally.written, tally.ambiguous) == (1, 0)
    assert client.hgetall("doc:1") == {b"b": b"by a new writer", b"c": b"x"} == client.hgetall(copy_of("doc:1"))


def test_where_both_values_changed_since_staging_both_stay(connection: Connection, client: Any) -> None:
    """Either may be the later one: the new one is found, the old one is not lost, and the document has its copy."""
    client.hset("doc:1", mapping={"a": "one", "c": "x"})
    sweep(connection, BACK, mode="stage")
    client.hset("doc:1", mapping={"a": "by an old writer", "b": "by a new writer"})
    tally = sweep(connection, BACK, mode="promote")
    assert (tally.written, tally.ambiguous, tally.bad) == (1, 1, 0)
    both = {b"a": b"by an old writer", b"b": b"by a new writer", b"c": b"x"}
    assert client.hgetall("doc:1") == both == client.hgetall(copy_of("doc:1"))
    assert sweep(connection, BACK, mode="promote").unsettled == 0
