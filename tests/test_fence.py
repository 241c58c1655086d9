"""The fence of index commands: what a frozen process sends when another run has the lock changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from conftest import NewServer
from kit import FIELDS, Shop, managed, tag, text
from lock_holder import holder_process
from nursery import Ending, Nursery
from observe import KEYS, PROJECT, documents, eventually, index_facts, live_names, load_products, resolves_to
from proxy import Hold, Proxy
from servers import kill
from test_security_stories import acl_user

from rvlstate.errors import CommandRefusedError, LockLostError, PermissionMissingError
from rvlstate.plan.effects import Batch, Flow
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.drive import Driver
from rvlstate.runtime.embedded import start_server
from rvlstate.runtime.fence import MOST_ARGUMENTS, Fence
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lock import LEASE_VARIABLE, acquire, unlock
from rvlstate.runtime.stop import StopRequest

pytest_plugins = ("story_fixtures",)

LOST = 1
ALLOWED = ("--allow", "DELETES_INDEX", "--allow", "NAME_BECOMES_ALIAS")


def indexed(client: Any) -> dict[str, Any]:
    """Every index with its definition, and where the name leads."""
    facts = {name: index_facts(client, name) for name in live_names(client)}
    return {"indexes": facts, "products": resolves_to(client, "products")}


def reweighted(shop: Shop) -> None:
    """Products behind an alias, declared anew: a new index, the alias moved, the old one dropped."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])


def plainly_named(shop: Shop) -> None:
    """The same for an index that bears the name itself, and becomes an alias."""
    shop.configure(policy={"naming": "plain"})
    reweighted(shop)


def widened(shop: Shop) -> None:
    """A field that the documents hold is added where the index is."""
    managed(shop, text("title"))
    shop.declare("products", text("title"), tag("category"))


def undeclared(shop: Shop) -> None:
    """Products are declared no more, other indexes are: alias and index go."""
    managed(shop)
    shop.declare("others", text("title"))
    shop.apply()
    shop.undeclare("products")


CASES: dict[str, tuple[Callable[[Shop], None], str]] = {
    "create": (reweighted, "FT.CREATE products@2"),
    "move alias": (reweighted, "FT.ALIASUPDATE products"),
    "drop": (reweighted, "EVAL DROP_INDEX"),
    "take name": (plainly_named, "EVAL TAKE_NAME"),
    "alter": (widened, "FT.ALTER products@1"),
    "delete alias": (undeclared, "FT.ALIASDEL products"),
}


def frozen_apply(shop: Shop, proxy: Proxy, nursery: Nursery, point: str) -> tuple[int, Hold]:
    """An apply that passed its guard and is frozen while its command is on the way, until its lease has ended."""
    pid: Future[int] = Future()
    hold = Hold(point, act=lambda: os.kill(pid.result(10), signal.SIGSTOP))
    proxy.rearm(before=hold)
    arguments = ("--project", str(shop.file), "--redis-url", proxy.url, "apply", "--yes", *ALLOWED)
    pid.set_result(nursery.run(*arguments, environ={LEASE_VARIABLE: "0.5"}))
    assert hold.reached.wait(30), nursery.output(pid.result())
    eventually(lambda: not shop.client.exists(KEYS.lock))
    return pid.result(), hold


def woken(proxy: Proxy, nursery: Nursery, pid: int, hold: Hold) -> Ending:
    """The end of a frozen apply whose command reaches the server now."""
    sent = len(proxy.seen)
    hold.let_go.set()
    eventually(lambda: len(proxy.seen) > sent)
    os.kill(pid, signal.SIGCONT)
    ending = nursery.wait(pid)
    assert hold.label in proxy.labels()
    return ending


@pytest.mark.parametrize("case", CASES)
def test_what_a_frozen_process_sends_after_a_takeover_changes_nothing(
    shop: Shop, proxy: Proxy, nursery: Nursery, case: str
) -> None:
    """SIGSTOP between guard and command, past the lease; another has the lock when the command comes; SIGCONT."""
    prepare, point = CASES[case]
    prepare(shop)
    pid, hold = frozen_apply(shop, proxy, nursery, point)
    with holder_process(shop.url, PROJECT, lease_seconds=60) as successor:
        assert successor.ask("acquire").startswith("ok")
        assert successor.ask("save other").startswith("ok")
        before, kept, state = indexed(shop.client), documents(shop.client), shop.state()
        ending = woken(proxy, nursery, pid, hold)
        assert ending.code == LOST
        assert "the lock on the state was lost" in " ".join(ending.output.split())
        assert (indexed(shop.client), documents(shop.client), shop.state()) == (before, kept, state)
        assert state.record("other") is not None
        assert successor.ask("check") == "ok"


def test_the_successor_of_a_frozen_process_has_the_last_word(shop: Shop, proxy: Proxy, nursery: Nursery) -> None:
    """A whole apply of another definition lies between; the woken one neither moves the name nor the state."""
    reweighted(shop)
    pid, hold = frozen_apply(shop, proxy, nursery, "FT.ALIASUPDATE products")
    shop.declare("products", text("title", weight=3.0), *FIELDS[1:])
    shop.apply(allow=("NAME_BECOMES_ALIAS",))
    before, state = indexed(shop.client), shop.state()
    assert woken(proxy, nursery, pid, hold).code == LOST
    assert (indexed(shop.client), shop.state()) == (before, state)
    shop.assert_settled()


