"""Changes in phases on a real server: held, cut over by hand, kept, completed, watched, and taken back as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from document_shop import ALLOWED, COUNT, OTHERS, EndedError, embedding, ends_at, knn, load, narrow, pending, wide
from kit import FieldSpec, Shop, numeric, summaries, tag, text
from observe import KEYS, as_map, documents, eventually, index_facts, is_at_work_on, live_names, resolves_to

from rvlstate.cli.main import run
from rvlstate.errors import ChangeRefusedError, UsageError
from rvlstate.plan.rollback_plan import Retreat
from rvlstate.runtime.outcome import Report

pytest_plugins = ("story_fixtures",)

HALVED = (*OTHERS, embedding("float16"))
HEAVIER = (text("title", weight=2.0), tag("category"), numeric("price"), embedding())
CHANGES: dict[str, tuple[FieldSpec, ...]] = {"staged": HALVED, "index alone": HEAVIER}
changes = pytest.mark.parametrize("change", CHANGES)


def before_the_change(shop: Shop, *, retain_old: str = "0s", **settings: Any) -> None:
    """Documents with expiries, an index with a further alias behind an alias, and how the change is to go."""
    load(shop)
    shop.client.expire("products:3", 100_000)
    shop.client.hexpire("products:4", 100_000, "embedding")
    policy = {"settle": "0s", "allow": list(ALLOWED), "retain_old": retain_old}
    shop.configure(indexes={"products": {"aliases": ["wares"], **settings}}, policy=policy)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()


def held(shop: Shop, change: str) -> Report:
    """The change, up to the hold in front of its cutover."""
    before_the_change(shop, cutover="manual")
    shop.declare("products", *CHANGES[change])
    return shop.apply()


def command(shop: Shop, *words: str) -> int:
    """Run the program; its exit code."""
    return run(shop.arguments(*words))


def cutover(shop: Shop, **options: Any) -> Report:
    """Make the cutover by hand."""
    with shop.project() as project:
        return project.cutover("products", **options)


def complete(shop: Shop, **options: Any) -> Report:
    """Bring the change to its end."""
    with shop.project() as project:
        return project.complete("products", **options)


def roll_back(shop: Shop, **options: Any) -> Report:
    """Take the change back."""
    with shop.project() as project:
        return project.rollback("products", **options)


def picture(shop: Shop) -> dict[str, Any]:
    """What a rollback has to bring back: documents byte for byte, definitions, aliases, what is recorded of them."""
    return {
        "documents": documents(shop.client),
        "index": index_facts(shop.client, "products"),
        "indexes": live_names(shop.client),
        "aliases": [resolves_to(shop.client, name) for name in ("products", "wares", "products.next", "products.prev")],
        "records": [(record.physical, record.definition, record.aliases) for record in shop.state().records],
        "rewrites": shop.state().rewrites,
        "intents": shop.state().intents,
    }


def ours(shop: Shop) -> list[bytes]:
    """What a change in phases keeps beside documents and in its progress."""
    found = [*shop.client.scan_iter("rvlstate:stage:*", count=1000), *shop.client.scan_iter("rvlstate:mark:*")]
    return sorted([*found, *shop.client.scan_iter(f"{KEYS.tag}:run:products-*")])


def assert_done(shop: Shop) -> None:
    """The change is complete, and nothing of what was needed for it is left."""
    shop.assert_settled()
    assert (ours(shop), shop.state().rewrites, shop.state().intents) == ([], (), ())


def assert_halved(shop: Shop, *, count: int = COUNT) -> None:
    """Every document is in the new layout, found by the index, under its own key."""
    for number in range(count):
        assert shop.client.hget(f"products:{number}", "embedding") == narrow(number), number
    assert shop.count() == count
    assert shop.client.ttl("products:3") > 90_000
    assert all(key.startswith(b"products:") for key in knn(shop, narrow(1), k=count))


@changes
def test_a_cutover_by_hand(shop: Shop, change: str) -> None:
    """Apply stops when the new index is ready and says so; plan and apply wait; the cutover goes on to the end."""
    report = held(shop, change)
    assert (report.result, report.plan_empty) == ("done", True)
    (waits,) = report.waits
    assert (waits.phase, waits.answers_from, waits.new) == ("ready", "products@1", "products@2")
    assert waits.commands[0].text == "rvlstate cutover products"
    assert resolves_to(shop.client, "products") == "products@1"
    assert resolves_to(shop.client, "products.next") == "products@2"
    assert shop.plan().steps == ()
    again = shop.apply()
    assert (again.result, again.waits) == ("nothing", report.waits)
    cutover(shop)
    assert [resolves_to(shop.client, name) for name in ("products", "wares")] == ["products@2"] * 2
    assert resolves_to(shop.client, "products.next") is None
    assert live_names(shop.client) == {"products@2"}
    assert_done(shop)
    if change == "staged":
        assert_halved(shop)


HELD_SETTINGS: dict[str, Any] = {"cutover": "manual", "aliases": ["wares"]}
RENAMED = {"fields": {"headline": {"renamed_from": "title"}}}
AS_JSON = tuple({**field, "path": f"$.{field['name']}"} for field in (*OTHERS, embedding()))
KINDS: dict[str, tuple[tuple[FieldSpec, ...], dict[str, Any], dict[str, Any]]] = {
    "by rename": (HALVED, {}, {}),
    "by writing back": ((text("headline"), *OTHERS[1:], embedding()), {}, RENAMED),
    "under another prefix": ((*OTHERS, embedding()), {"prefix": "goods:"}, {}),
    "as JSON": (AS_JSON, {"storage_type": "json"}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_promotion_there_and_back(shop: Shop, kind: str) -> None:
    """Held and taken back: byte for byte as before. Held and cut over: settled, nothing of ours, and drift sees."""
    fields, index, settings = KINDS[kind]
    before_the_change(shop)
    shop.client.hpersist("products:4", "embedding")  # fields of JSON cannot expire
    before = picture(shop)
    shop.configure(indexes={"products": {**HELD_SETTINGS, **settings}})
    shop.declare("products", *fields, **index)
    shop.apply()
    assert pending(shop).phase == "ready"
    shop.client.hset("products:5", "price", 77)
    shop.client.hset("products:5", "price", 5)
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])
    shop.apply()
    shop.client.hset("products:1", "category", "late")
    shop.client.delete("products:2")
    cutover(shop)
    assert_done(shop)
    assert shop.count() == COUNT - 1
    assert shop.count("@category:{late}") == 1
    shop.client.hset("products:new", mapping={"title": "late", "price": 1, "embedding": wide(3)})
    if kind == "by writing back":
        # Of a renamed field nothing tells which of two values is the later one.
        assert shop.drift().indexes == ()
        return
    (drifted,) = shop.drift().indexes
    assert [change.address for change in drifted.changes] == ["products.documents"]


def test_a_document_that_somebody_wrote_under_the_new_prefix_stays(shop: Shop) -> None:
    """A rollback removes the copies that are still as they were made, and no other document."""
    before_the_change(shop, cutover="manual")
    shop.declare("products", *OTHERS, embedding(), prefix="goods:")
    shop.apply()
    shop.client.hset("goods:1", "title", "written by an application")
    roll_back(shop)
    assert list(shop.client.scan_iter("goods:*", count=1000)) == [b"goods:1"]
    assert shop.count() == COUNT


def test_the_time_of_an_old_index_ends(shop: Shop) -> None:
    """The first apply behind it gives the old index up; a run that took longer than that is no mistake."""
    before_the_change(shop, retain_old="1s")
    shop.declare("products", *HEAVIER)
    assert [waits.phase for waits in shop.apply().waits] == ["serving"]
    eventually(lambda: shop.plan().steps)
    shop.apply()
    assert live_names(shop.client) == {"products@2"}
    assert_done(shop)


def test_what_is_written_while_it_is_held_is_caught_up_with(shop: Shop) -> None:
    """An update, an insertion and a deletion in the old layout, made while nobody was at work; then the gate again."""
    held(shop, "staged")
    shop.client.hset("products:1", "embedding", wide(70))
    shop.client.hset("products:new", mapping={"title": "new", "price": 1, "embedding": wide(71)})
    shop.client.delete("products:2")
    report = cutover(shop)
    done = [step.summary for step in report.steps]
    assert done[0].startswith("catch up")
    assert done[1] == "verify products@2 against products@1"
    assert shop.client.hget("products:1", "embedding") == narrow(70)
    assert shop.client.hget("products:new", "embedding") == narrow(71)
    assert not shop.client.exists("products:2")
    assert shop.count() == COUNT
    assert_done(shop)


@changes
def test_a_rollback_of_what_is_held(shop: Shop, change: str) -> None:
    """Everything is as before, byte for byte, and nothing of ours is left; the change is pending again."""
    before_the_change(shop, cutover="manual")
    before = picture(shop)
    shop.declare("products", *CHANGES[change])
    shop.apply()
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])
    assert summaries(shop.plan())[-1].startswith("hold before the cutover")
    shop.apply()
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])


@pytest.mark.parametrize("operation", ["stage_documents", "create_index", "verify_index"])
def test_a_rollback_in_the_middle_of_staging(shop: Shop, operation: str) -> None:
    """Ended at a step before the hold: as before."""
    before_the_change(shop)
    assert_led_back_from(shop, operation, picture)


def assert_led_back_from(shop: Shop, operation: str, look: Callable[[Shop], dict[str, Any]]) -> None:
    """A staged change that ends at a step is taken back: what `look` sees is as before, and nothing of ours stays."""
    before = look(shop)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at(operation))
    assert ours(shop) != []
    roll_back(shop)
    assert (look(shop), ours(shop)) == (before, [])


@changes
def test_the_old_index_is_kept_and_led_back_to(shop: Shop, change: str) -> None:
    """Scenario 37: the old index is there; a rollback is a matter of names, and no document was touched."""
    before_the_change(shop, retain_old="1h")
    before = picture(shop)
    kept(shop, change)
    assert resolves_to(shop.client, "products") == "products@2"
    assert resolves_to(shop.client, "products.prev") == "products@1"
    with shop.project() as project:
        proposal = project.propose_rollback("products")
    assert isinstance(proposal, Retreat)
    assert (proposal.rewrite.phase, proposal.newer, proposal.rebuilds) == ("serving", 0, False)
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])


@changes
def test_the_old_index_is_kept_and_given_up(shop: Shop, change: str) -> None:
    """Complete does not wait for the time that was declared."""
    before_the_change(shop, retain_old="1h")
    kept(shop, change)
    complete(shop)
    assert live_names(shop.client) == {"products@2"}
    assert_done(shop)
    if change == "staged":
        assert_halved(shop)


def kept(shop: Shop, change: str, old: str = "products@1") -> None:
    """The change up to where its old index is kept; a staged one keeps its copies up to date there, until it ends."""
    shop.declare("products", *CHANGES[change])
    if change == "index alone":
        assert [waits.phase for waits in shop.apply().waits] == ["serving"]
        return
    process = background(shop, "apply", "--yes")
    eventually(lambda: is_at_work_on(shop.client, f"keep {old}"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 1


def background(shop: Shop, *words: str) -> subprocess.Popen[str]:
    """The program as a process of its own."""
    arguments = [sys.executable, "-m", "rvlstate.cli.main", *shop.arguments(*words)]
    return subprocess.Popen(arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_rollback_that_stopped_goes_on(shop: Shop, number: int) -> None:
    """Ended at any step: the same command ends in the same place."""
    before_the_change(shop, retain_old="1h")
    before = picture(shop)
    kept(shop, "index alone")
    with pytest.raises(EndedError):
        roll_back(shop, on_event=ends_after(number))
    roll_back(shop)
    assert (picture(shop), ours(shop)) == (before, [])


def ends_after(number: int) -> Callable[[Any], None]:
    """A listener that ends the run once so many steps are done."""
    done: list[str] = []

    def listen(event: Any) -> None:
        if type(event).__name__ == "StepFinished":
            done.append(event.step)
            if len(done) == number:
                raise EndedError

    return listen


def test_a_document_in_the_new_layout_is_told_before_a_rollback(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Scenario 37: it stays as it is, and the old index does not find it."""
    before_the_change(shop, retain_old="1h")
    kept(shop, "staged")
    shop.client.hset("products:1", "embedding", narrow(90))
    capsys.readouterr()
    assert command(shop, "rollback", "products", "--yes") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "About 1 document in the new layout, which the old index does not find" in told
    assert "The copies of its documents are removed." in told
    assert shop.client.hget("products:1", "embedding") == narrow(90)
    assert shop.count() == COUNT - 1
    assert ours(shop) == []


