"""Connecting: every kind of address, what breaks and how it is explained, and that no password is ever shown."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from raw_servers import eventually, free_port, raw_server, socket_server, two_nodes
from servers import EmbeddedServer

from rvlstate.errors import CapabilityMissingError, ServerUnreachableError
from rvlstate.runtime import connect as module
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.profile import inspect_server

SECRET = "pa:55/w#rd@%"  # noqa: S105  # of a user that exists for one test
ENCODED = "pa%3A55%2Fw%23rd%40%25"
WRONG = "wr0ng%40pw"
PROTOCOLS = (2, 3)


def protocol_of(client: Any) -> int:
    """The protocol that the server speaks with this client."""
    reply = command(client, "HELLO")
    return int(reply["proto"] if isinstance(reply, dict) else reply[reply.index("proto") + 1])


@contextmanager
def user(url: str, name: str, *rules: str) -> Iterator[None]:
    """A user of the server, for a while."""
    with connect(url) as connection:
        command(connection.search, "ACL SETUSER", name, "reset", "on", f">{SECRET}", *rules)
        try:
            yield
        finally:
            command(connection.search, "ACL DELUSER", name)


def with_user(url: str, name: str, password: str = ENCODED) -> str:
    """The address with user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{name}:{password}@{rest}"


def failure(url: str) -> ServerUnreachableError:
    """The error that connecting ends in."""
    with pytest.raises(ServerUnreachableError) as caught:
        connect(url)
    return caught.value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_is_reached_by_its_socket(redis_url: str, protocol: int) -> None:
    """unix:// gives clients that speak the protocol that was asked for."""
    with connect(redis_url, protocol=protocol) as connection:
        assert connection.url == redis_url
        assert protocol_of(connection.search) == protocol
        assert connection.keys.set("k", "v")
        assert connection.search.get("k") == "v"
        assert connection.node_clients() == (connection.search,)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cluster_is_noticed_behind_any_scheme(cluster_url: str, scheme: str, protocol: int) -> None:
    """A cluster-enabled server is used as a cluster, also when the address says redis://."""
    url = f"{scheme}://{cluster_url.partition('://')[2]}"
    with connect(url, protocol=protocol) as connection:
        assert isinstance(connection.keys, redis.RedisCluster)
        for key in ("a", "b", "{c}:state"):
            assert connection.keys.set(key, key)
        (node,) = connection.node_clients()
        assert sorted(node.scan_iter()) == ["a", "b", "{c}:state"]
        assert protocol_of(connection.search) == protocol
        assert command(connection.search, "FT._LIST") == []


def test_the_protocol_in_the_url_wins(redis_url: str) -> None:
    """`?protocol=2` is honoured."""
    with connect(f"{redis_url}?protocol=2", protocol=3) as connection:
        assert protocol_of(connection.search) == 2
        assert protocol_of(connection.keys) == 2


def test_an_embedded_server_is_started(server_folder: Path) -> None:
    """embedded://DIR starts the server and shows the address that was written."""
    with connect(f"embedded://{server_folder}") as connection:
        assert connection.url == f"embedded://{server_folder}"
        assert inspect_server(connection).search


def test_a_relative_embedded_folder_is_refused() -> None:
    """Relative to what, only the project file knows."""
    assert "absolute" in str(failure("embedded://.rvlstate/redis"))


def test_names_and_keys_need_not_be_utf_8(redis_url: str) -> None:
    """Bytes that are no UTF-8 are decoded so that they can be sent back, also in pipelines."""
    raw = b"doc:\xff\xfe"
    with redis.from_url(redis_url) as plain:
        plain.set(raw, "v")
    with connect(redis_url) as connection:
        (key,) = connection.search.scan_iter()
        assert key.encode("utf-8", "surrogateescape") == raw
        assert connection.search.get(key) == connection.keys.get(key) == "v"
        assert connection.ask([("GET", key), ("EXISTS", key)]) == ["v", 1]


def test_keys_of_a_cluster_need_not_be_utf_8(cluster_url: str) -> None:
    """The same through the client that routes by slot."""
    with connect(cluster_url) as connection:
        key = b"doc:\xff".decode("utf-8", "surrogateescape")
        assert connection.keys.set(key, "v")
        assert connection.keys.get(key) == "v"


