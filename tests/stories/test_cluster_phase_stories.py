"""Changes in phases on a real node of a cluster, where an alias must be in the slot of its index: by hand, and back."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from document_shop import ALLOWED, COUNT, OTHERS, EndedError, embedding, ends_at, load, narrow, pending, put_json, wide
from kit import Shop, hazards, numeric, tag, text
from observe import documents, eventually, live_names, resolves_to
from test_phase_stories import (
    CHANGES,
    HALVED,
    HEAVIER,
    KINDS,
    assert_done,
    assert_halved,
    assert_led_back_from,
    changes,
    command,
    complete,
    cutover,
    ends_after,
    kept,
    ours,
    picture,
    roll_back,
    staged,
    watching,
)

from rvlstate.errors import ChangeRefusedError, GateFailedError, HazardsNotAllowedError
from rvlstate.plan.rollback_plan import Retreat
from rvlstate.runtime.admit import ApplyOptions

pytest_plugins = ("story_fixtures",)

FIRST, SECOND = "{products}@1", "{products}@2"
FURTHER = "{products}:wares"
"""A further alias, in the slot of the index."""


@pytest.fixture
def shop(cluster_shop: Shop) -> Shop:
    """An empty project on the emptied node of a cluster."""
    return cluster_shop


def before_the_change(shop: Shop, *, retain_old: str = "0s", **settings: Any) -> None:
    """Documents with expiries in many slots, an index with a further alias behind an alias."""
    load(shop)
    shop.client.expire("products:3", 100_000)
    shop.client.hexpire("products:4", 100_000, "embedding")
    policy = {"settle": "0s", "allow": list(ALLOWED), "retain_old": retain_old}
    shop.configure(indexes={"products": {"aliases": [FURTHER], **settings}}, policy=policy)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()


def as_it_is(shop: Shop) -> dict[str, Any]:
    """What a rollback has to bring back."""
    return {**picture(shop), "further": resolves_to(shop.client, FURTHER)}


def assert_leads_to(shop: Shop, physical: str) -> None:
    """Name and further alias lead there, and no alias of ours is in another slot than its index."""
    assert [resolves_to(shop.client, name) for name in ("products", FURTHER)] == [physical] * 2
    assert [resolves_to(shop.client, f"products.{suffix}") for suffix in ("next", "prev")] == [None, None]


@changes
def test_a_cutover_by_hand(shop: Shop, change: str) -> None:
    """Held in front of it, then made; what was written meanwhile is caught up with."""
    before_the_change(shop, cutover="manual")
    shop.declare("products", *CHANGES[change])
    (waits,) = shop.apply().waits
    assert (waits.phase, waits.answers_from, waits.new, waits.also) == ("ready", FIRST, SECOND, ())
    assert_leads_to(shop, FIRST)
    assert shop.plan().steps == ()
    shop.client.hset("products:1", "embedding", wide(70))
    shop.client.delete("products:2")
    cutover(shop)
    assert_leads_to(shop, SECOND)
    assert live_names(shop.client) == {SECOND}
    assert shop.client.hget("products:1", "embedding") == (narrow(70) if change == "staged" else wide(70))
    assert shop.count() == COUNT - 1
    assert_done(shop)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "under another prefix"])
def test_every_promotion_there_and_back(shop: Shop, kind: str) -> None:
    """Held and taken back: byte for byte as before. Held and cut over: settled, and nothing of ours is left."""
    fields, index, settings = KINDS[kind]
    before_the_change(shop)
    shop.client.hpersist("products:4", "embedding")  # fields of JSON cannot expire
    before = as_it_is(shop)
    shop.configure(indexes={"products": {"cutover": "manual", "aliases": [FURTHER], **settings}})
    shop.declare("products", *fields, **index)
    shop.apply()
    assert pending(shop).phase == "ready"
    roll_back(shop)
    assert (as_it_is(shop), ours(shop)) == (before, [])
    shop.apply()
    shop.client.hset("products:1", "category", "late")
    shop.client.delete("products:2")
    cutover(shop)
    assert_done(shop)
    assert shop.count() == COUNT - 1
    assert shop.count("@category:{late}") == 1
    assert shop.client.ttl("products:3") > 90_000


def test_documents_in_json_get_another_field(shop: Shop) -> None:
    """The same kind of documents before and after, with two builds; a rollback leaves them as they were."""
    before = [{"title": f"shoe {number}", "price": number} for number in range(COUNT)]
    for number, document in enumerate(before):
        put_json(shop, f"products:{number}", document)
    shop.configure(indexes={"products": {}}, policy={"settle": "0s", "allow": list(ALLOWED)})
    shop.declare("products", text("title", path="$.title"), numeric("price", path="$.price"), storage_type="json")
    shop.apply()
    as_before = documents(shop.client)
    shop.configure(indexes={"products": {"cutover": "manual", "fields": {"headline": {"renamed_from": "title"}}}})
    shop.declare("products", text("headline", path="$.headline"), numeric("price", path="$.price"), storage_type="json")
    shop.apply()
    roll_back(shop)
    assert documents(shop.client) == as_before
    shop.apply()
    cutover(shop)
    assert shop.count("@headline:shoe") == COUNT
    assert shop.client.execute_command("JSON.GET", "products:7", "$.title") == b"[]"
    assert_done(shop)


def test_another_prefix_is_refused(shop: Shop) -> None:
    """Keys would change their slots; nothing is changed."""
    before_the_change(shop)
    before = as_it_is(shop)
    shop.declare("products", *OTHERS, embedding(), prefix="goods:")
    with pytest.raises(ChangeRefusedError, match="keys cannot be renamed across slots"):
        shop.apply()
    assert (as_it_is(shop), ours(shop)) == (before, [])


@pytest.mark.parametrize("operation", ["stage_documents", "create_index", "await_build", "verify_index"])
def test_a_rollback_in_the_middle_of_staging(shop: Shop, operation: str) -> None:
    """Ended at a step before the hold: as before."""
    before_the_change(shop)
    assert_led_back_from(shop, operation, as_it_is)


@changes
def test_the_old_index_is_kept_and_led_back_to(shop: Shop, change: str) -> None:
    """Behind the cutover a rollback is a matter of names, and no document was touched; it may be interrupted."""
    before_the_change(shop, retain_old="1h")
    before = as_it_is(shop)
    kept(shop, change, FIRST)
    assert_leads_to(shop, SECOND)
    with pytest.raises(EndedError):
        roll_back(shop, on_event=ends_after(1))
    roll_back(shop)
    assert (as_it_is(shop), ours(shop)) == (before, [])


@changes
def test_the_old_index_is_kept_and_given_up(shop: Shop, change: str) -> None:
    """Complete does not wait for the time that was declared."""
    before_the_change(shop, retain_old="1h")
    kept(shop, change, FIRST)
    complete(shop)
    assert live_names(shop.client) == {SECOND}
    assert_done(shop)
    if change == "staged":
        assert_halved(shop)


def test_documents_that_are_being_put_in_place_come_back_from_a_backup(shop: Shop) -> None:
    """Without one a rollback is refused and complete goes on; with one it leads back, interrupted or not."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    with pytest.raises(ChangeRefusedError, match="no way back"):
        roll_back(shop)
    complete(shop)
    assert_halved(shop)
    assert_done(shop)


