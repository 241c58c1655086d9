"""Changes in phases of an index with a filter: what it leaves out stays as it is, and search finds what it lets in."""

from __future__ import annotations

from typing import Any

import pytest
from document_shop import COUNT, OTHERS, EndedError, embedding, ends_at, pending
from filtered import (
    BOUND,
    FILTER,
    INSIDE,
    KINDS,
    ODD,
    assert_done,
    before_the_change,
    configured,
    declared,
    found,
    helpers,
    in_new_layout,
    moved,
    numbered,
    outside,
    price,
)
from kit import Shop, hazards, numeric, tag, text
from observe import KEYS, documents, eventually, live_names
from test_phase_stories import command, cutover, ours, picture, roll_back, watching

from rvlstate.errors import ChangeRefusedError

pytest_plugins = ("story_fixtures",)

STOPS = ("stage_documents", "create_index", "point_alias", "drop_index", "promote_documents", "keep_old")
BRIEFLY = [("by rename", "promote_documents"), ("by writing back", "drop_index")]


@pytest.mark.parametrize("kind", KINDS)
def test_held_taken_back_and_cut_over(shop: Shop, kind: str) -> None:
    """Taken back: byte for byte as before. Cut over: documents that moved meanwhile are where they belong."""
    before_the_change(shop)
    before = picture(shop)
    declared(shop, kind, cutover="manual")
    shop.apply()
    assert (found(shop), pending(shop).phase) == (INSIDE, "ready")
    assert shop.drift().indexes == ()
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])
    shop.apply()
    finds, left = moved(shop), outside(shop)
    assert found(shop) == finds
    cutover(shop)
    assert outside(shop) == left
    assert_done(shop, kind, finds=finds)


@pytest.mark.parametrize("kind", ["by rename", "by writing back"])
def test_on_a_node_of_a_cluster(cluster_shop: Shop, kind: str) -> None:
    """The index that knows the filter is in the slot of the others; an interrupted change goes on."""
    before_the_change(cluster_shop)
    before = picture(cluster_shop)
    declared(cluster_shop, kind, cutover="manual")
    cluster_shop.apply()
    assert [name[:12] for name in helpers(cluster_shop)] == ["{products}@" + ("3" if "back" in kind else "2")]
    roll_back(cluster_shop)
    assert (picture(cluster_shop), ours(cluster_shop)) == (before, [])
    declared(cluster_shop, kind)
    with pytest.raises(EndedError):
        cluster_shop.apply(on_event=ends_at("promote_documents"))
    finds, left = moved(cluster_shop), outside(cluster_shop)
    cluster_shop.apply()
    assert outside(cluster_shop) == left
    assert_done(cluster_shop, kind, finds=finds)


def goes_on(shop: Shop, kind: str, stop: str, *, drops: bool) -> None:
    """Ended behind a step, documents move, the index that knows the filter may be dropped; apply comes to the end."""
    before_the_change(shop, retain_old="1s" if stop == "keep_old" else "0s")
    declared(shop, kind)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at(stop))
    finds, left = moved(shop), outside(shop)
    for name in helpers(shop) if drops else ():
        shop.client.execute_command("FT.DROPINDEX", name)
    shop.apply()
    assert outside(shop) == left
    assert_done(shop, kind, finds=finds)


@pytest.mark.parametrize(("kind", "stop"), BRIEFLY)
def test_an_interrupted_change_goes_on_without_its_helper(shop: Shop, kind: str, stop: str) -> None:
    """Dropped by hand in the middle: it is made again."""
    goes_on(shop, kind, stop, drops=True)


def test_a_hash_that_leaves_the_filter_beside_an_index_over_json(shop: Shop) -> None:
    """The server looks in hashes for the paths of an older filter over JSON, where both read the same name."""
    goes_on(shop, "as JSON", "drop_index", drops=False)


@pytest.mark.soak
@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_behind_every_step(shop: Shop, kind: str, stop: str, drops: bool) -> None:
    """Each promotion, each step, with and without the index that knows the filter."""
    goes_on(shop, kind, stop, drops=drops)


