"""A replica builds an index by itself: the name moves when it has built it too, or cannot be asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import NewServer
from document_shop import ALLOWED
from kit import FIELDS, Shop, managed, numeric, text, vector
from nursery import Nursery
from observe import load_products, load_vectors, resolves_to
from proxy import proxied
from raw_servers import eventually, free_port, raw_server
from replicated import RECEIVED_NOTHING, SYNCS_AT_ONCE, Pair, follows, paired, when

from rvlstate.runtime import replicas
from rvlstate.runtime.connect import connect
from rvlstate.runtime.server_binary import find_server_binary

pytest_plugins = ("story_fixtures",)

BUILT = {"indexing": 0, "num_docs": 60}
NOWHERE = "203.0.113.7"
"""An address for documentation, where nobody is."""


@pytest.fixture
def pair(new_server: NewServer, tmp_path: Path) -> Iterator[Pair]:
    """A shop on a primary with a replica."""
    with paired(new_server, tmp_path) as opened:
        yield opened


def _first(shop: Shop) -> None:
    load_products(shop.client)
    shop.declare("products", *FIELDS)


def _anew(shop: Shop) -> None:
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])


def _wider(shop: Shop) -> None:
    managed(shop)
    shop.declare("products", *FIELDS, numeric("stock"))


def _shorter(shop: Shop) -> None:
    managed(shop)
    shop.configure(policy={"settle": "0s", "allow": list(ALLOWED)})
    shop.declare("products", *FIELDS[:3], vector("embedding", datatype="float16"))


@pytest.mark.parametrize(
    ("change", "before"), [(_first, None), (_anew, "products@1"), (_shorter, "products@1")], ids=["new", "anew", "live"]
)
def test_the_name_moves_when_the_replica_has_built(
    pair: Pair, tmp_path: Path, change: Callable[[Shop], None], before: str | None
) -> None:
    """While the replica knows nothing of a new index the old one answers; once the name moves it has all documents."""
    change(pair.shop)
    seen: list[dict[str, Any]] = []
    target = "products@2" if before else "products@1"
    with proxied(tmp_path, pair.shop.url) as proxy:
        pair.shop.url = proxy.url
        proxy.rearm(before=when("FT.ALIAS", lambda: seen.append(pair.built(target))))
        applied = pair.beside(pair.shop.apply)
        assert resolves_to(pair.shop.client, "products") == before
        assert not seen
        pair.line.let_go()
        report = applied.result()
        assert report.result == "done"
        assert report.warnings == ()
        assert seen[0] == BUILT
        pair.shop.assert_settled()


def test_a_field_is_added_when_the_replica_has_scanned_for_it(pair: Pair) -> None:
    """The index is there already, so that what counts is what the replica has carried out."""
    _wider(pair.shop)
    applied = pair.beside(pair.shop.apply)
    pair.line.let_go()
    assert applied.result().result == "done"
    info = pair.replica.execute_command("FT.INFO", "products@1")
    assert b"stock" in str(info).encode()
    assert pair.built("products@1") == BUILT


def test_a_replica_that_scans_more_slowly_is_awaited(new_server: NewServer, tmp_path: Path) -> None:
    """It yields to others behind every document, and is far from its end when its primary is done."""
    with paired(new_server, tmp_path, module_options=("BG_INDEX_SLEEP_GAP", "1")) as pair:
        seen: list[dict[str, Any]] = []
        load_vectors(pair.shop.client, 20_000, dims=4)
        pair.shop.declare("products", text("title"), vector("embedding", algorithm="flat"))
        with proxied(tmp_path, pair.shop.url) as proxy:
            pair.shop.url = proxy.url
            proxy.rearm(before=when("FT.ALIAS", lambda: seen.append(pair.built("products@1"))))
            assert pair.shop.apply().result == "done"
        assert seen == [{"indexing": 0, "num_docs": 20_000}]
        assert pair.was_awaited


def test_a_cutover_that_was_held_looks_at_replicas_again(pair: Pair) -> None:
    """What was built then may be on a replica that came since."""
    _anew(pair.shop)
    pair.shop.configure(indexes={"products": {"cutover": "manual"}})
    pair.shop.apply()

    def cut_over() -> None:
        with pair.shop.project() as project:
            project.cutover("products", on_event=pair.shop.events.append)

    moved = pair.beside(cut_over)
    assert resolves_to(pair.shop.client, "products") == "products@1"
    pair.line.let_go()
    moved.result()
    assert resolves_to(pair.shop.client, "products") == "products@2"


def test_a_replica_that_dies_is_waited_for_no_longer(pair: Pair) -> None:
    """The run goes on and says so."""
    _anew(pair.shop)
    applied = pair.beside(pair.shop.apply)
    pair.process.kill()
    pair.line.let_go()
    report = applied.result()
    assert report.result == "done"
    assert report.warnings == (f"replica {pair.address} went offline before it had built products@2",)
    assert list(report.warnings) == pair.told


def test_a_replica_that_falls_silent_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its primary calls it online for a minute still; the run has some patience, and then goes on."""
    monkeypatch.setattr(replicas, "SILENT_SECONDS", 0.5)
    _anew(pair.shop)
    applied = pair.beside(pair.shop.apply)
    pair.freeze()
    report = applied.result()
    pair.thaw()
    assert report.result == "done"
    assert [f"replica {pair.address} could not be asked" in one for one in pair.told] == [True]


