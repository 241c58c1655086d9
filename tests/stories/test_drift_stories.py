"""Drift of every kind on a real server: told apart, repaired from a plan file where a plan can, and told where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit import FIELDS, Shop, managed, numeric, operations, summaries, tag, text
from observe import await_built, documents, live_names, load_products, resolves_to
from raw_servers import eventually

from rvlstate.errors import InterruptedRunError, PlanStaleError, StateError
from rvlstate.events import Event, StepStarted
from rvlstate.files.plan_file import load_plan, save_plan
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.repair import Repair
from rvlstate.runtime.admit import ApplyOptions
from rvlstate.runtime.outcome import Report

pytest_plugins = ("story_fixtures",)
REVIEWED = ApplyOptions(reviewed=True)


def command(shop: Shop, line: str) -> Any:
    """What somebody types into redis-cli."""
    return shop.client.execute_command(*line.split())


def only(drift: Drift) -> IndexDrift:
    """The one index that drifted."""
    (index,) = drift.indexes
    return index


def repair(shop: Shop, **options: Any) -> Repair:
    """What drift --repair would write."""
    with shop.project(schemas="ignored", **options) as project:
        return project.propose_repair(project.drift())


def carry_out(shop: Shop, made: Repair, folder: Path) -> Report:
    """The same through a plan file, as `rvlstate apply FILE` does; schema files are not even read."""
    assert made.plan is not None, made.left
    file = folder / "repair.json"
    save_plan(file, made.plan)
    plan = load_plan(file)
    assert plan == made.plan
    with shop.project(schemas="ignored") as project:
        return project.apply(plan, options=REVIEWED)


def created(shop: Shop, name: str, fields: str) -> None:
    """Somebody creates an index over the products."""
    command(shop, f"FT.CREATE {name} PREFIX 1 products: SCHEMA {fields}")
    await_built(shop.client, name)


def altered(shop: Shop) -> None:
    """A field is added by hand."""
    command(shop, "FT.ALTER products@1 SCHEMA ADD brand TAG")


def made_anew(shop: Shop) -> None:
    """The index is dropped, and made with another definition under the same name, alias and all."""
    command(shop, "FT.DROPINDEX products@1")
    created(shop, "products@1", "title TEXT WEIGHT 3 price NUMERIC SORTABLE")
    command(shop, "FT.ALIASADD products products@1")


def fields_lost(shop: Shop) -> None:
    """The index is made again with fewer fields."""
    command(shop, "FT.DROPINDEX products@1")
    created(shop, "products@1", "title TEXT")
    command(shop, "FT.ALIASADD products products@1")


def dropped(shop: Shop) -> None:
    """The index is gone."""
    command(shop, "FT.DROPINDEX products@1")


def alias_moved(shop: Shop) -> None:
    """The name leads to an index of somebody else."""
    created(shop, "mine", "title TEXT")
    command(shop, "FT.ALIASUPDATE products mine")


def alias_gone(shop: Shop) -> None:
    """The name leads nowhere."""
    command(shop, "FT.ALIASDEL products")


def further_alias_gone(shop: Shop) -> None:
    """One of the declared further aliases is gone."""
    command(shop, "FT.ALIASDEL wares")


def hijacked(shop: Shop) -> None:
    """An application made a physical index of that name, as redisvl's create() does."""
    created(shop, "products", "title TEXT")


def replaced_by_another(shop: Shop) -> None:
    """The index is gone, and one of somebody else has taken the name itself."""
    command(shop, "FT.DROPINDEX products@1")
    created(shop, "products", "other TEXT")


BY_HAND: Mapping[str, tuple[Callable[[Shop], None], tuple[str, ...]]] = {
    "a field added": (altered, ("changed",)),
    "made anew": (made_anew, ("moved", "changed")),
    "fields lost": (fields_lost, ("moved", "changed")),
    "dropped": (dropped, ("missing",)),
    "alias moved": (alias_moved, ("moved",)),
    "alias gone": (alias_gone, ("moved",)),
    "further alias gone": (further_alias_gone, ("moved",)),
    "hijacked": (hijacked, ("hijacked",)),
    "replaced by another": (replaced_by_another, ("hijacked", "moved", "changed")),
}


