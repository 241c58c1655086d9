"""Builds and cutovers: what never goes over too early, what others do meanwhile, and whole runs."""

from __future__ import annotations

from typing import Any

import pytest
from kit import FIELDS, Shop, hazards, managed, tag, text, vector
from observe import (
    as_map,
    asking,
    live_names,
    load_products,
    load_vectors,
    resolves_to,
)
from proxy import Hold, Proxy, label

from rvlstate.errors import StepFailedError
from rvlstate.events import StepProgressed, StepStarted

pytest_plugins = ("story_fixtures",)


def test_no_cutover_before_the_build_has_ended(shop: Shop, proxy: Proxy) -> None:
    """Scenario 34: the name moves when the new index holds every document, however often its build is looked at."""
    load_vectors(shop.client, 1000, dims=32)
    shop.declare("products", text("title"))
    shop.apply()
    shop.declare("products", text("title"), vector("embedding", dims=32, m=32, ef_construction=300))
    shop.configure(indexes={"products": {"strategy": "shadow"}})
    shop.declare("products", text("title", weight=2.0), vector("embedding", dims=32, m=32, ef_construction=300))
    seen: list[tuple[int, int]] = []

    def watch(command: Any) -> None:
        if label(command) == "FT.ALIASUPDATE products":
            info = as_map(shop.client.execute_command("FT.INFO", "products@2"))
            seen.append((int(info["indexing"]), int(info["num_docs"])))

    proxy.rearm(watch=watch)
    shop.url = proxy.url
    with asking(proxy.upstream, "products") as answers:
        shop.apply()
    looks = [event for event in shop.events if isinstance(event, StepProgressed) and "indexed" in event.note]
    assert len(looks) > 3, "the build was to be long enough to be looked at"
    assert seen == [(0, 1000)]
    assert set(answers) == {1000}


def test_an_index_dropped_by_hand_during_its_build(shop: Shop, proxy: Proxy) -> None:
    """The run fails with what happened; the old index serves; running again builds anew."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    hold = Hold("FT.CREATE products@2", act=lambda: shop.client.execute_command("FT.DROPINDEX", "products@2"))
    hold.let_go.set()
    proxy.rearm(watch=hold)
    direct, shop.url = shop.url, proxy.url
    with pytest.raises(StepFailedError, match="products@2") as failure:
        shop.apply()
    assert "somebody dropped it" in failure.value.why
    shop.url = direct
    assert resolves_to(shop.client, "products") == "products@1"
    assert shop.state().intents == ()
    assert shop.apply().plan_empty
    shop.assert_settled()


def test_two_builds_go_in_the_declared_order(shop: Shop) -> None:
    """Scenario 36: what an index depends on is built and served first; the server builds one at a time."""
    for name in ("anchors", "zebras"):
        load_products(shop.client, 500, prefix=f"{name}:")
        shop.declare(name, *FIELDS)
    shop.apply()
    shop.configure(indexes={"anchors": {"depends_on": ["zebras"]}})
    for name in ("anchors", "zebras"):
        shop.declare(name, text("title", weight=2.0), *FIELDS[1:])
    shop.events.clear()
    shop.apply()
    begun = [event.summary for event in shop.events if isinstance(event, StepStarted)]
    assert begun.index("alias zebras -> zebras@2 (from zebras@1)") < begun.index("create anchors@2")
    shop.assert_settled()


def test_a_build_behind_another_says_so(shop: Shop) -> None:
    """Scenario 36: while the server is busy with somebody else's build, the wait is told to be a queue."""
    load_vectors(shop.client, 8000, dims=32)
    shop.declare("products", text("title"))
    schema = ("SCHEMA", "embedding", "VECTOR", "HNSW", "10", "TYPE", "FLOAT32", "DIM", "32", "DISTANCE_METRIC", "L2")
    shop.client.execute_command(
        "FT.CREATE", "busy", "PREFIX", "1", "products:", *schema, "M", "32", "EF_CONSTRUCTION", "300"
    )
    shop.apply()
    notes = [event.note for event in shop.events if isinstance(event, StepProgressed)]
    assert any("queued behind" in note for note in notes), notes
    assert shop.count() == 8000


@pytest.mark.parametrize("protocol", [2, 3])
def test_whole_runs_on_either_protocol(shop: Shop, protocol: int) -> None:
    """Create, add a field, build beside, import, rename and delete, over RESP2 and RESP3."""
    shop.url += f"?protocol={protocol}"
    managed(shop, text("title"))
    shop.declare("products", text("title"), FIELDS[3])
    shop.apply()
    shop.declare("products", text("title", weight=2.0), FIELDS[3])
    shop.apply()
    assert resolves_to(shop.client, "products") == "products@2"
    with shop.project() as project:
        assert project.connection.search.connection_pool.connection_kwargs["protocol"] == protocol
    shop.client.execute_command("FT.CREATE", "legacy", "PREFIX", "1", "legacy:", "SCHEMA", "n", "NUMERIC", "SORTABLE")
    with shop.project() as project:
        project.import_indexes(("legacy",))
    shop.undeclare("products")
    shop.configure(indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", text("title", weight=2.0), FIELDS[3], prefix="products:")
    shop.apply(allow=("DELETES_INDEX",))
    shop.undeclare("legacy")
    shop.apply(allow=("DELETES_INDEX",))
    assert live_names(shop.client) == {"products@2"}
    shop.assert_settled()


def test_whole_runs_on_a_cluster(cluster_shop: Shop) -> None:
    """Create, add a field, build beside and cut over, and delete, on one node that owns all slots."""
    shop = cluster_shop
    managed(shop, text("title"))
    assert resolves_to(shop.client, "products") == "{products}@1"
    shop.declare("products", text("title"), tag("category"))
    shop.apply()
    assert shop.count("@category:{boots}") == 20
    shop.declare("products", text("title", weight=2.0), tag("category"))
    shop.apply()
    assert resolves_to(shop.client, "products") == "{products}@2"
    assert live_names(shop.client) == {"{products}@2"}
    shop.declare("other", text("title"))
    shop.undeclare("products")
    shop.apply(allow=("DELETES_INDEX",))
    assert live_names(shop.client) == {"{other}@1"}
    shop.assert_settled()


def test_a_physical_name_on_a_cluster_warns_of_the_gap(cluster_shop: Shop) -> None:
    """Where drop and alias cannot be one script the plan says so, and asks."""
    shop = cluster_shop
    shop.configure(policy={"naming": "plain"})
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    assert hazards(shop.plan()) == ("CUTOVER_GAP", "NAME_BECOMES_ALIAS")
    shop.apply(allow=hazards(shop.plan()))
    assert resolves_to(shop.client, "products") == "{products}@1"
    assert shop.count() == 60
    shop.assert_settled()
