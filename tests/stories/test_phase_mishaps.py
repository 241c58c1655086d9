"""Changes in phases when something goes wrong: memory is full, names are moved, indexes dropped, the state is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NewServer
from document_shop import (
    ALLOWED,
    COUNT,
    OTHERS,
    EndedError,
    embedding,
    ends_at,
    knn,
    load,
    narrow,
    pending,
    wide,
)
from kit import Shop, opened_shop, summaries, tag, text
from observe import KEYS, documents, eventually, is_at_work_on, live_names, resolves_to
from test_phase_stories import (
    HALVED,
    HEAVIER,
    assert_done,
    assert_halved,
    background,
    before_the_change,
    command,
    complete,
    cutover,
    held,
    kept,
    ours,
    picture,
    roll_back,
)

from rvlstate.errors import ChangeRefusedError, StateError, StepFailedError, UsageError
from rvlstate.events import Event, StepStarted
from rvlstate.plan.rollback_plan import Retreat
from rvlstate.runtime.status import Status

pytest_plugins = ("story_fixtures",)


def status_of(shop: Shop) -> Status:
    """Where everything stands."""
    with shop.project() as project:
        return project.status()


def full(shop: Shop) -> None:
    """From here on the server refuses every command that needs memory."""
    shop.client.config_set("maxmemory", shop.client.info("memory")["used_memory"] - 100_000)
    with pytest.raises(Exception, match="maxmemory"):
        shop.client.set("more", "x")


@pytest.fixture
def own_shop(tmp_path: Path, new_server: NewServer) -> Iterator[Shop]:
    """A shop on a server of its own, whose settings may be changed."""
    with opened_shop(tmp_path / "own", new_server()) as shop:
        yield shop


def test_copies_are_removed_while_memory_is_full(own_shop: Shop) -> None:
    """What fills the memory can be given back: before the cutover, and behind it, with the name led back first."""
    shop = own_shop
    before_the_change(shop, cutover="manual", retain_old="1h")
    before = picture(shop)
    shop.declare("products", *HALVED)
    shop.apply()
    full(shop)
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])
    shop.client.config_set("maxmemory", 0)
    shop.configure(indexes={"products": {"aliases": ["wares"]}})
    kept(shop, "staged")
    full(shop)
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])


def test_documents_are_put_in_place_while_memory_is_full(own_shop: Shop) -> None:
    """By rename that needs no memory, and gives back that of the documents in the old layout."""
    shop = own_shop
    before_the_change(shop, retain_old="1h")
    kept(shop, "staged")
    shop.settings["policy"]["max_memory_ratio"] = 1.0
    shop.configure()
    full(shop)
    complete(shop)
    shop.client.config_set("maxmemory", 0)
    assert_halved(shop)
    assert_done(shop)


@pytest.mark.parametrize("choice", ["keep", "remove"])
def test_staging_stops_where_memory_is_full(own_shop: Shop, choice: str) -> None:
    """The old index serves, the run fails and says what can be done; copies are kept for apply, or removed."""
    shop = own_shop
    before_the_change(shop)
    before = picture(shop)
    shop.declare("products", *HALVED)

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.operation == "stage_documents":
            full(shop)

    with pytest.raises(StepFailedError) as failed:
        shop.apply(on_event=listen)
    assert "maxmemory" in str(failed.value)
    assert "rvlstate rollback products removes them" in str(failed.value)
    assert (resolves_to(shop.client, "products"), shop.count()) == ("products@1", COUNT)
    if choice == "remove":
        roll_back(shop)
        assert (picture(shop), ours(shop)) == (before, [])
        return
    shop.client.config_set("maxmemory", 0)
    shop.apply()
    assert_halved(shop)
    assert_done(shop)


def led_back(shop: Shop) -> None:
    """Behind the cutover somebody leads the name, and nothing else, back to the old index."""
    before_the_change(shop, retain_old="1h")
    kept(shop, "staged")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "products@1")


def test_a_cutover_that_somebody_undid_is_not_completed(shop: Shop) -> None:
    """The index that serves is never dropped: the change waits for its cutover again, and says why."""
    led_back(shop)
    (change,) = status_of(shop).changes
    assert change.standing.phase == "ready"
    assert change.standing.summary.endswith("waits for its cutover again: somebody led products back to products@1")
    assert [one.words for one in change.standing.commands] == [("cutover", "products"), ("rollback", "products")]
    rows = [(row.state, row.physical) for row in status_of(shop).indexes]
    assert [row[1] for row in rows] == ["products@1", "products@2"]
    assert rows[1][0] == "ready"
    with pytest.raises(ChangeRefusedError, match="nothing to complete") as refused:
        complete(shop)
    assert "nothing is cut over yet" in str(refused.value)
    assert live_names(shop.client) == {"products@1", "products@2"}
    shop.client.hset("products:1", "embedding", wide(70))
    shop.settings["policy"]["retain_old"] = "0s"
    shop.configure()
    assert summaries(shop.plan())[:2] == [
        "catch up with what was written to the documents of products since",
        "verify products@2 against products@1",
    ]
    cutover(shop)
    assert shop.client.hget("products:1", "embedding") == narrow(70)
    assert resolves_to(shop.client, "wares") == "products@2"
    assert_done(shop)


def test_a_cutover_that_somebody_undid_is_taken_back(shop: Shop) -> None:
    """Further aliases and the record follow the name that was led back by hand."""
    before_the_change(shop, retain_old="1h")
    before = picture(shop)
    kept(shop, "staged")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "products@1")
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])


@pytest.mark.parametrize("way", ["rollback", "cutover"])
def test_the_old_index_is_dropped_by_hand_while_the_new_one_waits(shop: Shop, way: str) -> None:
    """There is no search, and status and plan say so and name the two ways out; each of them brings search back."""
    held(shop, "staged")
    shop.client.execute_command("FT.DROPINDEX", "products@1")
    (change,) = status_of(shop).changes
    assert "nothing answers to products: products@1 is gone" in change.standing.summary
    assert "builds the old index again" in change.standing.commands[1].effect
    plan = shop.plan()
    (index,) = plan.indexes
    assert (plan.steps, index.action, index.classification) == ((), "update", "shadow")
    assert "Until then nothing answers to products" in index.held[0]
    if way == "cutover":
        cutover(shop)
        assert_halved(shop)
        assert_done(shop)
        return
    with shop.project() as project:
        proposal = project.propose_rollback("products")
    assert isinstance(proposal, Retreat)
    assert proposal.rebuilds
    roll_back(shop)
    assert (shop.count(), found_by(shop, "wares"), ours(shop)) == (COUNT, COUNT, [])
    assert len(knn(shop, wide(1), k=5)) == 5


def found_by(shop: Shop, name: str) -> int:
    """How many documents a name finds."""
    return int(shop.client.execute_command("FT.SEARCH", name, "*", "LIMIT", 0, 0)[0])


@pytest.mark.parametrize("way", ["rollback", "apply"])
def test_the_new_index_is_dropped_by_hand_behind_the_cutover(shop: Shop, way: str) -> None:
    """It is built again from copies and documents, or the name goes back to the old one."""
    before_the_change(shop, retain_old="1h")
    before = picture(shop)
    kept(shop, "staged")
    shop.client.execute_command("FT.DROPINDEX", "products@2")
    assert status_of(shop).changes[0].standing.phase == "staging"
    if way == "rollback":
        roll_back(shop)
        assert (picture(shop), ours(shop)) == (before, [])
        return
    shop.settings["policy"]["retain_old"] = "0s"
    shop.configure()
    shop.apply()
    assert_halved(shop)
    assert_done(shop)


def lose_the_state(shop: Shop) -> None:
    """The state alone is gone; then it is made anew from what is live."""
    shop.client.delete(KEYS.state)
    with pytest.raises(StateError, match="the recorded state is gone"):
        shop.plan()
    with shop.project() as project:
        project.rebuild_state()


@pytest.mark.parametrize("phase", ["ready", "serving"])
def test_a_change_whose_state_was_lost_is_taken_back(shop: Shop, phase: str) -> None:
    """Copies, marks, the index over them and the aliases beside the name are found again, and go; documents stay."""
    before_the_change(shop, retain_old="1h", **({"cutover": "manual"} if phase == "ready" else {}))
    untouched = documents(shop.client)
    shop.declare("products", *HALVED)
    if phase == "ready":
        shop.apply()
    else:
        kept(shop, "staged")
    lose_the_state(shop)
    status = status_of(shop)
    (change,) = status.changes
    assert "the state was lost" in change.standing.summary
    assert status.unmanaged == ()
    for ask in (cutover, complete):
        with pytest.raises(ChangeRefusedError, match="what is to be done to its documents is not known"):
            ask(shop)
    if phase == "serving":
        assert shop.plan().indexes[0].refused
    roll_back(shop)
    assert (documents(shop.client), ours(shop), live_names(shop.client)) == (untouched, [], {"products@1"})
    assert [resolves_to(shop.client, name) for name in ("products", "wares")] == ["products@1"] * 2
    assert (shop.count(), shop.state().rewrites) == (COUNT, ())
    shop.configure(indexes={"products": {"aliases": ["wares"]}})
    shop.settings["policy"]["retain_old"] = "0s"
    shop.configure()
    shop.apply()
    assert_halved(shop)
    assert_done(shop)


def test_an_index_that_was_held_when_the_state_was_lost_is_known_as_ours(shop: Shop) -> None:
    """Nobody is told to import it; the next apply builds what is declared, and drops it."""
    held(shop, "index alone")
    lose_the_state(shop)
    assert status_of(shop).unmanaged == ()
    assert shop.state().rewrites == ()
    shop.apply()
    cutover(shop)
    assert len(live_names(shop.client)) == 1
    assert resolves_to(shop.client, "products.next") is None
    assert_done(shop)


def test_a_change_whose_state_was_lost_is_begun_anew_under_another_id(shop: Shop) -> None:
    """Apply removes what it left first: copies of then, made of other documents, never count as those of now."""
    held(shop, "staged")
    lost = pending(shop).id
    lose_the_state(shop)
    assert pending(shop).id == lost
    assert pending(shop).is_lost
    shop.client.hset("products:1", "embedding", wide(77))
    shop.apply()
    assert pending(shop).id != lost
    assert resolves_to(shop.client, "products.next") == pending(shop).target
    assert not [key for key in ours(shop) if lost.encode() in key]
    cutover(shop)
    assert shop.client.hget("products:1", "embedding") == narrow(77)
    assert_done(shop)


def test_an_index_over_copies_is_not_taken_in(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """With all that is recorded gone: neither plan nor import adopts it, and both say how it is taken up again."""
    before_the_change(shop, retain_old="1h")
    kept(shop, "staged")
    for key in shop.client.scan_iter(f"{KEYS.tag}*"):
        shop.client.delete(key)
    assert "rvlstate state rebuild takes it up again" in status_of(shop).next_step
    plan = shop.plan()
    (index,) = plan.indexes
    assert "over staged copies of a change that the state knows nothing of" in index.refused[0]
    assert "products@2" not in plan.unmanaged
    with shop.project() as project, pytest.raises(UsageError, match="over staged copies"):
        project.import_indexes(("products",))
    assert command(shop, "state", "rebuild", "--yes") == 0
    assert "found by what it left" in capsys.readouterr().out
    roll_back(shop)
    assert (shop.count(), ours(shop)) == (COUNT, [])


def test_an_index_that_once_held_copies_is_an_index_as_any_other(shop: Shop) -> None:
    """It keeps their prefix when its change is complete; where the state is lost then, it is managed again as it is."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    shop.apply()
    lose_the_state(shop)
    assert shop.state().rewrites == ()
    assert shop.plan().steps == () or summaries(shop.plan()) == ["record products@2 as products in the state"]
    shop.apply()
    assert_done(shop)