def test_a_postponed_cutover(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Scenario 41: whatever is declared, this run stops in front of it, and the next one does not."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    assert command(shop, "apply", "--yes", "--postpone-cutover") == 0
    assert "rvlstate" in capsys.readouterr().out
    assert (pending(shop).phase, resolves_to(shop.client, "products")) == ("ready", "products@1")
    shop.apply()
    assert_halved(shop)
    assert_done(shop)


def test_a_postponed_plan_file(shop: Shop) -> None:
    """A file that was made so is carried out so, and shows nothing that is left to do."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    file = str(shop.folder / "plan.json")
    assert command(shop, "plan", "--postpone-cutover", "--out", file) == 0
    assert command(shop, "apply", file, "--yes") == 0
    assert pending(shop).phase == "ready"
    assert command(shop, "apply", file, "--yes", "--postpone-cutover") == 64


@changes
def test_exit_codes_of_what_waits(shop: Shop, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that waits counts as a change; what makes no sense is refused with the command that does."""
    held(shop, change)
    assert command(shop, "plan", "--detailed-exitcode") == 2
    assert command(shop, "apply", "--yes") == 0
    capsys.readouterr()
    refused = {
        ("complete", "products", "--yes"): "first rvlstate cutover products",
        ("cutover", "nothing", "--yes"): "nothing is not managed by this project",
    }
    for words, reason in refused.items():
        assert command(shop, *words) in (3, 64)
        assert reason in capsys.readouterr().err
    assert command(shop, "cutover", "products") == 64  # nobody to ask
    assert command(shop, "cutover", "products", "--yes", "--format", "json") == 0
    capsys.readouterr()
    for words in (("cutover", "products", "--yes"), ("complete", "products", "--yes")):
        assert command(shop, *words) == 3
        assert "no change of it is under way; products answers from products@2" in capsys.readouterr().err
    assert command(shop, "plan", "--detailed-exitcode") == 0


def test_what_is_refused_while_another_phase_is_at_hand(shop: Shop) -> None:
    """Cutover before it is ready and after it was made; an index that nobody declares any more."""
    before_the_change(shop, retain_old="1h")
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("create_index"))
    for ask in (cutover, complete):
        with pytest.raises(ChangeRefusedError, match=r"to be made|to complete") as refused:
            ask(shop)
        assert "rvlstate apply" in refused.value.next_step
    roll_back(shop)
    kept(shop, "index alone")
    with pytest.raises(ChangeRefusedError, match="no cutover to be made") as refused:
        cutover(shop)
    assert "rvlstate complete products" in refused.value.next_step
    with pytest.raises(UsageError):
        complete_of(shop, "nobody")
    shop.declare("others", tag("kind"))
    shop.undeclare("products")
    shop.configure(indexes={})
    with pytest.raises(ChangeRefusedError, match="nothing to complete") as undeclared:
        complete(shop)
    assert "rvlstate rollback products" in undeclared.value.next_step