def test_on_a_cluster_the_guard_alone_holds(cluster_shop: Shop) -> None:
    """Commands go as they are there, since a cluster refuses FT.* in scripts, and everything is applied."""
    managed(cluster_shop)
    cluster_shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    plan = cluster_shop.plan()
    assert "atomic_takeover" not in plan.server.capabilities
    cluster_shop.client.config_resetstat()
    cluster_shop.apply(plan)
    counted = cluster_shop.client.info("commandstats")
    assert counted["cmdstat_FT.CREATE"]["calls"] == 1
    cluster_shop.assert_settled()


def sent(connection: Connection, commands: tuple[tuple[str, ...], ...], *, lose: bool = False) -> list[Any]:
    """The replies to a batch of the holder of the lock; `lose`: the lock goes right behind the guard."""
    lease = acquire(connection.keys, PROJECT, operation="apply", identity=identify({}))
    replies: list[Any] = []

    def flow() -> Flow:
        replies.extend((yield Batch(commands)))

    def guard() -> None:
        lease.check()
        if lose:
            unlock(connection.keys, PROJECT, lease.id)

    with lease:
        fence = Fence(lease, PROJECT)
        Driver(connection, guard=guard, stop=StopRequest(), on_event=lambda _: None, fence=fence).drive("a", flow)
    return replies


CREATE = ("FT.CREATE", "goods", "ON", "HASH", "PREFIX", "1", "p:", "SCHEMA", "t", "TEXT")


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_command_of_a_batch_is_fenced_and_answers_as_itself(redis_url: str, protocol: int) -> None:
    """Arguments come through whatever bytes they are, replies are those of the commands, and reads go as they are."""
    odd = "p:\udcff\n '$\""
    commands = (
        (*CREATE[:6], odd, *CREATE[7:]),
        ("FT.ALIASADD", "shop", "goods"),
        ("FT.SYNUPDATE", "goods", "g1", "shoe", "boot"),
        ("FT.ALTER", "goods", "SCHEMA", "ADD", "c", "TAG"),
        ("FT._LIST",),
        ("EVAL", "return {#KEYS, #ARGV, ARGV[1]}", "0", odd),
    )
    with connect(redis_url, protocol=protocol) as connection:
        replies = sent(connection, commands)
        assert replies[:4] == ["OK"] * 4
        assert list(replies[4]) == ["goods"]
        assert replies[5] == [0, 1, odd]
        assert index_facts(connection.search, "shop")["index_definition"]


def test_a_lock_that_is_lost_behind_the_guard_is_told_as_such(redis_url: str) -> None:
    """None of the commands of the batch was carried out, and the error is that of the lease."""
    with connect(redis_url) as connection:
        with pytest.raises(LockLostError, match="the lock on the state was lost"):
            sent(connection, (CREATE, ("FT.ALIASADD", "shop", "goods")), lose=True)
        assert not command(connection.search, "FT._LIST")


def test_a_refusal_names_the_command_and_not_the_script(redis_url: str) -> None:
    """The words are those that the server has for the command when it comes by itself."""
    with connect(redis_url) as connection:
        with pytest.raises(CommandRefusedError) as refused:
            sent(connection, (CREATE, CREATE))
        assert str(refused.value).splitlines()[:2] == [
            "the server refused FT.CREATE goods",
            "  It replied: Index already exists",
        ]


def test_a_refused_permission_reads_as_without_a_script(redis_url: str) -> None:
    """The server says of a script that it failed; the user has no script."""
    with connect(redis_url) as connection:
        command(connection.search, "ACL SETUSER", "poor", "reset", "on", ">pw", "~*", "+@all", "-ft.create")
        try:
            with (
                connect(redis_url.replace("://", "://poor:pw@")) as limited,
                pytest.raises(CommandRefusedError) as refused,
            ):
                sent(limited, (CREATE,))
            assert "no permissions to run the 'FT.CREATE' command" in str(refused.value)
            assert "script" not in str(refused.value)
        finally:
            command(connection.search, "ACL DELUSER", "poor")


def test_who_may_not_run_scripts_is_told_before_anything_is_written(shop: Shop) -> None:
    """The lock itself is taken by a script, so that nobody comes as far as a fence without the right to EVAL."""
    load_products(shop.client)
    shop.declare("products", text("title"))
    with acl_user(shop, "-eval") as shop.url, pytest.raises(PermissionMissingError, match="EVAL"):
        shop.apply()
    assert live_names(shop.client) == set()
    assert not list(shop.client.scan_iter("*rvlstate*"))


def test_a_command_too_long_for_a_script_goes_as_it_is(redis_url: str) -> None:
    """Lua takes some 8,000 arguments; synonyms of more terms than that are accepted all the same."""
    terms = tuple(f"term{number}" for number in range(2 * MOST_ARGUMENTS + 1000))
    with connect(redis_url) as connection:
        assert sent(connection, (CREATE, ("FT.SYNUPDATE", "goods", "g1", *terms))) == ["OK", "OK"]
        some = terms[: MOST_ARGUMENTS - 3]
        assert sent(connection, (("FT.SYNUPDATE", "goods", "g2", *some),)) == ["OK"]


def test_what_was_sent_in_a_script_survives_a_crash_of_the_server(new_server: NewServer) -> None:
    """The server writes down the commands of a script one by one: index and alias are there when it is back."""
    server = new_server()
    with connect(server.url) as connection:
        sent(connection, (CREATE, ("FT.ALIASADD", "shop", "goods"), ("FT.ALTER", "goods", "SCHEMA", "ADD", "c", "TAG")))
        facts = index_facts(connection.search, "shop")
    kill(server)
    with connect(start_server(server.folder).url) as connection:
        assert index_facts(connection.search, "shop") == facts