def test_a_backup_leads_back_where_the_state_was_lost_while_documents_were_put_in_place(shop: Shop) -> None:
    """Nothing else could: what was done to documents only the state knew. Without one nothing is removed."""
    before_the_change(shop, backup="kept")
    untouched = documents(shop.client)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("drop_index"))
    copies = {key for key in ours(shop) if key.startswith(b"rvlstate:stage:")}
    lose_the_state(shop)
    (change,) = status_of(shop).changes
    assert change.standing.phase == "promoting"
    declared = dict(shop.settings["indexes"]["products"])
    shop.configure(indexes={"products": {"aliases": ["wares"]}})
    with pytest.raises(ChangeRefusedError, match="no way back"):
        roll_back(shop)
    assert copies
    assert copies <= set(ours(shop))
    shop.configure(indexes={"products": declared})
    roll_back(shop)
    assert documents(shop.client) == untouched
    assert (shop.count(), ours(shop)) == (COUNT, [])


def test_a_rebuilt_state_keeps_a_change_that_can_still_be_read(shop: Shop) -> None:
    """Nobody but the state knows what is being done to documents."""
    held(shop, "staged")
    (begun,) = shop.state().rewrites
    with shop.project() as project:
        project.rebuild_state()
    assert shop.state().rewrites == (begun,)
    cutover(shop)
    assert_halved(shop)
    assert_done(shop)