def shop_with_alias(shop: Shop) -> None:
    """Products behind a name and a further alias."""
    shop.configure(indexes={"products": {"aliases": ["wares"]}})
    managed(shop, text("title"), numeric("price"))


@pytest.mark.parametrize("what", BY_HAND)
def test_what_was_done_by_hand_is_told_by_its_kind_and_undone_from_a_plan_file(
    shop: Shop, tmp_path: Path, what: str
) -> None:
    """The repair restores the index, its names and no document, whatever the schema files say by now."""
    act, kinds = BY_HAND[what]
    shop_with_alias(shop)
    before, kept = shop.state().records, documents(shop.client)
    act(shop)
    found = only(shop.drift())
    assert found.kinds == kinds
    assert found.by_hand
    assert [told.text for told in found.commands] == ["rvlstate drift --repair repair.json"]
    shop.schema_file("products").write_text("this: is no schema\n")
    made = repair(shop)
    assert made.left == ()
    assert made.plan is not None
    assert made.plan.basis == "recorded"
    carry_out(shop, made, tmp_path)
    with shop.project(schemas="ignored") as project:
        assert project.drift().indexes == ()
    assert documents(shop.client) == kept
    shop.declare("products", text("title"), numeric("price"))
    shop.assert_settled()
    assert shop.count("@price:[3 3]") == 1
    assert resolves_to(shop.client, "wares") == resolves_to(shop.client, "products")
    after = shop.state().records
    assert [(one.name, one.definition, one.aliases) for one in after] == [
        (one.name, one.definition, one.aliases) for one in before
    ]


@pytest.mark.parametrize("what", ["made anew", "dropped"])
def test_a_cluster_is_repaired_as_well(cluster_shop: Shop, tmp_path: Path, what: str) -> None:
    """Physical names of a cluster have a hash tag."""
    managed(cluster_shop, text("title"), numeric("price"))
    physical = cluster_shop.state().records[0].physical
    command(cluster_shop, f"FT.DROPINDEX {physical}")
    if what == "made anew":
        created(cluster_shop, physical, "title TEXT WEIGHT 3 price NUMERIC")
        command(cluster_shop, f"FT.ALIASADD products {physical}")
    assert only(cluster_shop.drift()).by_hand
    carry_out(cluster_shop, repair(cluster_shop), tmp_path)
    cluster_shop.assert_settled()


def test_a_repair_leads_to_what_was_applied_and_not_to_what_is_declared(shop: Shop, tmp_path: Path) -> None:
    """A branch that is not merged declares more: it is left to the next plan."""
    managed(shop, text("title"))
    shop.declare("products", text("title"), numeric("price"))
    altered(shop)
    carry_out(shop, repair(shop), tmp_path)
    assert shop.drift().indexes == ()
    assert operations(shop.plan()) == ["add_fields"]


def test_a_stale_repair_is_refused(shop: Shop) -> None:
    """Applied twice, or after somebody did something else, as with any plan file; nothing is written."""
    managed(shop, text("title"))
    altered(shop)
    first = repair(shop)
    command(shop, "FT.ALTER products@1 SCHEMA ADD size TAG")
    assert first.plan is not None
    with shop.project() as project, pytest.raises(PlanStaleError, match=r"(?s)stale.*size was added"):
        project.apply(first.plan, options=REVIEWED)
    second = repair(shop)
    assert second.plan is not None
    with shop.project() as project:
        project.apply(second.plan, options=REVIEWED)
        with pytest.raises(PlanStaleError, match="it was applied already"):
            project.apply(second.plan, options=REVIEWED)


@pytest.mark.parametrize("last", ["create_index", "await_build", "point_alias", "drop_index"])
@pytest.mark.parametrize("then", ["the file again", "a new repair"])
def test_a_repair_that_was_cut_short_goes_on(shop: Shop, last: str, then: str) -> None:
    """From its own file, or from a new one; nothing of it is left behind."""
    managed(shop, text("title"), numeric("price"))
    made_anew(shop)
    plan = repair(shop).plan
    assert plan is not None

    def stop(event: Event) -> None:
        if isinstance(event, StepStarted) and event.operation == last:
            raise InterruptedRunError("stopped")

    with shop.project() as project, pytest.raises(InterruptedRunError):
        project.apply(plan, options=REVIEWED, on_event=stop)
    assert "run rvlstate apply" in shop.drift().interrupted
    if then == "a new repair":
        plan = repair(shop).plan
    with shop.project() as project:
        if plan is not None:
            project.apply(plan, options=REVIEWED)
        assert not project.drift().found
        project.apply()
    shop.assert_settled()
    assert shop.drift().interrupted == ""
    assert live_names(shop.client) == {shop.state().records[0].physical}


