"""What applications and people do to indexes past rvlstate, and what rvlstate leaves alone in turn."""

from __future__ import annotations

import pytest
from kit import FIELDS, Shop, hazards, managed, operations, rebuilt, tag, text
from observe import await_built, documents, index_facts, live_names, load_products, resolves_to
from proxy import WRITES, Proxy, label, proxied
from queries import found, packed
from redisvl.index import SearchIndex
from redisvl.schema import IndexSchema
from servers import EmbeddedServer

from rvlstate.errors import HazardsNotAllowedError

pytest_plugins = ("story_fixtures",)


def redisvl_index(shop: Shop) -> SearchIndex:
    """The index as an application opens it that calls create() when it starts."""
    return SearchIndex(IndexSchema.from_yaml(str(shop.schema_file("products"))), redis_url=shop.url)


def test_an_application_that_creates_at_startup_is_told_and_repaired(shop: Shop) -> None:
    """A physical index made by redisvl's own create() hides the alias: told with cause and cure, and removed."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    shop.apply()
    kept = documents(shop.client)
    application = redisvl_index(shop)
    assert not application.exists(), "redisvl does not see an alias"
    application.create(overwrite=False)
    await_built(shop.client, "products")
    assert resolves_to(shop.client, "products") == "products"
    (drift,) = shop.drift().indexes
    assert "hides the alias" in drift.changes[0].reason
    plan = shop.plan()
    told = " ".join(plan.indexes[0].notes)
    for part in ("create()", "from_yaml", "products -> products@2", "never its documents"):
        assert part in told
    assert hazards(plan) == ("DELETES_INDEX",)
    with pytest.raises(HazardsNotAllowedError):
        shop.apply(plan)
    shop.apply(plan, allow=("DELETES_INDEX",))
    assert resolves_to(shop.client, "products") == "products@2"
    assert live_names(shop.client) == {"products@2"}
    assert documents(shop.client) == kept
    assert application.info()["index_name"] == "products@2"
    application.client.close()
    shop.assert_settled()


def test_redisvl_works_on_through_the_alias(shop: Shop) -> None:
    """Opened from its schema, redisvl loads, counts and queries by the name, before and after a rebuild."""
    managed(shop)
    application = redisvl_index(shop)
    for number in range(2):
        boot = {"title": "boot", "category": "boots", "price": 7, "embedding": packed(1, 0, 0, 0)}
        application.load([{"id": f"x{number}", **boot}], id_field="id")
        assert application.info()["num_docs"] == 61 + number
        assert application.search("@title:boot").total == 1 + number
        if not number:
            rebuilt(shop, *FIELDS[1:])
    application.client.close()
    shop.assert_settled()


def test_redisvl_from_existing_keeps_what_the_next_cutover_drops(shop: Shop) -> None:
    """Why the advice is from_yaml(): from_existing() asks once for the physical index, and goes on to name that."""
    managed(shop)
    application = SearchIndex.from_existing("products", redis_url=shop.url)
    assert application.schema.index.name == "products@1"
    application.client.close()


def test_a_managed_set_leaves_everything_else_alone(shop: Shop) -> None:
    """Scenario 2: create, alter, build and delete beside an unmanaged index over the same documents do not touch it."""
    shop.client.execute_command(
        "FT.CREATE", "legacy", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT", "price", "NUMERIC"
    )
    before = index_facts(shop.client, "legacy")
    managed(shop, text("title"))
    shop.declare("products", text("title"), tag("category"))
    shop.apply()
    rebuilt(shop, tag("category"))
    shop.declare("other", text("title"))
    shop.undeclare("products")
    shop.apply(allow=("DELETES_INDEX",))
    assert index_facts(shop.client, "legacy") == before
    assert found(shop.client, "legacy") == 60


def test_what_is_sent_over_a_whole_life(shop: Shop, server: EmbeddedServer) -> None:
    """Scenario 40: FT.DROPINDEX is sent for physical indexes of ours only, DD never, and no document is written."""
    with proxied(server.folder.parent, shop.url) as proxy:
        load_products(shop.client)
        kept = documents(shop.client)
        shop.url = proxy.url
        whole_life(shop)
        assert sent_drops(proxy) == ["products", "products@1", "products@2"]
        names = {label(command).split()[0] for command in proxy.seen}
        assert {name for name in names if name.startswith("FT.")} <= WRITES | {"FT.INFO", "FT._LIST", "FT.SYNDUMP"}
        assert names.isdisjoint({"DEL", "UNLINK", "FLUSHALL", "FLUSHDB", "RENAME", "HSET", "HDEL", "JSON.SET"})
    assert documents(shop.client) == kept
    assert live_names(shop.client) == {"other@1"}


def whole_life(shop: Shop) -> None:
    """Create under a plain name, build beside it twice, rename, delete."""
    shop.configure(policy={"naming": "plain", "allow": ["NAME_BECOMES_ALIAS", "DELETES_INDEX"]})
    shop.declare("products", *FIELDS)
    shop.apply()
    for weight in (2.0, 3.0):
        shop.declare("products", text("title", weight=weight), *FIELDS[1:])
        shop.apply()
    shop.undeclare("products")
    shop.configure(policy={"allow": ["DELETES_INDEX"]}, indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", text("title", weight=3.0), *FIELDS[1:], prefix="products:")
    shop.apply()
    shop.undeclare("goods")
    shop.configure(indexes={})
    shop.declare("other", text("title"))
    shop.apply()


def sent_drops(proxy: Proxy) -> list[str]:
    """The indexes that were to be dropped, in order; the scripts look at what has that name before they drop."""
    scripts = {"EVAL DROP_INDEX", "EVAL TAKE_NAME"}
    return [command[3].decode() for command in proxy.seen if label(command) in scripts]


def test_an_alias_moved_by_hand_is_drift_and_moved_back(shop: Shop) -> None:
    """An alias that somebody pointed elsewhere is told as drift, and pointed back; the other index is left alone."""
    managed(shop)
    shop.client.execute_command("FT.CREATE", "mine", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    await_built(shop.client, "mine")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "mine")
    (drift,) = shop.drift().indexes
    assert (drift.changes[0].before, drift.changes[0].after) == ("products@1", "mine")
    assert "moved" in drift.changes[0].reason
    plan = shop.plan()
    assert operations(plan) == ["point_alias"]
    shop.apply(plan)
    assert resolves_to(shop.client, "products") == "products@1"
    assert live_names(shop.client) == {"products@1", "mine"}
    shop.assert_settled()


def test_an_index_dropped_by_hand_is_drift_and_made_again(shop: Shop) -> None:
    """Scenario 50: an index that somebody dropped is told as drift, and created again."""
    managed(shop)
    shop.client.execute_command("FT.DROPINDEX", "products@1")
    (drift,) = shop.drift().indexes
    assert "dropped by somebody else" in drift.changes[0].reason
    assert shop.plan().indexes[0].action == "create"
    shop.apply()
    assert shop.count() == 60
    shop.assert_settled()


def test_fields_added_by_hand_are_drift_with_the_exact_difference(shop: Shop) -> None:
    """Scenario 50: FT.ALTER past rvlstate is told with the field and its type, and taken away by a build."""
    managed(shop)
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "brand", "TAG")
    (drift,) = shop.drift().indexes
    assert [change.address for change in drift.changes] == ["products.fields.brand"]
    shop.apply()
    assert "brand" not in str(index_facts(shop.client, "products"))
    shop.assert_settled()