def test_what_ended_is_not_told_as_interrupted(shop: Shop) -> None:
    """A cutover that was stopped while it kept the old index says complete; when that is done, nothing is left."""
    held(shop, "staged")
    shop.settings["policy"]["retain_old"] = "1h"
    shop.configure()
    process = background(shop, "cutover", "products", "--yes")
    eventually(lambda: is_at_work_on(shop.client, "keep products@1"))
    status = status_of(shop)
    assert status.work is not None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    told = " ".join(err.split())
    assert "Next: the cutover is made: rvlstate complete products gives products@1 up and goes on" in told
    status = status_of(shop)
    assert status.interrupted is not None
    assert "rvlstate complete products" in status.next_step
    assert "rvlstate apply" not in status.next_step
    complete(shop)
    status = status_of(shop)
    assert (status.interrupted, status.next_step) == (None, "")


def test_who_waits_for_a_long_run_is_told_how_to_stop_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock that is held for an hour, since an old index is kept, can be had by rvlstate abort."""
    held(shop, "staged")
    shop.settings["policy"]["retain_old"] = "1h"
    shop.configure()
    process = background(shop, "cutover", "products", "--yes")
    try:
        eventually(lambda: is_at_work_on(shop.client, "keep products@1"))
        capsys.readouterr()
        assert command(shop, "apply", "--yes") == 4
        assert "rvlstate abort" in capsys.readouterr().err
        assert command(shop, "abort") == 0
        told = capsys.readouterr().out
        process.communicate(timeout=30)
        assert process.returncode == 1
        ways = "a cutover was interrupted: next, for products: rvlstate complete products or rvlstate rollback products"
        assert f"Next: {ways}." in told
        assert "products  cut over to products@2, and products@1 is kept" in told
        assert "rollback products leads products back to products@1" in " ".join(told.split())
        with shop.project() as project:
            interrupted = project.drift().interrupted
        assert interrupted.startswith("a cutover was interrupted (run ")
        assert interrupted.endswith(ways.partition(": ")[2] + ".")
        roll_back(shop)
        assert ours(shop) == []
    finally:
        process.kill()
        process.wait()


def test_a_plan_that_stops_at_a_hold_does_not_count_what_comes_behind_it(shop: Shop) -> None:
    """Neither the time for which the old index is kept, nor that in which writers have to be quiet."""
    load(shop)
    policy = {"settle": "300s", "allow": list(ALLOWED), "retain_old": "2h"}
    shop.configure(indexes={"products": {"cutover": "manual"}}, policy=policy)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    shop.declare("products", *HALVED)
    assert shop.plan().indexes[0].impact.estimated_seconds < 60
    shop.configure(indexes={"products": {}})
    assert shop.plan().indexes[0].impact.estimated_seconds > 7500


def test_a_kept_index_alone_needs_no_second_alias_step(shop: Shop) -> None:
    """What was measured of the build meanwhile is no reason to lead the name anew."""
    before_the_change(shop, retain_old="1h")
    shop.declare("products", text("title", weight=2.0), tag("category"), *HEAVIER[2:])
    shop.apply()
    shop.settings["policy"]["retain_old"] = "0s"
    shop.configure()
    assert summaries(shop.plan())[0].startswith("drop products@1")
