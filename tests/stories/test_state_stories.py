"""State, plans and what may be applied: scenarios 1 to 6 and 12 to 14 of the facts about the peer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import NewServer
from kit import (
    KEYS,
    Shop,
    await_built,
    create_products,
    documents,
    edit_state,
    hazards,
    index_facts,
    live_names,
    load_products,
    numeric,
    opened_shop,
    operations,
    resolves_to,
    stored_state,
    summaries,
    tag,
    text,
    vector,
)
from nursery import Nursery
from queries import found

from rvlstate.errors import (
    ChangeRefusedError,
    DependencyCycleError,
    HazardsNotAllowedError,
    PlanStaleError,
    SpecError,
    StateError,
)
from rvlstate.files.plan_file import load_plan, save_plan

pytest_plugins = ("story_fixtures",)

FIELDS = (text("title"), tag("category"), numeric("price"), vector("embedding"))
DELETES = ("DELETES_INDEX",)


def managed(shop: Shop, *fields: dict[str, object]) -> None:
    """Products behind an alias, with documents."""
    load_products(shop.client)
    shop.declare("products", *(fields or FIELDS))
    shop.apply()


TWENTY = [
    *[(text("a", weight=1.0), numeric("n", sortable=True), tag("t")) for _ in range(10)],
    *[
        (text("a", phonetic_matcher="dm:en"), vector("v", ef_runtime=77, epsilon=0.2, initial_cap=100))
        for _ in range(5)
    ],
    *[(vector("v", algorithm="flat", block_size=512), {"name": "g", "type": "geo"}) for _ in range(5)],
]


@pytest.mark.parametrize("options", ["", "?protocol=2", "?protocol=3"])
def test_no_change_is_no_plan(shop: Shop, options: str) -> None:
    """Scenario 1: twenty indexes, with attributes that FT.INFO hides or rewrites, plan as empty on either protocol."""
    for number, fields in enumerate(TWENTY):
        shop.declare(f"index{number}", *fields)
    shop.apply()
    shop.url += options
    for _ in range(2):
        plan = shop.plan()
        assert plan.empty, summaries(plan)
        assert all(index.action == "no-op" and not index.changes for index in plan.indexes)
        assert not plan.hazards
    assert shop.drift().indexes == ()


def test_no_change_exits_with_zero(shop: Shop, nursery: Nursery) -> None:
    """Scenarios 1 and 51: plan --detailed-exitcode and drift exit with 0 or 2, errors with 1."""
    managed(shop)
    assert nursery.wait(nursery.run(*shop.arguments("plan", "--detailed-exitcode"))).code == 0
    assert nursery.wait(nursery.run(*shop.arguments("drift"))).code == 0
    shop.declare("products", *FIELDS, tag("brand"))
    assert nursery.wait(nursery.run(*shop.arguments("plan", "--detailed-exitcode"))).code == 2
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "added", "TAG")
    assert nursery.wait(nursery.run(*shop.arguments("drift"))).code == 2
    shop.url = f"unix://{shop.folder}/nobody.sock"
    for command in ("plan", "drift", "apply --yes"):
        ending = nursery.wait(nursery.run(*shop.arguments(*command.split())))
        assert ending.code == 1, ending
        assert "no connection" in ending.output


def test_an_unmanaged_index_is_imported_and_never_dropped(shop: Shop) -> None:
    """Scenario 2: what nobody recorded is told, left alone, and imported so that the next plan is empty."""
    load_products(shop.client)
    create_products(shop.client, schema=("title", "TEXT", "PHONETIC", "dm:en", "price", "NUMERIC", "SORTABLE"))
    before = index_facts(shop.client, "products")
    shop.declare("other", text("title"))
    plan = shop.plan()
    assert plan.unmanaged == ("products",)
    assert all("products" not in summary for summary in summaries(plan))
    shop.apply(plan)
    assert index_facts(shop.client, "products") == before
    with shop.project(schemas="optional") as project:
        (imported,) = project.import_indexes((), everything=True)
    assert imported.name == "products"
    assert any("phonetic" in line for line in imported.unrevealed)
    assert index_facts(shop.client, "products") == before
    shop.assert_settled()
    assert shop.plan().unmanaged == ()


def test_a_deleted_schema_needs_an_agreement(shop: Shop) -> None:
    """Scenario 3: without --allow nothing is dropped; with it the index goes, and every document stays."""
    managed(shop)
    shop.declare("other", text("title"), prefix="products:")
    shop.apply()
    kept = documents(shop.client)
    shop.undeclare("products")
    with pytest.raises(HazardsNotAllowedError) as refusal:
        shop.apply()
    assert refusal.value.codes == DELETES
    assert shop.count() == 60
    shop.apply(allow=DELETES)
    assert live_names(shop.client) == {"other@1"}
    assert resolves_to(shop.client, "products") is None
    assert documents(shop.client) == kept
    shop.assert_settled()


def test_a_protected_index_cannot_be_deleted(shop: Shop) -> None:
    """Scenario 3: prevent_destroy refuses the plan, whatever is allowed, and nothing is written."""
    shop.configure(indexes={"products": {"prevent_destroy": True}})
    managed(shop)
    shop.declare("other", text("title"))
    shop.undeclare("products")
    plan = shop.plan()
    (deleted,) = [index for index in plan.indexes if index.name == "products"]
    assert deleted.classification == "refused"
    assert "prevent_destroy" in deleted.refused[0]
    with pytest.raises(ChangeRefusedError, match="cannot be carried out"):
        shop.apply(allow=DELETES)
    assert live_names(shop.client) == {"products@1"}


def test_an_empty_set_is_an_error_and_deletes_nothing(shop: Shop) -> None:
    """Scenario 3: when the last schema file is gone the set is in error, not empty."""
    managed(shop)
    shop.undeclare("products")
    with pytest.raises(SpecError), shop.project():
        pass
    assert shop.count() == 60


def test_a_declared_rename_builds_nothing(shop: Shop) -> None:
    """Scenario 4: with renamed_from the name moves, and the physical index stays the same."""
    managed(shop)
    shop.undeclare("products")
    shop.configure(indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", *FIELDS, prefix="products:")
    plan = shop.plan()
    assert "create_index" not in operations(plan)
    shop.apply(plan, allow=DELETES)
    assert live_names(shop.client) == {"products@1"}
    assert resolves_to(shop.client, "goods") == "products@1"
    assert resolves_to(shop.client, "products") is None
    shop.assert_settled()


def test_an_undeclared_rename_is_told_and_refused(shop: Shop) -> None:
    """Scenario 4: without renamed_from it is a deletion and a creation, flagged as a possible rename."""
    managed(shop)
    shop.undeclare("products")
    shop.declare("goods", *FIELDS, prefix="products:")
    plan = shop.plan()
    assert hazards(plan) == ("DELETES_INDEX", "POSSIBLE_RENAME")
    assert any("renamed_from: products" in hazard.message for hazard in plan.hazards)
    with pytest.raises(HazardsNotAllowedError):
        shop.apply(plan, allow=DELETES)
    assert live_names(shop.client) == {"products@1"}


def _altered(shop: Shop) -> None:
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "brand", "TAG")


def _filter_changed(shop: Shop) -> None:
    shop.client.execute_command("FT.DROPINDEX", "products@1")
    shop.client.execute_command(
        *("FT.CREATE", "products@1", "PREFIX", "1", "products:", "FILTER", "@price > 3"),
        *("SCHEMA", "title", "TEXT", "price", "NUMERIC"),
    )
    shop.client.execute_command("FT.ALIASADD", "products", "products@1")
    await_built(shop.client, "products@1")


def _alias_moved(shop: Shop) -> None:
    shop.client.execute_command("FT.CREATE", "mine", "PREFIX", "1", "mine:", "SCHEMA", "title", "TEXT")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "mine")


def _sibling_appeared(shop: Shop) -> None:
    shop.client.execute_command("FT.CREATE", "sibling", "PREFIX", "1", "products:", "SCHEMA", "price", "NUMERIC")


def _synonyms_changed(shop: Shop) -> None:
    shop.client.execute_command("FT.SYNUPDATE", "products@1", "g", "shoe", "sneaker")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_altered, "products@1.fields.brand was added"),
        (_filter_changed, "filter changed from None to '@price > 3'"),
        (_alias_moved, "alias products pointed to products@1 and now points to mine"),
        (_sibling_appeared, "index sibling appeared"),
        (_synonyms_changed, "index products@1: its synonyms changed"),
    ],
)
def test_a_saved_plan_that_the_world_moved_away_from(
    shop: Shop, tmp_path: Path, change: Callable[[Shop], None], told: str
) -> None:
    """Scenario 5: what somebody changed between plan and apply is named, and nothing is written."""
    managed(shop, text("title"), numeric("price"))
    shop.declare("products", text("title", weight=2.0), numeric("price"))
    save_plan(tmp_path / "plan.json", shop.plan())
    change(shop)
    names, state = live_names(shop.client), shop.state()
    with pytest.raises(PlanStaleError) as refusal:
        shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True)
    assert any(told in line for line in refusal.value.differences), refusal.value.differences
    assert live_names(shop.client) == names
    assert shop.state() == state


def test_documents_do_not_stale_a_saved_plan(shop: Shop, tmp_path: Path) -> None:
    """Scenario 5: documents that come and go change figures, not what a plan rests on."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    save_plan(tmp_path / "plan.json", shop.plan())
    load_products(shop.client, 200)
    shop.client.delete("products:0")
    assert shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True).plan_empty
    assert shop.count() == 199