OTHER_FILTERS = {
    "wider": ({"filter": "@price >= 10"}, 10),
    "narrower": ({"filter": "@price >= 45"}, 45),
    "none": ({}, 0),
}
BRIEF = [("by rename", "wider", "live"), ("by rename", "wider", "recreate"), ("as JSON", "none", "recreate")]
ALL = [(kind, other, how) for kind in KINDS for other in OTHER_FILTERS for how in ("live", "recreate")]
CHANGED = [*BRIEF, *(pytest.param(*some, marks=pytest.mark.soak) for some in ALL if some not in BRIEF)]


def another_filter(shop: Shop, kind: str, other: str, how: str) -> None:
    """Documents and filter change at once: what the new one lets in is converted and found."""
    definition, bound = OTHER_FILTERS[other]
    before_the_change(shop)
    shop.client.delete(ODD)
    declared(shop, kind, definition=definition, **({"strategy": "recreate"} if how == "recreate" else {}))
    shop.apply()
    assert found(shop) == numbered(*range(bound, COUNT))
    assert all(in_new_layout(shop, kind, number) for number in range(bound, COUNT))
    assert helpers(shop) == []
    shop.assert_settled()


@pytest.mark.parametrize(("kind", "other", "how"), CHANGED)
def test_another_filter_with_the_same_change(shop: Shop, kind: str, other: str, how: str) -> None:
    """Those that only the new one lets in are converted, too."""
    another_filter(shop, kind, other, how)


@pytest.mark.parametrize(("cut", "other"), [("auto", "none"), ("manual", "wider")])
def test_a_backfill_with_another_filter(shop: Shop, cut: str, other: str) -> None:
    """New fields are in all documents that the new filter lets in, in phases and without."""
    definition, bound = OTHER_FILTERS[other]
    before_the_change(shop)
    shop.client.delete(ODD)
    configured(shop, definition=definition, cutover=cut, fields={"kind": {"transform": {"constant": "shoe"}}})
    shop.declare("products", *OTHERS, embedding(), tag("kind"))
    shop.apply()
    if cut == "manual":
        cutover(shop)
    assert shop.count("@kind:{shoe}") == shop.count() == COUNT - bound
    assert helpers(shop) == []
    shop.assert_settled()


@pytest.mark.parametrize("kind", ["by rename", "by writing back"])
def test_recreated_and_taken_back_from_a_backup(shop: Shop, kind: str) -> None:
    """Documents that the filter leaves out refuse nothing in the rehearsal; interrupted, and once it is complete."""
    before_the_change(shop, backup="kept")
    before, left = held_by(shop), outside(shop)
    declared(shop, kind, strategy="recreate", backup="kept")
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("verify_index"))
    for _ in range(2):
        roll_back(shop)
        assert (held_by(shop), found(shop)) == (before, INSIDE)
        assert (len(live_names(shop.client)), ours(shop), shop.state().rewrites) == (1, [], ())
        shop.apply()
        assert (found(shop), outside(shop), helpers(shop)) == (INSIDE, left, [])


def held_by(shop: Shop) -> dict[bytes, Any]:
    """What all documents hold, in whichever order."""
    return {key: shop.client.hgetall(key) for key in shop.client.scan_iter("products:*", count=1000)}


def test_a_filter_of_several_lines(shop: Shop) -> None:
    r"""The server shows line breaks as \n, which it does not take itself; changed, and taken back from a backup."""
    lines = {"filter": "@price >= 30\n&& @category != 'a\\nb'\n"}
    before_the_change(shop, definition=lines, backup="kept")
    before = held_by(shop)
    declared(shop, "by rename", definition=lines, backup="kept")
    shop.apply()
    assert_done(shop, "by rename", finds=INSIDE)
    roll_back(shop)
    assert (held_by(shop), found(shop)) == (before, INSIDE)