def test_while_documents_are_put_in_place_a_backup_leads_back(shop: Shop) -> None:
    """Original values, the old definition, aliases; a rollback that is interrupted goes on."""
    before_the_change(shop, backup="kept")
    before = as_it_is(shop)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    with pytest.raises(EndedError):
        roll_back(shop, on_event=ends_at("restore_documents"))
    roll_back(shop)
    after = as_it_is(shop)
    assert after["documents"] == before["documents"]
    assert resolves_to(shop.client, "products") == resolves_to(shop.client, FURTHER)
    assert (shop.count(), ours(shop)) == (COUNT, [])
    shop.declare("products", *OTHERS, embedding())
    shop.assert_settled()


def test_a_physical_name_has_its_gap_at_the_cutover_by_hand(shop: Shop) -> None:
    """Held without it; the cutover asks for CUTOVER_GAP, and the way back builds the old index behind an alias."""
    load(shop)
    shop.client.expire("products:3", 100_000)
    policy = {"naming": "plain", "settle": "0s", "allow": list(ALLOWED)}
    shop.configure(indexes={"products": {"cutover": "manual"}}, policy=policy)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    before = documents(shop.client)
    shop.declare("products", *HALVED)
    assert {"CUTOVER_GAP", "NAME_BECOMES_ALIAS"}.isdisjoint(hazards(shop.plan()))
    shop.apply()
    assert live_names(shop.client) == {"products", "{products}@1"}
    with shop.project() as project:
        assert {"CUTOVER_GAP", "NAME_BECOMES_ALIAS"} <= set(hazards(project.propose_cutover("products")))
    with pytest.raises(HazardsNotAllowedError, match="CUTOVER_GAP"):
        cutover(shop)
    agreed = ApplyOptions(allow=("CUTOVER_GAP", "NAME_BECOMES_ALIAS"))
    with pytest.raises(EndedError):
        cutover(shop, options=agreed, on_event=ends_at("take_name"))
    with shop.project() as project:
        proposal = project.propose_rollback("products")
    assert isinstance(proposal, Retreat)
    assert proposal.rebuilds
    roll_back(shop)
    assert documents(shop.client) == before
    assert (shop.count(), len(live_names(shop.client)), ours(shop)) == (COUNT, 1, [])
    shop.apply()
    cutover(shop)
    assert_halved(shop)
    assert_done(shop)