def complete_of(shop: Shop, name: str) -> None:
    """Complete another one."""
    with shop.project() as project:
        project.complete(name)


def test_another_declaration_is_not_cut_over_to(shop: Shop) -> None:
    """Held, then the files say something else: the cutover is refused, apply gives the change up."""
    held(shop, "staged")
    shop.declare("products", *HEAVIER)
    with pytest.raises(ChangeRefusedError, match="no cutover to be made") as refused:
        cutover(shop)
    assert "another change is declared now" in str(refused.value)
    assert resolves_to(shop.client, "products") == "products@1"


def test_what_it_depends_on_is_left_alone_by_a_cutover(shop: Shop) -> None:
    """Only the index that was named."""
    shop.declare("others", tag("kind"))
    before_the_change(shop, cutover="manual", depends_on=["others"])
    shop.declare("products", *HALVED)
    shop.apply()
    shop.declare("others", tag("kind"), tag("more"))
    with shop.project() as project:
        assert {step.index for step in project.propose_cutover("products").steps} == {"products"}
    cutover(shop)
    assert resolves_to(shop.client, "products") == "products@2"
    assert len(as_map(shop.client.execute_command("FT.INFO", "others"))["attributes"]) == 1


def test_a_name_that_was_physical_is_built_again(shop: Shop) -> None:
    """The old index went at the cutover that took its name: on the way back it is built anew, behind an alias."""
    load(shop)
    shop.configure(
        indexes={"products": {}},
        policy={"naming": "plain", "settle": "0s", "allow": [*ALLOWED, "NAME_BECOMES_ALIAS"]},
    )
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    before = documents(shop.client)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("take_name"))
    with shop.project() as project:
        proposal = project.propose_rollback("products")
    assert isinstance(proposal, Retreat)
    assert proposal.rebuilds
    with pytest.raises(EndedError):
        roll_back(shop, on_event=ends_at("await_build"))
    roll_back(shop)
    assert documents(shop.client) == before
    assert (shop.count(), len(live_names(shop.client))) == (COUNT, 1)
    assert ours(shop) == []
    shop.declare("products", *OTHERS, embedding())
    shop.assert_settled()