@pytest.mark.parametrize("strategy", ["auto", "recreate"])
def test_a_filter_that_reads_what_the_change_removes_is_refused(shop: Shop, strategy: str) -> None:
    """It would let nothing in; with the new name it goes well."""
    before_the_change(shop)
    shop.client.delete(ODD)
    how = {"strategy": "recreate"} if strategy == "recreate" else {}
    configured(shop, fields={"cost": {"renamed_from": "price"}}, **how)
    shop.declare("products", text("title"), tag("category"), numeric("cost"), embedding())
    with pytest.raises(ChangeRefusedError, match="it reads @price, which this change removes from the documents"):
        shop.apply()
    configured(
        shop,
        fields={"cost": {"renamed_from": "price"}},
        definition={"filter": FILTER["filter"].replace("price", "cost")},
        **how,
    )
    shop.apply()
    assert found(shop) == INSIDE
    shop.assert_settled()


@pytest.mark.parametrize("kind", ["by rename", "by writing back"])
def test_a_state_that_was_lost_while_copies_were_made(shop: Shop, kind: str) -> None:
    """Rebuilt from what is there: taken back, nothing is left; the next apply begins anew."""
    before_the_change(shop)
    before = documents(shop.client)
    declared(shop, kind)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("stage_documents"))
    lost(shop)
    roll_back(shop)
    assert (documents(shop.client), live_names(shop.client), ours(shop)) == (before, {"products@1"}, [])
    shop.apply()
    assert found(shop) == INSIDE
    shop.assert_settled()


def test_a_helper_that_was_forgotten_is_in_nobodys_way(shop: Shop) -> None:
    """Under another prefix nothing but it tells of a change that was held: it is known as ours, and goes."""
    before_the_change(shop)
    declared(shop, "under another prefix", cutover="manual")
    shop.apply()
    lost(shop)
    configured(shop)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    assert live_names(shop.client) == {"products@1"}


def lost(shop: Shop) -> None:
    """The state is gone, and made anew from the server."""
    shop.client.delete(KEYS.state)
    assert command(shop, "state", "rebuild", "--yes") == 0


def test_a_helper_with_another_filter_is_made_anew(shop: Shop) -> None:
    """One that has the name by chance tells of other documents."""
    before_the_change(shop)
    create = ("FT.CREATE", "products@2~members", "ON", "HASH", "PREFIX", "1", "products:", "FILTER", "@price < 3")
    declared(shop, "by rename")
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("stage_documents"))
    shop.client.execute_command("FT.DROPINDEX", "products@2~members")
    shop.client.execute_command(*create, "SCHEMA", "price", "NUMERIC")
    shop.apply()
    assert_done(shop, "by rename", finds=INSIDE)


def test_given_up(shop: Shop) -> None:
    """Held, and no longer declared: everything is as before."""
    before_the_change(shop)
    before = picture(shop)
    declared(shop, "by rename", cutover="manual")
    shop.apply()
    configured(shop)
    shop.declare("products", *OTHERS, embedding())
    assert hazards(shop.plan()) == ()
    shop.apply()
    assert (picture(shop), ours(shop)) == (before, [])
    shop.assert_settled()


def test_a_watch_makes_the_helper_again(shop: Shop) -> None:
    """Documents that come in get copies, those that leave lose them, also when somebody dropped what tells it."""
    before_the_change(shop)
    declared(shop, "by rename", cutover="manual")
    shop.apply()
    with watching(shop):
        price(shop, 1, 40)
        eventually(lambda: is_staged(shop, 1))
        shop.client.execute_command("FT.DROPINDEX", *helpers(shop))
        price(shop, 2, 40)
        price(shop, 40, 2)
        eventually(lambda: is_staged(shop, 2) and not is_staged(shop, 40))
    roll_back(shop)
    assert (live_names(shop.client), ours(shop)) == ({"products@1"}, [])
    assert len(found(shop)) == COUNT - BOUND + 1


def is_staged(shop: Shop, number: int) -> bool:
    """Whether a document has a copy."""
    return any(shop.client.scan_iter(f"rvlstate:stage:*:products:{number}", count=1000))