@pytest.mark.parametrize("setting", ["replica-announce-ip", "replica-announce-port"])
def test_a_replica_that_cannot_be_reached_stops_nobody(pair: Pair, setting: str) -> None:
    """Its primary names an address where it is not: told once for the run, of however many indexes."""
    load_products(pair.shop.client, prefix="others:")
    pair.shop.declare("others", *FIELDS)
    _first(pair.shop)
    _announce(pair, setting, NOWHERE if setting.endswith("ip") else str(free_port()))
    report = pair.shop.apply()
    assert report.result == "done"
    (warning,) = report.warnings
    assert "could not be asked whether it has built others@1: " in warning
    assert warning.endswith("; its answers may be partial until it has")
    assert pair.told == [warning]


def _announce(pair: Pair, setting: str, value: str) -> None:
    """Have the replica tell its primary another address than its own."""
    pair.replica.config_set(setting, value)
    pair.shop.client.execute_command("CLIENT", "KILL", "TYPE", "replica")

    def told() -> bool:
        online = pair.shop.client.execute_command("ROLE")[2]
        return any(value.encode() in replica for replica in online)

    eventually(told)


def test_what_answers_at_the_address_may_be_no_replica(pair: Pair, new_server: NewServer) -> None:
    """Behind a translation of addresses: another server is not mistaken for it."""
    port = free_port()
    new_server(options={"port": str(port)})
    _first(pair.shop)
    _announce(pair, "replica-announce-port", str(port))
    (warning,) = pair.shop.apply().warnings
    assert "it says that it is master, not a replica" in warning


def test_a_user_whom_the_replica_does_not_know(pair: Pair) -> None:
    """Users are not replicated: what it replies is told, and the run ends well."""
    _first(pair.shop)
    pair.shop.client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all")
    pair.shop.url = pair.shop.url.replace("://", "://ann:secret@")
    (warning,) = pair.shop.apply().warnings
    assert "invalid username-password pair" in warning
    assert "secret" not in warning


def test_user_and_password_are_those_of_the_primary(pair: Pair) -> None:
    """Where the replica knows the user it is asked as on its primary."""
    _first(pair.shop)
    for client in (pair.shop.client, pair.replica):
        client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all")
    pair.replica.execute_command("ACL", "SETUSER", "default", "resetkeys", "-ft.info")
    pair.shop.url = pair.shop.url.replace("://", "://ann:secret@")
    report = pair.shop.apply()
    assert report.result == "done"
    assert report.warnings == ()


def test_without_the_right_to_ask_for_replicas_none_is_asked(pair: Pair) -> None:
    """ROLE can be done without, and nothing is told of it."""
    _first(pair.shop)
    pair.shop.client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all", "-role")
    pair.shop.url = pair.shop.url.replace("://", "://ann:secret@")
    pair.line.hold()
    report = pair.shop.apply()
    assert report.warnings == ()
    assert not pair.was_awaited


def test_a_policy_says_that_replicas_are_not_awaited(pair: Pair) -> None:
    """Then the name moves as soon as the primary is ready."""
    _anew(pair.shop)
    pair.shop.configure(policy={"await_replicas": False})
    pair.shop.events.clear()
    pair.line.hold()
    report = pair.shop.apply()
    assert report.result == "done"
    assert not pair.was_awaited
    assert resolves_to(pair.shop.client, "products") == "products@2"


def test_a_run_is_stopped_while_it_waits_for_a_replica(pair: Pair, nursery: Nursery) -> None:
    """The old index goes on answering, the lock is free, and the next run goes on."""
    _anew(pair.shop)
    pair.line.hold()
    pid = nursery.run(*pair.shop.arguments("--log-format", "json", "apply", "--yes"))
    eventually(lambda: RECEIVED_NOTHING in nursery.output(pid))
    os.kill(pid, signal.SIGTERM)
    ending = nursery.wait(pid)
    assert ending.code == 1, ending
    assert "stopped on SIGTERM" in ending.output
    assert resolves_to(pair.shop.client, "products") == "products@1"
    pair.line.let_go()
    assert pair.shop.apply().plan_empty
    assert resolves_to(pair.shop.client, "products") == "products@2"


