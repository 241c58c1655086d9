"""What is left when it does not go well: memory, documents that do not fit, a state that cannot be written, a crash."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from conftest import NewServer
from kill_matrix import take_lock_away
from kit import FIELDS, Shop, managed, numeric, opened_shop, text, vector
from nursery import Nursery
from observe import (
    await_built,
    documents,
    live_names,
    load_vectors,
)
from proxy import Hold, proxied
from servers import kill, start_server

from rvlstate.errors import ChangeRefusedError, GateFailedError, RvlstateError, StateError, StepFailedError
from rvlstate.events import Event, StepFinished, StepProgressed

pytest_plugins = ("story_fixtures",)


MEGABYTE = 1 << 20


def test_a_build_that_cannot_fit_is_refused(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 35: when two indexes would not fit into maxmemory, the plan is refused with the figures."""
    with opened_shop(tmp_path / "shop", new_server()) as shop:
        load_vectors(shop.client, 3000, dims=128)
        shop.declare("products", text("title"), vector("embedding", dims=128))
        shop.apply()
        used = int(shop.client.info("memory")["used_memory"])
        shop.client.config_set("maxmemory", used + 2 * MEGABYTE)
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=128))
        plan = shop.plan()
        assert plan.indexes[0].classification == "refused"
        assert "max_memory_ratio" in plan.indexes[0].refused[0]
        names = live_names(shop.client)
        with pytest.raises(ChangeRefusedError):
            shop.apply(plan)
        assert live_names(shop.client) == names
        assert shop.count() == 3000


def test_memory_that_runs_short_during_a_build(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 35: a build that fills the server is given up: the new index is removed, the old one serves, exit 3."""
    server = new_server()
    with proxied(server.folder.parent, server.url) as proxy, opened_shop(tmp_path / "shop", server) as shop:
        load_vectors(shop.client, 3000, dims=128)
        shop.declare("products", text("title"), vector("embedding", dims=128))
        shop.apply()
        kept = documents(shop.client)
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=128))
        plan = shop.plan()

        def squeeze() -> None:
            used = int(shop.client.info("memory")["used_memory"])
            shop.client.config_set("maxmemory", used + MEGABYTE)

        hold = Hold("FT.CREATE products@2", act=squeeze)
        hold.let_go.set()
        proxy.rearm(watch=hold)
        direct, shop.url = shop.url, proxy.url
        with pytest.raises(GateFailedError) as failure:
            shop.apply(plan)
        shop.url = direct
        assert failure.value.exit_code == 3
        assert "memory" in failure.value.what or "gave up" in failure.value.what
        assert "products@2 was removed again" in failure.value.why
        assert live_names(shop.client) == {"products@1"}
        assert shop.count() == 3000
        assert documents(shop.client) == kept
        shop.client.config_set("maxmemory", 0)
        assert shop.apply().plan_empty
        shop.assert_settled()


def test_documents_that_do_not_fit_the_new_definition(shop: Shop, nursery: Nursery) -> None:
    """A build that would lose documents from search fails the gate with figures; the old index serves, exit 3."""
    managed(shop, text("title"), text("price"))
    shop.client.hset("products:0", "price", "a lot")
    shop.client.hset("products:1", "price", "more")
    shop.declare("products", text("title"), numeric("price"))
    kept = documents(shop.client)
    ending = nursery.wait(nursery.run(*shop.arguments("apply", "--yes")))
    assert ending.code == 3
    told = " ".join(ending.output.split())
    for part in ("would lose documents", "holds 58 documents, products@1 holds 60", "2 indexing failures", "products:"):
        assert part in told
    assert live_names(shop.client) == {"products@1"}
    assert shop.state().intents == ()
    assert shop.count() == 60
    assert documents(shop.client) == kept
    shop.client.hset("products:0", "price", "5")
    shop.client.hset("products:1", "price", "6")
    assert shop.apply().plan_empty
    shop.assert_settled()


def test_documents_that_do_not_fit_an_added_field(shop: Shop) -> None:
    """FT.ALTER would take such documents out of the whole index: the step fails with figures and the last key."""
    managed(shop, text("title"))
    shop.client.hset("products:0", "price", "a lot")
    shop.declare("products", text("title"), numeric("price"))
    with pytest.raises(StepFailedError) as failure:
        shop.apply()
    assert "1 documents dropped out of products@1" in failure.value.why
    assert "products:0" in failure.value.why


def test_a_state_that_cannot_be_written_stops_the_run(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 39: when the server refuses writes midway, no step counts as done that is not; apply goes on later."""
    server = new_server()
    with proxied(server.folder.parent, server.url) as proxy, opened_shop(tmp_path / "shop", server) as shop:
        managed(shop)
        shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
        shop.events.clear()
        hold = Hold("FT.ALIASUPDATE products", act=lambda: shop.client.config_set("min-replicas-to-write", 1))
        hold.let_go.set()
        proxy.rearm(watch=hold)
        direct, shop.url = shop.url, proxy.url
        with pytest.raises((StateError, RvlstateError), match="refused to write") as failure:
            shop.apply()
        shop.url = direct
        assert "NOREPLICAS" in failure.value.why
        done = [event.step for event in shop.events if isinstance(event, StepFinished)]
        state = shop.state()
        record = state.record("products")
        assert record is not None
        assert record.physical == "products@1"
        assert "products/4" not in done
        assert live_names(shop.client) == {"products@1", "products@2"}
        assert shop.count() == 60
        shop.client.config_set("min-replicas-to-write", 0)
        take_lock_away(shop)  # it could not be given back either
        assert shop.apply().plan_empty
        shop.assert_settled()


def test_a_server_that_restarts_in_the_middle_of_a_build(new_server: NewServer, tmp_path: Path) -> None:
    """The run waits for the server, looks what is there, and goes on to its end."""
    server = new_server()
    with opened_shop(tmp_path / "shop", server) as shop:
        load_vectors(shop.client, 600, dims=32)
        shop.declare("products", text("title"))
        shop.apply()
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=32, m=32, ef_construction=300))
        restarted = threading.Event()

        def restart(event: Event) -> None:
            if isinstance(event, StepProgressed) and not restarted.is_set():
                restarted.set()
                kill(server)
                start_server(server.folder)

        assert shop.apply(on_event=restart).plan_empty
        assert restarted.is_set()
        await_built(shop.client, "products")
        assert shop.count() == 600
        shop.assert_settled()
