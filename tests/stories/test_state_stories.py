"""The state, and what is refused before anything is written: damage, cycles, servers that lack something."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import NewServer
from kit import FIELDS, Shop, managed, opened_shop, text, vector
from nursery import Nursery
from observe import (
    KEYS,
    edit_state,
    live_names,
    load_products,
    stored_state,
)

from rvlstate.errors import (
    ChangeRefusedError,
    DependencyCycleError,
    SpecError,
    StateError,
)

pytest_plugins = ("story_fixtures",)


def test_an_apply_without_changes_writes_no_state(shop: Shop, nursery: Nursery) -> None:
    """Scenario 6: the serial, the lineage and every byte of the state stay, so that no saved plan becomes stale."""
    managed(shop)
    before = stored_state(shop.client)
    assert shop.apply().result == "nothing"
    assert nursery.wait(nursery.run(*shop.arguments("apply", "--yes"))).code == 0
    assert stored_state(shop.client) == before


def _edited(shop: Shop) -> None:
    payload = {**json.loads(stored_state(shop.client)["payload"]), "records": []}
    edit_state(shop.client, payload=json.dumps(payload))


def _evicted(shop: Shop) -> None:
    shop.client.delete(KEYS.state)


def _truncated(shop: Shop) -> None:
    edit_state(shop.client, payload=None, checksum=None)


@pytest.mark.parametrize("damage", [_edited, _evicted, _truncated])
def test_a_damaged_state_is_never_planned_on(shop: Shop, damage: Callable[[Shop], None]) -> None:
    """Scenario 12: edited by hand, evicted or torn, the state is refused, and can be rebuilt from live and declared."""
    managed(shop)
    damage(shop)
    for act in (shop.plan, shop.apply, shop.drift):
        with pytest.raises(StateError, match="recorded state is") as refusal:
            act()
        assert "rvlstate state rebuild" in refusal.value.next_step
    assert live_names(shop.client) == {"products@1"}
    with shop.project() as project:
        project.rebuild_state()
    shop.assert_settled()


def test_flushall_is_told_apart_from_a_first_run(shop: Shop) -> None:
    """Scenario 12: after FLUSHALL nothing is left, indexes included; the plan creates what is declared, and says so."""
    managed(shop)
    shop.client.flushall()
    assert live_names(shop.client) == set()
    plan = shop.plan()
    assert [index.action for index in plan.indexes] == ["create"]
    assert plan.lineage == ""
    load_products(shop.client)
    shop.apply(plan)
    assert shop.count() == 60


def test_a_server_that_may_evict_the_state_is_warned_of(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 12: maxmemory-policy allkeys-* is warned of before anything is written."""
    server = new_server(options={"maxmemory": "200mb", "maxmemory-policy": "allkeys-lru"})
    with opened_shop(tmp_path / "shop", server) as shop:
        shop.declare("products", *FIELDS)
        assert any("allkeys-lru" in warning for warning in shop.plan().warnings)


def test_a_dependency_cycle_is_an_error_before_any_write(shop: Shop) -> None:
    """Scenario 13: the cycle is shown, and nothing is written."""
    shop.configure(indexes={"a": {"depends_on": ["b"]}, "b": {"depends_on": ["c"]}, "c": {"depends_on": ["a"]}})
    for name in "abc":
        shop.declare(name, text("title"))
    for act in (shop.plan, shop.apply):
        with pytest.raises((DependencyCycleError, SpecError), match="a -> b -> c -> a"):
            act()
    assert live_names(shop.client) == set()
    assert stored_state(shop.client) == {}


def test_two_indexes_that_claim_one_alias_are_an_error(shop: Shop) -> None:
    """Scenario 13: both claimants are named, and nothing is written."""
    shop.configure(indexes={"a": {"aliases": ["x"]}, "b": {"aliases": ["x"]}})
    for name in "ab":
        shop.declare(name, text("title"))
    with pytest.raises(SpecError, match="x") as refusal:
        shop.apply()
    assert all(name in str(refusal.value) for name in ("a", "b"))
    assert stored_state(shop.client) == {}


@pytest.mark.parametrize(
    ("field", "version"),
    [
        (vector("embedding", datatype="int8"), "RediSearch 8.0"),
        (vector("embedding", algorithm="svs-vamana"), "RediSearch 8.2"),
    ],
)
def test_what_the_server_cannot_do_is_refused_in_the_plan(shop: Shop, field: dict[str, object], version: str) -> None:
    """Scenario 14: the field, what it needs and what the server has are told before anything is written."""
    with shop.project(schemas="optional") as project:
        project.connection.search.ping()
    shop.declare("products", text("title"), field)
    plan = shop.plan()
    (index,) = plan.indexes
    if not index.refused:
        pytest.skip("this server can do it")
    assert "products.fields.embedding" in index.refused[0]
    assert version in index.refused[0]
    with pytest.raises(ChangeRefusedError):
        shop.apply()
    assert live_names(shop.client) == set()


def test_a_server_without_search_is_refused_in_the_plan(tmp_path: Path) -> None:
    """Scenario 14: a plain Redis is told to be one, with what to do."""
    from raw_servers import socket_server

    from rvlstate.errors import CapabilityMissingError

    with socket_server(tmp_path / "s") as url:
        folder = tmp_path / "shop"
        (folder / "indexes").mkdir(parents=True)
        with redis.from_url(url, protocol=2) as client:
            shop = Shop(folder=folder, url=url, client=client)
            shop.configure()
            shop.declare("products", *FIELDS)
            with pytest.raises(CapabilityMissingError, match="no search module"):
                shop.plan()