def test_an_ordinary_plan_is_no_repair(shop: Shop) -> None:
    """Made for the same server at the same moment, the two are told apart."""
    managed(shop, text("title"))
    altered(shop)
    made = repair(shop).plan
    assert made is not None
    planned = shop.plan()
    assert summaries(made) == summaries(planned)
    assert made.id != planned.id


def test_nothing_is_written_by_looking_or_by_proposing(shop: Shop) -> None:
    """Every key, index and alias is as before."""
    managed(shop, text("title"))
    altered(shop)

    def everything() -> object:
        keys = sorted(shop.client.keys("*"))
        return (
            [(key, shop.client.dump(key)) for key in keys],
            command(shop, "FT._LIST"),
            command(shop, "FT.INFO products@1")[:4],
        )

    before = everything()
    assert repair(shop).plan is not None
    assert everything() == before


def test_what_was_changed_so_that_documents_do_not_fit_is_told_and_not_rewritten(shop: Shop, tmp_path: Path) -> None:
    """An index over JSON under our name: the documents are hashes as ever, and no plan may turn them into others."""
    managed(shop, text("title"))
    kept = documents(shop.client)
    command(shop, "FT.DROPINDEX products@1")
    command(shop, "FT.CREATE products@1 ON JSON PREFIX 1 products: SCHEMA $.title AS title TEXT")
    command(shop, "FT.ALIASADD products products@1")
    made = repair(shop)
    assert made.plan is None
    assert "FT.DROPINDEX" in " ".join(made.left) or "products" in " ".join(made.left)
    command(shop, "FT.DROPINDEX products@1")
    carry_out(shop, repair(shop), tmp_path)
    assert documents(shop.client) == kept
    shop.assert_settled()


def test_documents_that_are_refused_are_drift_until_they_are_taken_note_of(shop: Shop, tmp_path: Path) -> None:
    """Also once they are mended, since the server counts events; the repair takes the count as known."""
    managed(shop, text("title"), numeric("price"))
    assert not shop.drift().found
    shop.client.hset("products:bad", mapping={"title": "x", "price": "much"})
    found = only(shop.drift())
    assert found.kinds == ("failing",)
    assert not found.by_hand
    assert "products:bad" in found.changes[0].reason
    assert any("FT.INFO products@1" in note for note in found.notes)
    shop.client.hset("products:bad", "price", "5")
    assert only(shop.drift()).kinds == ("failing",)
    carry_out(shop, repair(shop), tmp_path)
    assert not shop.drift().found
    shop.client.hset("products:bad", "price", "even more")
    assert only(shop.drift()).kinds == ("failing",)


def test_failures_that_were_there_before_are_no_drift(shop: Shop) -> None:
    """Of an index that is taken over, and of one that was built over documents of which some do not fit."""
    load_products(shop.client, 5)
    shop.client.hset("products:bad", mapping={"title": "x", "price": "much"})
    created(shop, "products", "title TEXT price NUMERIC")
    with shop.project(schemas="optional") as project:
        project.import_indexes(("products",))
    assert not shop.drift().found
    shop.declare("products", text("title", weight=2.0), numeric("price"))
    shop.apply(allow=("NAME_BECOMES_ALIAS", "CUTOVER_GAP"))
    assert resolves_to(shop.client, "products") == "products@1"
    assert not shop.drift().found
    shop.client.hset("products:bad", "price", "more")
    assert only(shop.drift()).kinds == ("failing",)