def test_next_and_prev_are_there_where_the_name_says_its_slot(shop: Shop) -> None:
    """A name with a hash tag: all aliases of it are in one slot, so both may lead to an index."""
    name = "{shop}:products"
    load(shop)
    policy = {"settle": "0s", "allow": list(ALLOWED), "retain_old": "1h"}
    shop.configure(indexes={name: {"cutover": "manual"}}, policy=policy)

    def declare(*fields: Any) -> None:
        shop.declare(name, *fields, prefix="products:")

    declare(*OTHERS, embedding())
    shop.apply()
    declare(*HEAVIER)
    (waits,) = shop.apply().waits
    assert waits.also == ((f"{name}.next", f"{name}@2"),)
    assert resolves_to(shop.client, f"{name}.next") == f"{name}@2"
    with shop.project() as project:
        project.cutover(name)
    assert resolves_to(shop.client, f"{name}.next") is None
    assert resolves_to(shop.client, f"{name}.prev") == f"{name}@1"
    with shop.project() as project:
        project.rollback(name)
    assert resolves_to(shop.client, name) == f"{name}@1"
    assert resolves_to(shop.client, f"{name}.prev") is None
    declare(*OTHERS, embedding())
    shop.assert_settled()


def test_a_hook_stops_the_cutover_and_is_asked_again(shop: Shop) -> None:
    """Another exit code than 0 in front of it: nothing was moved; then it lets it pass, and the other one is told."""
    say, told = shop.folder / "say.py", shop.folder / "told"
    say.write_text(
        f"import os, sys\nopen({str(told)!r}, 'a').write(os.environ['RVLSTATE_HOOK'] + ' ')\n"
        f"sys.exit(os.path.exists({str(shop.folder / 'no')!r}))\n"
    )
    (shop.folder / "no").touch()
    hook = [sys.executable, str(say)]
    before_the_change(shop, cutover="manual", hooks={"before_cutover": hook, "after_cutover": hook})
    shop.declare("products", *HALVED)
    shop.apply()
    assert not told.exists()
    with pytest.raises(GateFailedError, match="hook before the cutover"):
        cutover(shop)
    assert_leads_to(shop, FIRST)
    (shop.folder / "no").unlink()
    if not shop.state().rewrites or pending(shop).phase != "ready":
        shop.apply()
    cutover(shop)
    assert told.read_text() == "before_cutover before_cutover after_cutover "
    assert_halved(shop)
    assert_done(shop)


def test_watch_keeps_copies_up_to_date_and_follows_the_cutover(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies in many slots are followed; behind the cutover late writes are converted."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    assert command(shop, "apply", "--yes", "--postpone-cutover") == 0
    capsys.readouterr()
    command(shop, "status")
    told = " ".join(capsys.readouterr().out.split())
    assert f"{SECOND} is built and verified, and waits for its cutover" in told
    assert "products.next" not in told
    with watching(shop):
        shop.client.hset("products:1", "embedding", wide(82))
        eventually(lambda: staged(shop, "products:1") == narrow(82))
        command(shop, "cutover", "products", "--yes", "--lock-timeout", "30")
        shop.client.hset("products:2", "embedding", wide(83))
        eventually(lambda: shop.client.hget("products:2", "embedding") == narrow(83))
    shop.client.hset("products:1", "embedding", narrow(1))
    shop.client.hset("products:2", "embedding", narrow(2))
    assert_halved(shop)


def test_another_declaration_gives_a_held_change_up(shop: Shop) -> None:
    """Its copies and its index go, and the next change is carried out to its end."""
    before_the_change(shop, cutover="manual")
    shop.declare("products", *HALVED)
    shop.apply()
    shop.configure(indexes={"products": {"aliases": [FURTHER]}})
    shop.declare("products", *OTHERS, embedding("float64"), tag("kind"))
    shop.apply()
    assert shop.client.hget("products:7", "embedding") == wide(7, "d")
    assert shop.count() == COUNT
    assert_done(shop)
