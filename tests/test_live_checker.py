"""The checker of live stories finds each kind of fault, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from live import Crowd, Load, Observed, crowd, fill
from live_answers import Answers
from live_by_hand import STAGE, ByHand, Flaw, create_index
from live_checker import Verdict
from live_documents import Kind, writing
from live_history import NOWHERE, History, Version, histories
from live_reading import read

SMALL: dict[str, Any] = {"documents": 400, "write_rate": 400.0, "query_rate": 100.0}
KINDS: tuple[Kind, ...] = ("dtype", "dims", "rename", "json", "prefix")


def staged_by_hand(client: Any, url: str, folder: Path, flaw: Flaw = "") -> tuple[Verdict, Observed]:
    """The whole change under load, with writers of both layouts from the cutover on."""
    load = Load(**SMALL)
    fill(client, load)
    hand = ByHand(client=client, change=load.change, flaw=flaw)
    hand.serve_old()
    with crowd(url, folder, load) as clients:
        clients.await_writes(200)
        hand.stage()
        clients.await_writes(200)
        hand.build()
        hand.cut_over()
        clients.deploy("new", "mixed")
        clients.await_writes(200)
        hand.promote_copies()
        clients.await_writes(200)
        hand.promote_copies()
        observed = clients.stop()
    hand.settle()
    hand.tidy()
    return clients.check(client, patience=1.0), observed


def test_a_change_done_right_is_found_right(redis_url: str, tmp_path: Path) -> None:
    """No fault of any kind, while clients really were at work: every outcome, both layouts, all windows."""
    with redis.from_url(redis_url, protocol=2) as client:
        verdict, observed = staged_by_hand(client, redis_url, tmp_path)
    assert verdict.faults == {}, verdict.findings
    assert verdict.documents >= 400
    assert verdict.asked > verdict.documents
    told = observed.written.told
    assert min(told[name] for name in ("write old", "write new", "delete old", "delete new")) > 0
    assert told["ok"] > 600
    seen = observed.seen
    assert seen.queries > 100
    assert observed.oddities == {}
    assert seen.encoding_switches >= 2
    assert seen.staged > 0
    assert observed.staged_seconds > 0


@pytest.mark.parametrize(
    ("flaw", "kinds"),
    [
        ("overwrites", {"lost_updates"}),
        ("resurrects", {"resurrections", "lost_updates"}),
        ("leaves copies", {"left_over", "wrong_layout"}),
        ("converts wrongly", {"wrong_values"}),
    ],
)
def test_a_change_that_lacks_a_precaution_is_found_out(
    flaw: Flaw, kinds: set[str], redis_url: str, tmp_path: Path
) -> None:
    """Races under real load show as what they are."""
    with redis.from_url(redis_url, protocol=2) as client:
        verdict, _ = staged_by_hand(client, redis_url, tmp_path, flaw)
    assert kinds <= set(verdict.faults), verdict


def at_rest(client: Any, url: str, folder: Path, kind: Kind) -> Crowd:
    """A change done at rest, after writers of the old layout and then of both: all is right."""
    load = Load(kind=kind, **{**SMALL, "queriers": 0})
    fill(client, load)
    with crowd(url, folder, load) as clients:
        clients.await_writes(300)
        if kind != "prefix":  # before the copies are there, nobody writes or deletes what would be under its new key
            clients.deploy("mixed")
            clients.await_writes(300)
        clients.stop()
    change, known = load.change, histories(load.documents, clients.logs)
    for identity in known:
        (version,) = known[identity].allowed
        commands: list[Any] = [("DEL", change.old.prefix + identity), ("DEL", change.new.prefix + identity)]
        if version != NOWHERE:
            still = identity[0] == "p" and int(identity[1:]) < 40
            numbers = (version.number, version.base)
            commands += writing(change, change.new, identity, *numbers, expiry=version.expiry, still=still)
        for command in commands:
            client.execute_command(*command)
    create_index(client, "products", change.new)
    return clients


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_is_understood(kind: Kind, redis_url: str, tmp_path: Path) -> None:
    """What is right is found right; the old layout, an old value and a wrong one are found as such."""
    with redis.from_url(redis_url, protocol=2) as client:
        clients = at_rest(client, redis_url, tmp_path, kind)
        verdict = clients.check(client, patience=1.0)
        assert verdict.faults == {}, verdict.findings
        change, one = clients.load.change, changed_last(clients, 1)[0]
        known = histories(clients.load.documents, clients.logs)[one]
        (last,) = known.allowed
        older = min(known.versions - {last, NOWHERE}, key=lambda version: version.number)

        def judged(form: Any, version: Version) -> dict[str, int]:
            client.delete(change.new.prefix + one)
            for command in writing(change, form, one, version.number, version.base, expiry=last.expiry):
                client.execute_command(*command)
            return clients.check(client, patience=1.0).faults

        assert judged(change.new, older)["lost_updates"] == 1
        assert judged(change.new, Version(number=9_999, base=9_999))["wrong_values"] == 1
        assert judged(change.old, last)["wrong_layout"] == 1
        both = judged(change.new, last)
        assert both == ({"left_over": 1} if kind == "prefix" else {})


def changed_last(clients: Crowd, count: int) -> list[str]:
    """Documents that were changed more than once and are there."""
    known = histories(clients.load.documents, clients.logs)
    chosen = [one for one, history in sorted(known.items()) if len(history.versions - {NOWHERE}) > 2]
    return [one for one in chosen if NOWHERE not in known[one].allowed][:count]


@pytest.fixture
def finished(redis_url: str, tmp_path: Path) -> Iterator[tuple[Any, Crowd]]:
    """A server where everything is right, and the crowd that wrote it."""
    with redis.from_url(redis_url, protocol=2) as client:
        clients = at_rest(client, redis_url, tmp_path, "dtype")
        assert clients.check(client).faults == {}
        yield client, clients


def faults(finished: tuple[Any, Crowd]) -> dict[str, int]:
    """What the checker finds."""
    client, clients = finished
    return clients.check(client, patience=1.0).faults


def test_a_lost_document_is_found(finished: tuple[Any, Crowd]) -> None:
    """A document that should be there is deleted."""
    client, _ = finished
    client.delete("products:p3")
    assert faults(finished) == {"lost_updates": 1}


def test_an_update_that_is_lost_in_part_is_found(finished: tuple[Any, Crowd]) -> None:
    """The text is new, the vector is the one before; or the vector is new and the figures are those before."""
    client, clients = finished
    one, other = changed_last(clients, 2)
    first = writing(clients.load.change, clients.load.change.new, one, 0, 0)[0]
    client.hset(f"products:{one}", "embedding", first[first.index("embedding") + 1])
    client.hset(f"products:{other}", "version", 0)
    assert faults(finished)["lost_updates"] == 2


def test_a_resurrected_document_is_found(finished: tuple[Any, Crowd]) -> None:
    """A document that was deleted is there again, and one whose time was over."""
    client, clients = finished
    known = histories(clients.load.documents, clients.logs)
    deleted = next(one for one, history in sorted(known.items()) if history.allowed == {NOWHERE})
    for command in writing(clients.load.change, clients.load.change.new, deleted, 0, 0):
        client.execute_command(*command)
    assert faults(finished) == {"resurrections": 1}


def test_a_wrong_expiry_is_found(finished: tuple[Any, Crowd]) -> None:
    """One that has none gets one, and one that has one loses it."""
    client, clients = finished
    stored = read(client, clients.load.change, [f"p{at}" for at in range(40)])
    expiries = [one.new.expiry for one in stored if one.new is not None]
    client.persist(f"products:p{next(at for at, expiry in enumerate(expiries) if expiry)}")
    client.expire(f"products:p{expiries.index(0)}", 100_000)
    assert faults(finished) == {"wrong_values": 2}


def test_a_vector_in_the_old_layout_is_found(finished: tuple[Any, Crowd]) -> None:
    """It is not in the index then, either."""
    client, _ = finished
    client.hset("products:p3", "embedding", b"\0" * 64)
    found = faults(finished)
    assert found["wrong_layout"] == 1
    assert found["missing_in_index"] >= 1
    assert found["miscounted"] == -1


def test_what_is_left_over_is_found(finished: tuple[Any, Crowd]) -> None:
    """A copy, a mark, and a document that nobody wrote."""
    client, _ = finished
    client.set(STAGE + b"products:p3", "x")
    client.set("rvlstate:mark:x", "x")
    client.set("products:unheard-of", "x")
    assert faults(finished) == {"left_over": 3}


def test_a_duplicate_is_found(finished: tuple[Any, Crowd]) -> None:
    """An index over copies as well answers with both."""
    client, _ = finished
    client.execute_command("FT.DROPINDEX", "products")
    client.copy("products:p3", STAGE + b"products:p3")
    _index_over(finished, STAGE.decode(), "products:")
    assert faults(finished) == {"left_over": 1, "duplicates": 1, "miscounted": 1}


def test_a_stale_answer_is_found(finished: tuple[Any, Crowd]) -> None:
    """The index holds copies of another time: one of a deleted document, and one of an earlier version."""
    client, clients = finished
    client.execute_command("FT.DROPINDEX", "products")
    known = histories(clients.load.documents, clients.logs)
    deleted = next(one for one, history in sorted(known.items()) if history.allowed == {NOWHERE})
    (changed,) = changed_last(clients, 1)
    change = clients.load.change
    for key in list(client.scan_iter("products:*")):
        client.copy(key, b"other:" + key)
    for one in (deleted, changed):
        for command in writing(change, change.new, one, 0, 0):
            client.execute_command(command[0], f"other:{command[1]}", *command[2:])
    _index_over(finished, "other:")
    found = clients.check(client, patience=0.1, foreign=(b"other:",))
    assert found.miscounted == 1
    assert found.stale_in_index > 1
    assert f"missing_in_index: {changed}, by its version" in _all_missing(clients, client, changed)


def _all_missing(clients: Crowd, client: Any, one: str) -> list[str]:
    """What is said about one document when all are asked about."""
    found: list[str] = []
    stored = read(client, clients.load.change, [one])[0].new
    assert stored is not None
    answers = Answers(
        client=client,
        name="products",
        form=clients.load.change.new,
        there={one: stored},
        note=lambda kind, what: found.append(f"{kind}: {what}"),
    )
    answers.check([], 10)
    return found


def test_what_the_index_lacks_is_found(finished: tuple[Any, Crowd]) -> None:
    """An index that leaves one document out."""
    client, _ = finished
    client.execute_command("FT.DROPINDEX", "products")
    client.rename("products:p3", "elsewhere")
    _index_over(finished)
    client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "more", "TAG")
    assert faults(finished)["lost_updates"] == 1
    client.execute_command("FT.DROPINDEX", "products")
    client.rename("elsewhere", "products:p3")
    _index_over(finished, *[f"products:{start}" for start in ("w", *(f"p{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9)))])
    found = faults(finished)
    assert found["miscounted"] < 0
    assert found["missing_in_index"] >= -found["miscounted"]


def _index_over(finished: tuple[Any, Crowd], *prefixes: str) -> None:
    client, clients = finished
    create_index(client, "products", clients.load.change.new, *prefixes)


def test_an_uncertain_write_may_have_been_done_or_not() -> None:
    """Both are right until the next write that is certain; a refused one changed nothing."""
    one, two, three = (Version(number=number, base=number) for number in (1, 2, 3))
    history = History()
    history.note(one, "ok")
    history.note(two, "uncertain")
    assert history.now(0) == {one, two}
    history.note(NOWHERE, "uncertain")
    assert history.now(0) == {one, two, NOWHERE}
    history.note(three, "refused")
    assert history.now(0) == {one, two, NOWHERE}
    history.note(three, "ok")
    assert history.now(0) == {three}


def test_what_has_expired_has_to_be_gone() -> None:
    """By the moment of the check."""
    history = History()
    history.note(Version(number=0, base=0, expiry=1000), "ok")
    assert history.now(999) == history.allowed
    assert history.now(1000) == {NOWHERE}