def test_a_run_is_paused_and_aborted_while_it_waits_for_a_replica(pair: Pair, nursery: Nursery) -> None:
    """Orders are obeyed as at every wait."""
    _anew(pair.shop)
    pair.line.hold()
    pid = nursery.run(*pair.shop.arguments("--log-format", "json", "apply", "--yes"))
    eventually(lambda: RECEIVED_NOTHING in nursery.output(pid))
    for order in ("pause", "abort"):
        asked = nursery.wait(nursery.run(*pair.shop.arguments(order)))
        assert asked.code == 0, asked
    ending = nursery.wait(pid)
    assert ending.code == 1, ending
    assert "(rvlstate abort)" in ending.output


def test_who_reads_the_log_is_told(pair: Pair, nursery: Nursery) -> None:
    """As a line, as an object, and behind the report."""
    _first(pair.shop)
    _announce(pair, "replica-announce-port", str(free_port()))
    plain = nursery.wait(nursery.run(*pair.shop.arguments("apply", "--yes")))
    assert plain.code == 0, plain
    assert " ".join(plain.output.split()).count("could not be asked whether it has built products@1") == 2
    pair.shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    logged = nursery.wait(nursery.run(*pair.shop.arguments("--log-format", "json", "apply", "--yes")))
    assert '"event": "replica_not_awaited"' in logged.output


@contextmanager
def cluster_pair(folder: Path) -> Iterator[tuple[Shop, Any]]:
    """A shop on a cluster of one node that has a replica, and a client of that."""
    modules = find_server_binary().module_arguments()
    with ExitStack() as stack:
        clients: list[Any] = []
        for name in ("primary", "replica"):
            port = free_port()
            sync = ("--repl-diskless-sync-delay", SYNCS_AT_ONCE["repl-diskless-sync-delay"])
            cluster = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port()), *sync)
            stack.enter_context(raw_server(folder / name, *cluster, *modules))
            clients.append(stack.enter_context(redis.Redis(port=port, protocol=2)))
        primary, replica = clients
        eventually(lambda: primary.ping() and replica.ping())
        primary.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        where = primary.connection_pool.connection_kwargs["port"]
        bus = int(primary.config_get("cluster-port")["cluster-port"])
        replica.execute_command("CLUSTER MEET", "127.0.0.1", where, bus)
        node = primary.execute_command("CLUSTER MYID").decode()
        eventually(lambda: _becomes_replica(replica, node))
        eventually(lambda: follows(replica))
        eventually(lambda: len(primary.execute_command("ROLE")[2]) == 1)
        eventually(lambda: primary.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        (folder / "shop" / "indexes").mkdir(parents=True)
        shop = Shop(folder=folder / "shop", url=f"redis://127.0.0.1:{where}", client=primary)
        shop.configure()
        yield shop, replica


def _becomes_replica(replica: Any, node: str) -> bool:
    try:
        replica.execute_command("CLUSTER REPLICATE", node)
    except redis.ResponseError:  # it has not met the node yet
        return False
    return True


def test_replicas_of_the_nodes_of_a_cluster_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With READONLY, without which they send whoever asks to their primary."""
    asked: list[tuple[int, Any]] = []
    ask = replicas.Replicas._ask

    def listening(self: replicas.Replicas, client: redis.Redis) -> Any:
        asked.append(answer := ask(self, client))
        return answer

    monkeypatch.setattr(replicas.Replicas, "_ask", listening)
    with cluster_pair(tmp_path) as (shop, _):
        load_products(shop.client)
        shop.declare("products", *FIELDS)
        report = shop.apply()
        assert report.result == "done"
        assert report.warnings == ()
    assert asked[-1][1].documents == 60


def test_tls_is_that_of_the_primary(redis_url: str) -> None:
    """A replica is asked with the settings of its primary's connection, at its own address, and with less patience."""
    with connect(redis_url) as connection:
        node: Any = redis.Redis.from_url("rediss://ann:secret@primary:6380?ssl_ca_certs=/ca.pem")
        for lender in (node, connection.search):
            client: Any = replicas._client(lender, "replica", 6381)
            options = client.connection_pool.connection_kwargs
            assert (options["host"], options["port"], options.get("path")) == ("replica", 6381, None)
            assert options["socket_timeout"] == replicas.ANSWER_SECONDS
            if lender is node:
                assert client.connection_pool.connection_class is redis.SSLConnection
                assert (options["username"], options["ssl_ca_certs"]) == ("ann", "/ca.pem")
            client.close()
        node.close()