def test_an_index_that_is_being_built_while_nobody_applies_is_incomplete(shop: Shop) -> None:
    """It is told with how far it is, and no more once the server is done."""
    managed(shop, text("title"))
    load_products(shop.client, 20_000)
    command(shop, "FT.DROPINDEX products@1")
    command(shop, "FT.CREATE products@1 PREFIX 1 products: SCHEMA title TEXT")
    command(shop, "FT.ALIASADD products products@1")
    seen = shop.drift()
    await_built(shop.client, "products@1")
    if seen.found:  # a fast machine may have built it by then
        assert only(seen).kinds == ("incomplete",)
        assert 0 <= float(str(only(seen).changes[0].after)) < 1
    eventually(lambda: not shop.drift().found)


def test_indexes_of_nobody_are_drift_only_where_that_is_asked_for(shop: Shop) -> None:
    """They are named in any case."""
    managed(shop, text("title"))
    created(shop, "legacy", "title TEXT")
    drift = shop.drift()
    assert (drift.unmanaged, drift.found) == (("legacy",), False)
    assert drift.kinds["unmanaged"] == 1


def test_a_change_that_waits_is_no_drift_and_a_name_moved_back_is(shop: Shop) -> None:
    """In front of the cutover and behind it, with the old index kept; a cutover leads on, a rollback back."""
    managed(shop, text("title"))
    shop.configure(indexes={"products": {"cutover": "manual"}}, policy={"retain_old": "1h"})
    shop.declare("products", text("title", weight=2.0))
    shop.apply()
    ready = shop.drift()
    assert (ready.indexes, [one.phase for one in ready.waits]) == ((), ["ready"])
    assert not repair(shop).plan
    command(shop, "FT.ALIASUPDATE products products@2")
    assert only(shop.drift()).kinds == ("moved",)
    command(shop, "FT.ALIASUPDATE products products@1")
    assert not shop.drift().found
    with shop.project() as project:
        project.cutover("products")
    serving = shop.drift()
    assert (serving.indexes, [one.phase for one in serving.waits]) == ((), ["serving"])
    assert shop.plan().indexes[0].drift == ()
    command(shop, "FT.ALIASUPDATE products products@1")
    moved = shop.drift()
    assert only(moved).kinds == ("moved",)
    assert only(moved).changes == shop.plan().indexes[0].drift
    assert [told.text for told in only(moved).commands] == ["rvlstate cutover products", "rvlstate rollback products"]
    assert repair(shop).plan is None
    with shop.project() as project:
        (row, *_) = project.status().indexes
        assert row.state == "drifted"
    with shop.project() as project:
        project.cutover("products")
    assert resolves_to(shop.client, "products") == "products@2"
    assert not shop.drift().found
    command(shop, "FT.ALIASUPDATE products products@1")
    with shop.project() as project:
        project.rollback("products")
    assert not shop.drift().found
    assert resolves_to(shop.client, "products") == "products@1"


def test_the_new_index_of_a_change_that_waits_is_watched_too(shop: Shop) -> None:
    """Behind the cutover a field that somebody adds is drift."""
    managed(shop, text("title"))
    shop.configure(policy={"retain_old": "1h"})
    shop.declare("products", text("title", weight=2.0))
    shop.apply()
    command(shop, "FT.ALTER products@2 SCHEMA ADD brand TAG")
    assert only(shop.drift()).kinds == ("changed",)


def test_status_and_plan_agree_with_drift(shop: Shop) -> None:
    """In sync, hijacked, and missing."""
    managed(shop, text("title"), tag("category"))
    with shop.project() as project:
        assert [row.state for row in project.status().indexes] == ["serving"]
    hijacked(shop)
    with shop.project() as project:
        status = project.status()
        assert [row.state for row in status.indexes] == ["hijacked"]
        assert "rvlstate drift shows" in status.next_step
        assert project.plan().indexes[0].drift == only(project.drift()).changes
    command(shop, "FT.DROPINDEX products")
    dropped(shop)
    with shop.project() as project:
        assert [row.state for row in project.status().indexes] == ["missing"]
        assert project.plan().indexes[0].drift == only(project.drift()).changes


def test_a_repair_of_nothing_is_none(shop: Shop) -> None:
    """In sync there is nothing to write; on an empty server there is an error, and no good news."""
    with shop.project(schemas="ignored") as project, pytest.raises(StateError, match="nothing was ever applied"):
        project.drift()
    managed(shop, *FIELDS)
    assert repair(shop) == Repair(plan=None)