def promoting(shop: Shop, **settings: Any) -> None:
    """Ended when the first documents were put in place."""
    before_the_change(shop, **settings)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    assert pending(shop).phase == "promoting"


def test_while_documents_are_put_in_place_there_is_no_way_back_without_a_backup(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with the reason and what to do instead; complete goes on to the end."""
    promoting(shop)
    assert command(shop, "rollback", "products", "--yes") == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "the original values of 60 of them are gone, or will be" in told
    assert "rvlstate complete products" in told
    complete(shop)
    assert_halved(shop)
    assert_done(shop)


def test_while_documents_are_put_in_place_a_backup_leads_back(shop: Shop) -> None:
    """Original values, the old definition, aliases; a rollback that is interrupted goes on."""
    before_the_change(shop, backup="kept")
    before = picture(shop)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    with pytest.raises(EndedError):
        roll_back(shop, on_event=ends_at("restore_documents"))
    roll_back(shop)
    after = picture(shop)
    assert after["documents"] == before["documents"]
    assert after["aliases"] == before["aliases"]
    assert (shop.count(), ours(shop)) == (COUNT, [])
    shop.declare("products", *OTHERS, embedding())
    shop.assert_settled()


@contextmanager
def watching(shop: Shop) -> Iterator[subprocess.Popen[str]]:
    """`rvlstate watch products` at work; the block ends it with SIGTERM, and it must have ended well."""
    process = background(shop, "watch", "products")
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Watched products" in out
        assert "stopped by SIGTERM" in out
    finally:
        process.kill()
        process.wait()


def test_watch_converts_late_writes_when_all_is_complete(shop: Shop) -> None:
    """Drift tells them, watch brings them into the new layout until it is stopped, and an apply is not kept out."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    assert shop.apply().late_writers == ("products",)
    assert_done(shop)
    shop.client.hset("products:1", "embedding", wide(80))
    (drifted,) = shop.drift().indexes
    (change,) = drifted.changes
    assert (change.address, change.after) == ("products.documents", 1)
    assert [told.text for told in drifted.commands] == ["rvlstate watch products"]
    assert command(shop, "drift") == 2
    with watching(shop):
        eventually(lambda: shop.client.hget("products:1", "embedding") == narrow(80))
        shop.client.hset("products:2", "embedding", wide(81))
        eventually(lambda: shop.client.hget("products:2", "embedding") == narrow(81))
        shop.apply(lock_timeout=30)
    assert shop.drift().indexes == ()
    assert ours(shop) == []


def test_watch_keeps_copies_up_to_date_and_follows_the_cutover(shop: Shop) -> None:
    """While the change is held, status says that it is followed; behind the cutover late writes are converted."""
    held(shop, "staged")
    with shop.project() as project:
        (standing,) = project.status().changes
    assert standing.followed_by == ""
    assert standing.followed_until
    with watching(shop):
        shop.client.hset("products:1", "embedding", wide(82))
        eventually(lambda: staged(shop, "products:1") == narrow(82))
        with shop.project() as project:
            assert project.status().changes[0].followed_by == "rvlstate watch"
        assert shop.client.hget("products:1", "embedding") == wide(82)
        command(shop, "cutover", "products", "--yes", "--lock-timeout", "30")
        shop.client.hset("products:2", "embedding", wide(83))
        eventually(lambda: shop.client.hget("products:2", "embedding") == narrow(83))
    shop.client.hset("products:1", "embedding", narrow(1))
    shop.client.hset("products:2", "embedding", narrow(2))
    assert_halved(shop)


def staged(shop: Shop, key: str) -> bytes | None:
    """The vector of the copy of a document."""
    for copy in shop.client.scan_iter(f"rvlstate:stage:*:{key}", count=1000):
        vector: bytes | None = shop.client.hget(copy, "embedding")
        return vector
    return None


def test_watch_ends_when_its_change_is_another_matter(shop: Shop) -> None:
    """Taken back meanwhile: the watch says so and ends with an error."""
    held(shop, "staged")
    process = background(shop, "watch", "products")
    try:
        eventually(lambda: shop.client.exists(KEYS.run("watch:products")))
        with shop.project() as project:
            project.rollback("products", lock_timeout=30)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert "the change of its documents was taken back" in err
    finally:
        process.kill()
        process.wait()


def test_there_is_nothing_to_watch_where_nothing_tells(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """An index that was never changed, or whose documents do not tell."""
    before_the_change(shop)
    assert command(shop, "watch", "products") == 3
    assert "there is nothing to watch" in capsys.readouterr().err


def test_a_later_change_is_what_is_watched(shop: Shop) -> None:
    """Another weight after the change of documents: the layout that was remembered goes with its index."""
    before_the_change(shop)
    shop.declare("products", *HALVED)
    shop.apply()
    assert shop.state().records[0].layout is not None
    assert shop.plan().empty
    shop.declare("products", *HALVED, tag("more"))
    shop.apply()
    assert shop.state().records[0].layout is not None
    shop.declare("products", text("title", weight=3.0), *HALVED[1:], tag("more"))
    shop.apply()
    assert shop.state().records[0].layout is None


def test_status_says_what_is_safe_and_what_comes_next(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """In plain words, phase by phase."""
    held(shop, "staged")
    capsys.readouterr()
    command(shop, "status")
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "products@2 is built and verified, and waits for its cutover",
        "answers from products@1",
        "writers may use the old layout, not yet the new one",
        "kept up to date not since",
        "cutover products",
        "rollback products",
    ):
        assert words in told
    shop.settings["policy"]["retain_old"] = "1h"
    shop.configure()
    process = background(shop, "cutover", "products", "--yes")
    eventually(lambda: is_at_work_on(shop.client, "keep products@1"))
    with shop.project() as project:
        (change,) = project.status().changes
    assert (change.standing.phase, change.followed_by) == ("serving", "rvlstate cutover")
    assert change.standing.writers == "writers may use the old layout and the new one"
    assert change.kept_until
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert "rvlstate complete products gives products@1 up" in " ".join(err.split())
    complete(shop)
    assert_done(shop)
