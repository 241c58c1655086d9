"""Several applies, and ones that are stopped, frozen, cut off or robbed of their lock: stories on real processes."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import NewServer
from kit import FIELDS, Shop, managed, opened_shop, operations, text, vector
from nursery import Nursery
from observe import (
    KEYS,
    documents,
    edit_state,
    eventually,
    is_at_work_on,
    load_vectors,
    resolves_to,
    stored_state,
)
from proxy import Hold, Proxy, is_journal, is_write, label, proxied
from raw_servers import free_port, raw_server

from rvlstate.errors import LockHeldError
from rvlstate.model.state import State
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.server_binary import find_server_binary

pytest_plugins = ("story_fixtures",)

HELD = 4


def arguments(shop: Shop, *flags: str, url: str = "") -> tuple[str, ...]:
    """The arguments of an apply."""
    return ("--project", str(shop.file), "--redis-url", url or shop.url, "apply", "--yes", *flags)


def reweight(shop: Shop, weight: float) -> None:
    """Declare products anew, which needs a shadow build."""
    shop.declare("products", text("title", weight=weight), *FIELDS[1:])


def lock_of(shop: Shop) -> Any:
    """Who holds the lock, None if nobody does."""
    with shop.project(schemas="ignored") as project:
        return read_lock(project.connection.keys, project.name)


def what_counts(shop: Shop) -> tuple[State, dict[bytes, str], str | None]:
    """State, documents and what answers: all that a run that lost its lock must leave as it is."""
    return shop.state(), documents(shop.client), resolves_to(shop.client, "products")


def tried_since(proxy: Proxy, reached: int) -> set[str]:
    """What was sent to change something, the journal aside; the scripts for the state refuse who has no lease."""
    return {label(command) for command in proxy.seen[reached:] if is_write(command) and not is_journal(command)}


def test_the_second_apply_is_told_who_is_at_work(shop: Shop, proxy: Proxy, nursery: Nursery) -> None:
    """Scenario 7: while one applies, another exits with 4 and reads who, where, since when and which step."""
    managed(shop)
    reweight(shop, 2.0)
    hold = Hold("FT.CREATE products@2")
    proxy.rearm(watch=hold)
    first = nursery.run(*arguments(shop, url=proxy.url))
    assert hold.reached.wait(20)
    second = nursery.wait(nursery.run(*arguments(shop)))
    drift = shop.drift()
    hold.let_go.set()
    assert second.code == HELD
    told = " ".join(second.output.split())
    for part in ("the state is locked", f"(pid {first})", "Since: 20", "Step: create products@2 (1 of 5)", "Lock id:"):
        assert part in told
    assert "--lock-timeout" in told
    assert drift.in_progress
    assert not drift.found
    assert nursery.wait(first).code == 0
    shop.assert_settled()


def test_a_waiting_apply_works_when_the_lock_is_free(shop: Shop, proxy: Proxy, nursery: Nursery) -> None:
    """Scenario 7: with --lock-timeout the second waits for the first, then finds that nothing is left to do."""
    managed(shop)
    reweight(shop, 2.0)
    hold = Hold("FT.CREATE products@2")
    proxy.rearm(watch=hold)
    first = nursery.run(*arguments(shop, url=proxy.url))
    assert hold.reached.wait(20)
    second = nursery.run(*arguments(shop, "--lock-timeout", "30"))
    eventually(lambda: f"pid {first}" in nursery.output(second), what="the waiter's telling whom it waits for")
    hold.let_go.set()
    assert nursery.wait(first).code == 0
    ended = nursery.wait(second)
    assert ended.code == 0, ended.output
    shop.assert_settled()


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_applies_that_start_together(shop: Shop, nursery: Nursery, rounds: int) -> None:
    """Scenario 7: of processes that apply one change at once one works, the rest are refused or idle."""
    managed(shop)
    for number in range(rounds):
        reweight(shop, 2.0 + number)
        children = [nursery.run(*arguments(shop)) for _ in range(3)]
        endings = [nursery.wait(child) for child in children]
        codes = sorted(ending.code for ending in endings)
        assert codes[0] == 0, endings
        assert set(codes) <= {0, HELD}, endings
        shop.assert_settled()
        assert resolves_to(shop.client, "products") == f"products@{2 + number}"
        assert lock_of(shop) is None


def slow_products(shop: Shop) -> None:
    """Documents whose index takes some seconds to build."""
    load_vectors(shop.client, 1000, dims=32)
    shop.declare("products", text("title"), vector("embedding", dims=32, m=32, ef_construction=400))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_middle_of_a_build(shop: Shop, nursery: Nursery, number: signal.Signals) -> None:
    """Scenario 8: stopped while the server builds, a run ends within seconds, says where things are and frees the lock.

    Run again it takes the index up that is being built, and builds no other.
    """
    slow_products(shop)
    child = nursery.run(*arguments(shop))
    eventually(lambda: resolves_to(shop.client, "products@1"), what="the build")
    began = time.monotonic()
    os.kill(child, number)
    ending = nursery.wait(child)
    took = time.monotonic() - began
    building = shop.client.execute_command("FT.INFO", "products@1")
    assert ending.code == 1, ending
    assert took < 3.0
    assert f"stopped on {number.name}" in ending.output
    assert "rvlstate apply" in ending.output
    assert lock_of(shop) is None
    assert building[building.index(b"indexing") + 1] == 1, "it was to be stopped in the middle"
    with shop.project() as project:
        assert "interrupted" in project.status().next_step
        assert project.history(1)[0].result == "interrupted"
    assert "create_index" not in operations(shop.plan())
    assert shop.apply().plan_empty
    assert resolves_to(shop.client, "products") == "products@1"
    shop.assert_settled()


FREEZING = [
    ("EVAL run_start", ""),
    ("FT.CREATE products@2", ""),
    # Between a look at what is and the command that follows from it:
    ("FT.SYNDUMP products", "alias products -> products@2"),
    ("FT.ALIASUPDATE products", ""),
    ("FT.SYNDUMP products@1", "drop products@1"),
]


@pytest.mark.parametrize(("at", "step"), FREEZING)
def test_a_frozen_run_writes_nothing_when_it_wakes(
    shop: Shop, proxy: Proxy, nursery: Nursery, at: str, step: str
) -> None:
    """Scenario 9: frozen past its lease and followed by another, a run that wakes writes neither index nor state."""
    managed(shop)
    reweight(shop, 2.0)
    pid: Future[int] = Future()
    hold = Hold(
        at,
        also=lambda: is_at_work_on(shop.client, step),
        act=lambda: os.kill(pid.result(10), signal.SIGSTOP),
    )
    hold.let_go.set()
    proxy.rearm(watch=hold)
    pid.set_result(nursery.run(*arguments(shop, url=proxy.url), environ={"RVLSTATE_LEASE_SECONDS": "0.5"}))
    assert hold.reached.wait(20)
    eventually(lambda: lock_of(shop) is None, what="the end of the lease")
    reweight(shop, 5.0)
    assert shop.apply().plan_empty
    before = what_counts(shop)
    reached = len(proxy.seen)
    os.kill(pid.result(), signal.SIGCONT)
    ending = nursery.wait(pid.result())
    assert ending.code == 1, ending
    assert "lock on the state was lost" in ending.output
    assert tried_since(proxy, reached) <= {"EVAL save", "EVAL release"}
    assert what_counts(shop) == before
    shop.assert_settled()


def test_unlock_with_the_wrong_id_changes_nothing(shop: Shop, proxy: Proxy, nursery: Nursery) -> None:
    """Scenario 10: a wrong id is refused with the holder; the run goes on."""
    managed(shop)
    reweight(shop, 2.0)
    hold = Hold("FT.CREATE products@2")
    proxy.rearm(watch=hold)
    child = nursery.run(*arguments(shop, url=proxy.url))
    assert hold.reached.wait(20)
    with shop.project(schemas="ignored") as project, pytest.raises(LockHeldError, match=f"pid {child}"):
        project.unlock("0000")
    hold.let_go.set()
    assert nursery.wait(child).code == 0
    shop.assert_settled()


def _unlock(shop: Shop) -> None:
    with shop.project(schemas="ignored") as project:
        project.unlock(lock_of(shop).id)


def _lose_lock_key(shop: Shop) -> None:
    shop.client.delete(KEYS.lock)


def _lose_all_keys(shop: Shop) -> None:
    shop.client.delete(*shop.client.keys("*rvlstate:*"))


@pytest.mark.parametrize("lose", [_unlock, _lose_lock_key, _lose_all_keys])
def test_a_run_that_lost_its_lock_stops_at_the_next_step(shop: Shop, proxy: Proxy, nursery: Nursery, lose: Any) -> None:
    """Scenarios 10 and 11: unlocked by id, or robbed of lock or state by a failover, a run stops."""
    managed(shop)
    reweight(shop, 2.0)
    hold = Hold("FT.CREATE products@2")
    proxy.rearm(watch=hold)
    child = nursery.run(*arguments(shop, url=proxy.url))
    assert hold.reached.wait(20)
    lose(shop)
    reached = len(proxy.seen)
    stored = shop.client.get(KEYS.state)
    hold.let_go.set()
    ending = nursery.wait(child)
    assert ending.code == 1, ending
    assert "lock on the state was lost" in ending.output
    assert tried_since(proxy, reached) <= {"EVAL save", "EVAL release"}
    assert shop.client.get(KEYS.state) == stored
    assert shop.count() == 60


def test_a_state_that_went_back_is_not_written_over(shop: Shop, proxy: Proxy, nursery: Nursery) -> None:
    """Scenario 11: when a failover brings an older copy of the state back, the run stops instead of writing over it."""
    managed(shop)
    older = stored_state(shop.client)
    reweight(shop, 2.0)
    hold = Hold("FT.CREATE products@2")
    proxy.rearm(watch=hold)
    child = nursery.run(*arguments(shop, url=proxy.url))
    assert hold.reached.wait(20)
    edit_state(shop.client, **older)
    hold.let_go.set()
    ending = nursery.wait(child)
    assert ending.code == 1, ending
    assert "the recorded state moved" in ending.output
    assert stored_state(shop.client) == older
    assert shop.apply().plan_empty
    shop.assert_settled()


def test_what_was_applied_survives_a_failover(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 11: with a replica every write of the state and every new index waits for it.

    So right after a failover nothing is to do, and nothing is missing from the index.
    """
    port, other = free_port(), free_port()
    primary = new_server(options={"port": str(port)})
    modules = find_server_binary().module_arguments()
    settings = ("--port", str(other), "--replicaof", f"127.0.0.1 {port}", *modules)
    with (
        raw_server(tmp_path / "replica", *settings),
        redis.Redis(port=other, protocol=2) as replica,
        proxied(primary.folder.parent, primary.url) as proxy,
        opened_shop(tmp_path / "replicated", primary) as replicated,
    ):
        eventually(lambda: _follows(replica), what="the replica")
        replicated.url = proxy.url
        managed(replicated)
        sent = proxy.labels()
        assert sent.count("WAIT 1") == sent.count("EVAL save") + sent.count("EVAL acquire")
        os.kill(primary.pid, signal.SIGKILL)
        replica.execute_command("REPLICAOF", "NO", "ONE")
        replicated.url = f"redis://127.0.0.1:{other}"
        replicated.client = replica
        assert replicated.plan().empty
        replicated.assert_settled()
        assert replicated.count() == 60


def _follows(replica: Any) -> bool:
    try:
        return bool(replica.info("replication")["master_link_status"] == "up")
    except redis.ConnectionError:
        return False