def test_a_connection_closes_its_sockets(new_server: Callable[..., EmbeddedServer]) -> None:
    """Nothing stays open after the block, on a server or on a cluster."""
    for server in (new_server(), new_server(cluster=True)):
        with connect(server.url) as watcher:
            others = len(watcher.search.client_list())
            with connect(server.url) as connection:
                assert connection.keys.get("k") is connection.search.get("k")
                assert len(watcher.search.client_list()) > others
            eventually(lambda watcher=watcher, others=others: len(watcher.search.client_list()) == others)  # type: ignore[misc]


def test_closing_twice_is_fine(redis_url: str) -> None:
    """close() may be called inside the block."""
    with connect(redis_url) as connection:
        connection.close()


def kill_blocked(url: str) -> None:
    """Breaks the connection of the client that waits in a blocking command."""
    with connect(url) as killer:

        def blocked() -> list[str]:
            return [client["id"] for client in killer.search.client_list() if "b" in client["flags"]]

        eventually(blocked)
        killer.search.client_kill_filter(_id=blocked()[0])


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Runs `work` beside the test; what it returns or raises ends up in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except (redis.RedisError, ServerUnreachableError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_command_to_the_server_is_never_sent_twice(redis_url: str) -> None:
    """When the connection breaks, nobody knows whether FT.CREATE was carried out: the caller is told."""
    with connect(redis_url) as connection:
        thread, outcome = in_thread(lambda: command(connection.search, "BLPOP", "queue", "0"))
        kill_blocked(redis_url)
        thread.join()
        assert isinstance(outcome[0], redis.ConnectionError)
        assert connection.keys.rpush("queue", "x") == 1
        assert connection.keys.llen("queue") == 1


def test_keys_are_sent_again(redis_url: str) -> None:
    """What is written through `keys` may be sent again, and is."""
    with connect(redis_url) as connection, connect(redis_url) as other:
        thread, outcome = in_thread(lambda: connection.keys.blpop(["queue"], 0))
        kill_blocked(redis_url)
        other.keys.rpush("queue", "x")
        thread.join()
        assert list(outcome[0]) == ["queue", "x"]


def test_questions_are_asked_again(redis_url: str) -> None:
    """`ask` is for commands that change nothing, so a broken connection does not matter."""
    with connect(redis_url) as connection, connect(redis_url) as other:
        thread, outcome = in_thread(lambda: connection.ask([("BLPOP", "queue", "0"), ("PING",)]))
        kill_blocked(redis_url)
        other.keys.rpush("queue", "x")
        thread.join()
        assert outcome == [[["queue", "x"], True]]


def test_a_server_that_is_gone_is_unreachable(new_server: Callable[..., EmbeddedServer]) -> None:
    """A question to a server that went away ends in an explained error, never in an empty answer."""
    server = new_server()
    with connect(server.url) as connection:
        subprocess.run(["kill", "-9", str(server.pid)], check=True)
        with pytest.raises(ServerUnreachableError, match="no connection to the server"):
            connection.ask([("FT._LIST",)])


def test_a_refused_connection_is_explained() -> None:
    """Nobody listens: the address, the reason, and what to check."""
    port = free_port()
    error = failure(f"redis://ada:{ENCODED}@127.0.0.1:{port}")
    assert str(error).startswith(f"redis://ada:***@127.0.0.1:{port}: no connection to the server")
    assert "refused" in str(error)
    assert error.next_step


def test_a_refused_cluster_is_explained() -> None:
    """The same for a cluster of which no node answers."""
    error = failure(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}")
    assert "no connection to the server" in str(error)


def test_an_unknown_host_is_explained() -> None:
    """The name service is named, not the port."""
    assert failure("redis://no-such-host.invalid:6379").what == "the host name of the server is not known"


def test_tls_to_something_else_is_explained() -> None:
    """rediss:// against a service that answers without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread, _ = in_thread(answer)
        error = failure(f"rediss://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert error.what == "no TLS connection to the server"


def test_options_of_tls_are_passed_on() -> None:
    """The authority that a URL names is read, which fails for a file that does not exist."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = failure(f"rediss://127.0.0.1:{listener.getsockname()[1]}?ssl_ca_certs=no-such-file.pem")
    assert "No such file" in error.why


def test_tls_to_a_server_without_it_is_explained(cluster_url: str) -> None:
    """Redis itself waits silently for the end of what it takes for a command."""
    error = failure(f"rediss://{cluster_url.partition('://')[2]}?socket_timeout=0.2")
    assert error.what == "the server did not answer in time"
    assert "speaks TLS" in error.next_step


def test_a_plain_server_is_no_cluster(server_root: Path) -> None:
    """redis+cluster:// against a server without cluster support says which scheme to write."""
    port = free_port()
    with raw_server(server_root / "alone", "--port", str(port)):
        with redis.Redis(host="127.0.0.1", port=port) as client:
            eventually(client.ping)
        assert "redis:// in place" in failure(f"redis+cluster://127.0.0.1:{port}").next_step


def test_a_silent_server_is_told_after_a_while(server_root: Path) -> None:
    """A server that accepts and does not answer."""
    with socket_server(server_root / "silent") as url, connect(url) as connection:
        command(connection.search, "CLIENT PAUSE", "60000", "ALL")
        error = failure(f"{url}?socket_timeout=0.1")
        assert error.what == "the server did not answer in time"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_wrong_password_is_explained_and_not_shown(redis_url: str, name: str, protocol: int) -> None:
    """WRONGPASS; neither message nor traceback holds a password."""
    with user(redis_url, "ada", "+@all", "~*"):
        with pytest.raises(ServerUnreachableError) as caught:
            connect(with_user(redis_url, name, WRONG), protocol=protocol)
        error = caught.value
        assert error.what == "the server refused the user or the password"
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert f"{name}:***@" in str(error)
        assert WRONG not in shown
        assert "wr0ng@pw" not in shown


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_right_password_opens(redis_url: str, protocol: int) -> None:
    """A password full of special characters works when it is percent-encoded, and is not shown."""
    with user(redis_url, "ada", "+@all", "~*"):
        with connect(with_user(redis_url, "ada"), protocol=protocol) as connection:
            assert command(connection.search, "ACL WHOAMI") == "ada"
            shown = f"{connection.url} {connection.search!r} {connection.keys!r}"
        assert not [part for part in (SECRET, ENCODED, "w#rd", "w%23rd") if part in shown]
        assert ":***@" in shown


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_missing_password_is_explained(server_root: Path, protocol: int) -> None:
    """NOAUTH reads like a wrong password, not like a server without indexes."""
    with socket_server(server_root / "locked", "--requirepass", SECRET) as url:
        with pytest.raises(ServerUnreachableError, match="refused the user or the password"):
            connect(url, protocol=protocol)
        with connect(f"{url}?password={ENCODED}", protocol=protocol) as connection:
            assert connection.url == f"{url}?password=***"
            assert connection.keys.get("k") is None


MALFORMED = {
    "localhost:6379": "begins with",
    "http://localhost": "begins with",
    "redis://ada:s3cret/word@localhost:6379": "percent-encoded",
    "redis://ada:s3cret@localhost:port": "percent-encoded",
    "redis://ada:s3cret@localhost/1": "database 1",
    "redis://ada:s3cret@localhost?db=3": "database 3",
    "redis://ada:s3cret@localhost?protocol=three": "malformed",
    "redis://ada:s3cret@localhost?decode_responses=false": "decode_responses",
    "redis://ada:s3cret@localhost?retires=3": "retires",
    "redis://ada:s3cret@localhost?timeout=3": "timeout",
    "redis://ada:s3cret@localhost?ssl_ca_certs=ca.pem": "ssl_ca_certs",
    "rediss://ada:s3cret@localhost?ssl_certs=ca.pem": "ssl_certs",
    "redis+cluster://ada:s3cret@localhost,:7000": "another host:port",
}


@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_that_cannot_be_used_says_why(url: str) -> None:
    """Malformed ones, other databases and unknown options, all without the password."""
    error = failure(url)
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert MALFORMED[url] in str(error)
    assert "s3cret" not in shown


def test_another_database_has_no_indexes(redis_url: str) -> None:
    """The server itself refuses indexes outside of database 0, which is why such a URL is refused."""
    with redis.from_url(f"{redis_url}?db=1") as client, pytest.raises(redis.ResponseError, match="db != 0"):
        command(client, "FT.CREATE", "i", "SCHEMA", "t", "TEXT")


def slow_to_load(folder: Path, microseconds: int) -> tuple[str, ...]:
    """Settings of a server that takes its time for each of the 8,000 keys that `folder` then holds."""
    with socket_server(folder) as url, redis.from_url(url) as client:
        client.mset({f"k{number}": "v" for number in range(8_000)})
        client.save()
    return ("--key-load-delay", str(microseconds), "--loading-process-events-interval-bytes", "1024")


def test_a_server_that_loads_is_waited_for(server_root: Path) -> None:
    """Connecting returns when the data is there."""
    folder = server_root / "loads"
    settings = slow_to_load(folder, 20)
    with socket_server(folder, *settings) as url:
        with redis.from_url(url) as client, pytest.raises(redis.BusyLoadingError):
            client.get("k1")
        with connect(url) as connection:
            assert connection.search.dbsize() == 8_000


def test_a_server_that_loads_for_long_is_unreachable(server_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some seconds it is told that the server loads: it is not taken for an empty one."""
    monkeypatch.setattr(module, "LOADING_SECONDS", 0.2)
    folder = server_root / "loads-long"
    settings = slow_to_load(folder, 200)
    with socket_server(folder, *settings) as url:
        assert failure(url).what == "the server is still loading its data"


def test_questions_to_a_loading_server_are_never_answered_empty(server_root: Path) -> None:
    """A server that starts to load behind an open connection is unreachable, too."""
    folder = server_root / "loads-again"
    settings = slow_to_load(folder, 200)
    with socket_server(folder, "--enable-debug-command", "yes") as url, connect(url) as connection:
        command(connection.search, "CONFIG SET", *(word.removeprefix("--") for word in settings))
        with redis.from_url(url, socket_timeout=0.2) as client, pytest.raises(redis.TimeoutError):
            command(client, "DEBUG RELOAD", "NOSAVE")
        with pytest.raises(ServerUnreachableError, match="still loading"):
            connection.ask([("DBSIZE",)])


def test_a_server_without_search_says_what_to_install(server_root: Path) -> None:
    """The missing module is named with what the server has instead."""
    with socket_server(server_root / "plain") as url, connect(url) as connection:
        with pytest.raises(CapabilityMissingError, match="no search module") as caught:
            inspect_server(connection)
        assert "It is Redis" in caught.value.why
        assert "Redis 8" in caught.value.next_step


def test_a_sentinel_is_no_server(server_root: Path) -> None:
    """A Sentinel answers HELLO and knows no keys: it is told apart."""
    folder = server_root / "sentinel"
    folder.mkdir()
    (folder / "sentinel.conf").write_text("", encoding="utf-8")
    port = free_port()
    with raw_server(folder, "--port", str(port), "--sentinel", first=str(folder / "sentinel.conf")):
        with redis.Redis(host="127.0.0.1", port=port) as client:
            eventually(client.ping)
        assert "Sentinel" in failure(f"redis://127.0.0.1:{port}").what


def test_a_cluster_of_several_nodes(server_root: Path) -> None:
    """One client for each primary; any node of the address will do; search without coordinator is refused."""
    with two_nodes(server_root / "two") as (one, other):
        url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{other}"
        with connect(url) as connection:
            ports = [node.connection_pool.connection_kwargs["port"] for node in connection.node_clients()]
            assert sorted(ports) == sorted([one, other])
            for number in range(20):
                connection.keys.set(f"k{number}", "v")
            assert sum(node.dbsize() for node in connection.node_clients()) == 20
            assert all(node.dbsize() for node in connection.node_clients())
            with pytest.raises(CapabilityMissingError, match="no coordinator"):
                inspect_server(connection)


def test_nothing_heavy_is_imported_for_a_url() -> None:
    """The embedded server is imported only when one is asked for."""
    check = "import sys, rvlstate.runtime.connect as c; assert 'rvlstate.runtime.embedded' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_connection_is_typed_for_its_users(redis_url: str) -> None:
    """The public attributes of a connection are these."""
    with connect(redis_url) as connection:
        assert isinstance(connection, Connection)
        assert isinstance(connection.search, redis.Redis)
        assert isinstance(connection.keys, redis.Redis)