def test_a_schema_edited_since_stales_a_saved_plan(shop: Shop) -> None:
    """Scenario 5: a plan leads to what was declared when it was made, and to nothing else."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    plan = shop.plan()
    shop.declare("products", text("title", weight=3.0), *FIELDS[1:])
    with pytest.raises(PlanStaleError, match="stale") as refusal:
        shop.apply(plan, reviewed=True)
    assert refusal.value.differences == ("the schema files or settings changed",)


def test_a_saved_plan_is_applied_once(shop: Shop, tmp_path: Path) -> None:
    """Scenario 6: the same plan file is refused the second time, with the run that applied it."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    save_plan(tmp_path / "plan.json", shop.plan())
    shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True)
    with pytest.raises(PlanStaleError) as refusal:
        shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True)
    assert "applied already, by run" in refusal.value.differences[0]
    assert resolves_to(shop.client, "products") == "products@2"


def test_a_plan_made_before_there_was_a_state_is_applied_once(shop: Shop, tmp_path: Path) -> None:
    """Scenario 6: so is a first plan, even when its index was dropped since and live looks as it did then."""
    load_products(shop.client)
    shop.declare("products", *FIELDS)
    save_plan(tmp_path / "plan.json", shop.plan())
    shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True)
    shop.client.execute_command("FT.DROPINDEX", "products@1")
    with pytest.raises(PlanStaleError, match="stale"):
        shop.apply(load_plan(tmp_path / "plan.json"), reviewed=True)
    assert live_names(shop.client) == set()


def test_a_plan_for_another_state_is_refused(shop: Shop, tmp_path: Path, new_server: NewServer) -> None:
    """Scenario 6: a plan made on one server is not carried out on another that looks the same but has its own state."""
    managed(shop)
    with opened_shop(tmp_path / "twin", new_server()) as twin:
        managed(twin)
        for each in (shop, twin):
            each.declare("products", text("title", weight=2.0), *FIELDS[1:])
        with pytest.raises(PlanStaleError) as refusal:
            twin.apply(shop.plan(), reviewed=True)
    assert any("lineage" in line for line in refusal.value.differences)


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


def test_found_again_by_every_field(shop: Shop) -> None:
    """What rvlstate created answers each kind of query."""
    managed(shop)
    assert found(shop.client, "products", "running") == 60
    assert found(shop.client, "products", "@category:{boots}") == 20
    assert found(shop.client, "products", "@price:[10 19]") == 10
