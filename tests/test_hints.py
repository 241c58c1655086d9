"""Keyspace notifications as hints, from a real server: named keys, and never certain where one may have been missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers import eventually

from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.documents.hints import Hints


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to a server that sends notifications, as long as the test lasts."""
    with connect(redis_url) as opened:
        client: Any = opened.search
        client.config_set("notify-keyspace-events", "KEA")
        yield opened
        client.config_set("notify-keyspace-events", "")


def listening(connection: Connection, *prefixes: bytes) -> Hints:
    """Hints that are not entered yet."""
    return Hints(nodes=connection.node_clients, prefixes=prefixes)


def is_certain(hints: Hints) -> bool:
    """Whether nothing was missed since the look before this one."""
    return hints.take().certain


def test_written_keys_are_named_by_their_bytes(connection: Connection) -> None:
    """Hashes, deletions and expiries, any bytes; other prefixes are not listened to."""
    client: Any = connection.search
    with listening(connection, b"doc:", b"d[*]:") as hints:
        eventually(lambda: is_certain(hints))
        client.hset("doc:1", "f", "v")
        client.hset(b"doc:\xff\x00{x}", "f", "v")
        client.hset("d[*]:2", "f", "v")
        client.hset("other:1", "f", "v")
        client.delete("doc:1")
        client.hset("doc:3", "f", "v")
        client.pexpire("doc:3", 1)
        eventually(lambda: hints.received >= 7)
        taken = hints.take()
    assert taken.keys == {b"doc:1", b"doc:\xff\x00{x}", b"d[*]:2", b"doc:3"}
    assert taken.certain


def test_each_look_begins_anew(connection: Connection) -> None:
    """A key that was taken is not told again."""
    with listening(connection, b"doc:") as hints:
        eventually(lambda: is_certain(hints))
        connection.search.hset("doc:1", "f", "v")
        eventually(lambda: hints.received > 0)
        assert hints.take().keys == {b"doc:1"}
        assert hints.take().keys == frozenset()


def test_the_first_look_is_never_certain(connection: Connection) -> None:
    """What was written before the subscription stood is unknown."""
    with listening(connection, b"doc:") as hints:
        assert not hints.take().certain
        eventually(lambda: is_certain(hints))


def test_a_server_that_sends_none_gives_no_hints(redis_url: str) -> None:
    """No thread is started, and nothing is certain."""
    with connect(redis_url) as connection, listening(connection, b"doc:") as hints:
        connection.search.hset("doc:1", "f", "v")
        assert not hints.on
        assert not hints.take().certain


@pytest.mark.parametrize("flags", ["Kh", "EA", "K$gx"])
def test_notifications_of_some_kinds_only_are_not_relied_on(redis_url: str, flags: str) -> None:
    """A deletion or an expiry would be missed each time."""
    with connect(redis_url) as connection:
        client: Any = connection.search
        client.config_set("notify-keyspace-events", flags)
        with listening(connection, b"doc:") as hints:
            assert not hints.on
        client.config_set("notify-keyspace-events", "")


def test_a_lost_connection_is_told_and_made_again(connection: Connection) -> None:
    """What came meanwhile was missed: the next look is not certain, a later one is."""
    client: Any = connection.search
    with listening(connection, b"doc:") as hints:
        eventually(lambda: is_certain(hints))
        assert client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        client.hset("doc:1", "f", "v")
        eventually(lambda: not is_certain(hints))
        eventually(lambda: is_certain(hints))
        client.hset("doc:2", "f", "v")
        eventually(lambda: b"doc:2" in hints.take().keys)


def test_more_keys_than_are_remembered_ask_for_a_whole_pass(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound keeps the memory of the tool flat."""
    monkeypatch.setattr("rvlstate.runtime.documents.hints.MOST_KEYS", 2)
    with listening(connection, b"doc:") as hints:
        eventually(lambda: is_certain(hints))
        for number in range(5):
            connection.search.hset(f"doc:{number}", "f", "v")
        eventually(lambda: hints.received == 5)
        taken = hints.take()
    assert len(taken.keys) == 2
    assert not taken.certain


def test_a_cluster_is_listened_to_node_by_node(cluster_url: str) -> None:
    """Notifications stay on the node that they are of."""
    with connect(cluster_url) as connection:
        client: Any = connection.search
        client.config_set("notify-keyspace-events", "KEA")
        with listening(connection, b"doc:") as hints:
            eventually(lambda: is_certain(hints))
            connection.keys.hset("doc:1", "f", "v")
            eventually(lambda: hints.received > 0)
            assert hints.take().keys == {b"doc:1"}
        client.config_set("notify-keyspace-events", "")


def test_nobody_listens_after_the_end(connection: Connection) -> None:
    """No thread and no subscription is left."""
    client: Any = connection.search
    with listening(connection, b"doc:") as hints:
        eventually(lambda: is_certain(hints))
    eventually(lambda: _subscribers(client) == 0)


def _subscribers(client: Any) -> int:
    reply = client.execute_command("PUBSUB", "NUMPAT")
    return int(reply)
