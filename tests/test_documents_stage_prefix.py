"""Copies under a new prefix, which are the documents to be: whose they are, what wins, and when the old keys go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from document_kit import (
    Kept,
    called,
    cast,
    counts,
    floats,
    get_json,
    leftovers,
    put_json,
    rewrite_of,
    staged,
    sweep,
    worker,
)

from rvlstate.model.definition import IndexDefinition
from rvlstate.runtime.connect import Connection, connect

F32, F16 = floats(1, 2, 3, 4), floats(1, 2, 3, 4, form="e")
NEWER, NEWER16 = floats(9, 9, 9, 9), floats(9, 9, 9, 9, form="e")
FAR = 4102444800123

MOVED = staged(cast(moves=(("doc:", "new:"),)), "new_prefix")
PLAIN = staged(rewrite_of(moves=(("doc:", "doc:v2:"),)), "new_prefix")


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


def test_copies_are_made_under_the_new_prefix_and_old_keys_go_at_the_end(connection: Connection, client: Any) -> None:
    """With their expiries; nothing is removed before, and nothing of the new documents ever."""
    client.hset("doc:1", mapping={"v": F32, "title": "a"})
    client.pexpireat("doc:1", FAR)
    client.hset("doc:done", "v", F16)
    before = client.dump("doc:1")
    assert counts(sweep(connection, MOVED, mode="stage")) == {"written": 2}
    assert counts(sweep(connection, MOVED, mode="stage")) == {"done": 2}
    assert client.hgetall("new:1") == {b"v": F16, b"title": b"a"}
    assert client.pexpiretime("new:1") == FAR
    assert client.hgetall("new:done") == {b"v": F16}
    assert client.dump("doc:1") == before
    assert counts(sweep(connection, MOVED, mode="promote")) == {"done": 4}
    assert counts(sweep(connection, MOVED, mode="retire")) == {"promoted": 2}
    for mode in ("retire", "promote"):
        assert sweep(connection, MOVED, mode=mode).unsettled == 0
    worker(connection).tidy(MOVED)
    assert sorted(client.keys("*")) == [b"new:1", b"new:done"]


def test_a_change_of_the_document_is_staged_anew_while_its_copy_is_still_ours(
    connection: Connection, client: Any
) -> None:
    """Before the cutover and after it; once somebody wrote to the copy, that is the newer one and stays."""
    for name in ("ours", "theirs"):
        client.hset(f"doc:{name}", "v", F32)
    sweep(connection, MOVED, mode="stage")
    client.hset("new:theirs", "v", NEWER16)
    for mode in ("stage", "promote"):
        client.hset("doc:ours", "v", floats(len(mode), 0, 0, 0))
        client.hset("doc:theirs", "v", floats(len(mode), 0, 0, 0))
        tally = sweep(connection, MOVED, mode=mode)
        assert (tally.written, tally.bad, tally.moved_on) == (1, 0, 0)
        assert client.hget("new:ours", "v") == floats(len(mode), 0, 0, 0, form="e")
        assert client.hget("new:theirs", "v") == NEWER16
    assert counts(sweep(connection, MOVED, mode="retire")) == {"promoted": 2}
    worker(connection).tidy(MOVED)
    assert sorted(client.keys("*")) == [b"new:ours", b"new:theirs"]


def test_what_was_deleted_under_the_new_prefix_stays_away(connection: Connection, client: Any) -> None:
    """Its old key goes as well, at the end."""
    client.hset("doc:1", "v", F32)
    sweep(connection, MOVED, mode="stage")
    client.delete("new:1")
    assert counts(sweep(connection, MOVED, mode="promote")) == {"done": 1}
    assert counts(sweep(connection, MOVED, mode="retire")) == {"promoted": 1}
    assert client.keys("*:1") == []


@pytest.mark.parametrize("mode", ["stage", "promote", "retire"])
def test_what_was_deleted_under_the_old_prefix_takes_its_copy_along(
    connection: Connection, client: Any, mode: Any
) -> None:
    """Unless somebody wrote to the copy, or it never was ours."""
    for name in ("ours", "theirs", "expired"):
        client.hset(f"doc:{name}", "v", F32)
    sweep(connection, MOVED, mode="stage")
    client.hset("new:theirs", "v", NEWER16)
    client.hset("new:never", "v", NEWER16)
    client.delete("doc:ours", "doc:theirs")
    client.pexpire("doc:expired", 1)
    time.sleep(0.01)
    assert sweep(connection, MOVED, mode=mode).dropped == 2
    assert sorted(client.keys("new:*")) == [b"new:never", b"new:theirs"]


def test_copies_of_retired_documents_are_nobodys_orphans(connection: Connection, client: Any) -> None:
    """Their old keys are gone because we removed them."""
    client.hset("doc:1", "v", F32)
    sweep(connection, MOVED, mode="stage")
    assert sweep(connection, MOVED, mode="retire").promoted == 1
    for mode in ("stage", "promote", "retire"):
        assert sweep(connection, MOVED, mode=mode).dropped == 0
    assert client.hget("new:1", "v") == F16


def test_what_changed_since_is_not_retired_before_it_is_staged(connection: Connection, client: Any) -> None:
    """No late write is lost with its key."""
    client.hset("doc:1", "v", F32)
    sweep(connection, MOVED, mode="stage")
    client.hset("doc:1", "v", NEWER)
    client.hset("doc:late", "v", NEWER)
    assert counts(sweep(connection, MOVED, mode="retire")) == {"written": 2}
    assert counts(sweep(connection, MOVED, mode="retire")) == {"promoted": 2}
    assert (client.hget("new:1", "v"), client.hget("new:late", "v")) == (NEWER16, NEWER16)
    assert client.keys("doc:*") == []


def test_before_the_cutover_a_document_under_the_new_key_is_nobodys_copy(connection: Connection, client: Any) -> None:
    """It is not written over, and the old one is told of and stays."""
    client.hset("doc:1", "v", F32)
    client.hset("new:1", "v", NEWER16)
    tally = sweep(connection, MOVED, mode="stage")
    assert (tally.bad, tally.written) == (1, 0)
    assert "there is a document under its new key new:1" in tally.bad_rows[0].reason
    assert (client.hget("doc:1", "v"), client.hget("new:1", "v")) == (F32, NEWER16)


def test_behind_the_cutover_a_document_under_the_new_key_is_the_newer_one(connection: Connection, client: Any) -> None:
    """A writer of the old layout inserted it after the last pass, one of the new layout wrote it before the next."""
    client.hset("doc:1", "v", F32)
    client.hset("new:1", "v", NEWER16)
    assert sweep(connection, MOVED, mode="promote").bad == 0
    assert (client.hget("doc:1", "v"), client.hget("new:1", "v")) == (F32, NEWER16)
    assert sweep(connection, MOVED, mode="retire").bad == 0
    assert sweep(connection, MOVED, mode="retire").bad == 0
    assert (client.exists("doc:1"), client.hget("new:1", "v")) == (0, NEWER16)


def test_a_late_write_of_the_old_layout_under_the_new_prefix_is_converted_there(
    connection: Connection, client: Any
) -> None:
    """After the cutover, as it is in place."""
    client.hset("doc:1", "v", F32)
    sweep(connection, MOVED, mode="stage")
    client.hset("new:1", "v", NEWER)
    client.hset("new:2", "v", NEWER)
    assert sweep(connection, MOVED, mode="promote").written == 2
    assert (client.hget("new:1", "v"), client.hget("new:2", "v")) == (NEWER16, NEWER16)


def test_a_write_between_reading_and_writing_is_not_written_over(connection: Connection, client: Any) -> None:
    """Neither under the old key nor under the new one."""
    rewrite = staged(rewrite_of(called("a", "b"), moves=(("doc:", "new:"),)), "new_prefix")
    for name in ("old", "new", "gone"):
        client.hset(f"doc:{name}", "a", "1")
    done: list[object] = []

    def meddle(texts: list[str]) -> list[str]:
        if not done:
            done.append(client.hset("doc:old", "a", "2"))
            client.hset("new:new", "b", "3")
            client.delete("doc:gone")
        return texts

    functions = {"m:f": meddle}
    tally = sweep(connection, rewrite, mode="stage", functions=functions)
    assert counts(tally) == {"moved_on": 1, "gone": 1, "bad": 1}
    tally = sweep(connection, rewrite, mode="stage", functions=functions)
    assert counts(tally) == {"written": 1, "bad": 1}
    assert client.hgetall("new:old") == {b"a": b"2", b"b": b"2"}
    assert client.hgetall("new:new") == {b"b": b"3"}


def test_a_longer_prefix_of_the_same_beginning(connection: Connection, client: Any) -> None:
    """A copy looks like a document that is to be moved, and is none."""
    client.hset("doc:1", "title", "a")
    client.hset("doc:{b}:2", "title", "b")
    assert sweep(connection, PLAIN, mode="stage").written == 2
    assert sweep(connection, PLAIN, mode="stage").unsettled == 0
    assert sorted(client.keys("doc:*")) == [b"doc:1", b"doc:v2:1", b"doc:v2:{b}:2", b"doc:{b}:2"]
    assert sweep(connection, PLAIN, mode="promote").unsettled == 0
    assert sweep(connection, PLAIN, mode="retire").promoted == 2
    assert sorted(client.keys("doc:*")) == [b"doc:v2:1", b"doc:v2:{b}:2"]


def test_a_shorter_prefix_of_the_same_beginning(connection: Connection, client: Any) -> None:
    """A copy may have a key that is to be moved itself: it is known to be one."""
    rewrite = staged(rewrite_of(prefixes=("a:b:",), moves=(("a:b:", "a:"),)), "new_prefix")
    client.hset("a:b:b:1", "title", "x")
    client.hset("a:b:2", "title", "y")
    for mode in ("stage", "stage", "promote"):
        sweep(connection, rewrite, mode=mode)
    assert sorted(client.keys("a:*")) == [b"a:2", b"a:b:1", b"a:b:2", b"a:b:b:1"]
    sweep(connection, rewrite, mode="retire")
    assert sweep(connection, rewrite, mode="retire").unsettled == 0
    assert sorted(client.keys("a:*")) == [b"a:2", b"a:b:1"]


def test_the_last_pass_of_all_moves_what_comes_later_still(connection: Connection, client: Any) -> None:
    """Mode "write" after completion: a late key of the old prefix gets the new one, as in a change with downtime."""
    client.hset("doc:1", "v", F32)
    for mode in ("stage", "promote", "retire"):
        sweep(connection, MOVED, mode=mode)
    client.hset("doc:2", "v", NEWER)
    assert sweep(connection, MOVED, mode="write").written == 1
    assert (client.hget("new:1", "v"), client.hget("new:2", "v")) == (F16, NEWER16)


@pytest.mark.requires("json")
def test_storage_and_prefix_change_at_once(connection: Connection, client: Any) -> None:
    """The copy is of the new type at its new key."""
    rewrite = replace(
        MOVED,
        fields=(),
        before=IndexDefinition(storage="json", prefixes=("doc:",)),
        after=IndexDefinition(storage="hash", prefixes=("new:",)),
    )
    put_json(client, "doc:1", {"title": "a"})
    client.pexpireat("doc:1", FAR)
    assert counts(sweep(connection, rewrite, mode="stage")) == {"written": 1}
    assert counts(sweep(connection, rewrite, mode="stage")) == {"done": 1}
    assert get_json(client, "doc:1") == {"title": "a"}
    assert client.hgetall("new:1") == {b"title": b"a"}
    assert client.pexpiretime("new:1") == FAR
    assert sweep(connection, rewrite, mode="retire").promoted == 1


def test_originals_tell_of_documents_that_only_move(connection: Connection, client: Any) -> None:
    """So that a restoration finds them."""
    client.hset("doc:1", "title", "a")
    kept = Kept()
    sweep(connection, PLAIN, mode="stage", originals=kept)
    assert [(row.key, row.before) for row in kept.rows] == [(b"doc:1", {})]


def test_on_a_cluster_only_keys_of_one_slot_can_be_copied(cluster_url: str) -> None:
    """The others are told of, and nothing is refused half-way."""
    with connect(cluster_url) as connection, redis.from_url(cluster_url.replace("redis+cluster", "redis")) as client:
        client.hset("doc:{a}:1", "v", F32)
        client.hset("doc:2", "v", F32)
        tally = sweep(connection, MOVED, mode="stage")
        assert (tally.written, tally.bad) == (1, 1)
        assert "in another slot" in tally.bad_rows[0].reason
        client.delete("doc:{a}:1")
        assert sweep(connection, MOVED, mode="promote").dropped == 1
        worker(connection).tidy(MOVED)
        assert leftovers(client) == []
