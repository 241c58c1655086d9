"""Plans: empty when nothing changed, what is never dropped, renames, and plans that were saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NewServer
from kit import FIELDS, Shop, hazards, managed, numeric, opened_shop, operations, summaries, tag, text, vector
from nursery import Nursery
from observe import (
    await_built,
    create_products,
    documents,
    index_facts,
    live_names,
    load_products,
    resolves_to,
)
from queries import found

from rvlstate.errors import (
    ChangeRefusedError,
    HazardsNotAllowedError,
    PlanStaleError,
    SpecError,
)
from rvlstate.files.plan_file import load_plan, save_plan

pytest_plugins = ("story_fixtures",)


DELETES = ("DELETES_INDEX",)


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


def test_found_again_by_every_field(shop: Shop) -> None:
    """What rvlstate created answers each kind of query."""
    managed(shop)
    assert found(shop.client, "products", "running") == 60
    assert found(shop.client, "products", "@category:{boots}") == 20
    assert found(shop.client, "products", "@price:[10 19]") == 10
