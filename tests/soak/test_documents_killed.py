"""Changes of documents killed everywhere: after every write of every case, and at 100 random moments of long ones."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from document_cases import CHANGED, DOCUMENT_CASES, KEPT, SHOWN, declared, filled, settings
from document_shop import OTHERS, assert_complete, embedding
from kill_cases import Case, Edit, applied, in_turn
from kill_matrix import decisive, prepared, take_lock_away
from kit import Shop, tag, text
from nursery import Nursery
from observe import documents
from servers import EmbeddedServer

pytest_plugins = ("story_fixtures",)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

COUNT, KILLS = 20_000, 100
LONG: dict[str, tuple[Edit, Edit]] = {
    "recreate": (
        in_turn(settings(**KEPT), filled("e", COUNT), declared(*OTHERS, embedding("float16")), applied),
        in_turn(
            settings(**KEPT, **{**CHANGED, "batch_size": 500}),
            declared(text("headline"), *OTHERS[1:], embedding("bfloat16")),
        ),
    ),
    "backfill": (
        in_turn(settings(), filled("f", COUNT), declared(*OTHERS, embedding()), applied),
        in_turn(settings(fields=SHOWN), declared(*OTHERS, embedding(), text("shown"), tag("kind"))),
    ),
}


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize("case", DOCUMENT_CASES, ids=lambda case: case.name)
def test_killed_after_every_write(case: Case, server: EmbeddedServer, tmp_path: Path, nursery: Nursery) -> None:
    """Scenario 38: of documents, scripts, commands on indexes and notes of the progress alike."""
    with prepared(case, server, tmp_path, nursery) as matrix:
        matrix.kill_at(decisive(matrix))


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize("case", DOCUMENT_CASES, ids=lambda case: case.name)
def test_killed_before_commands_of_any_kind(
    case: Case, server: EmbeddedServer, tmp_path: Path, nursery: Nursery
) -> None:
    """Reads as well, of which every tenth: the server is as after the last write, but files of a backup may not be."""
    with prepared(case, server, tmp_path, nursery) as matrix:
        matrix.kill_at([(replace(point, when="before"), command) for point, command in matrix.points[::10]])


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize(("kind", "where"), [("recreate", "shop"), ("backfill", "shop"), ("backfill", "cluster_shop")])
def test_killed_at_a_hundred_random_moments(
    kind: str,
    where: str,
    request: pytest.FixtureRequest,
    nursery: Nursery,
    record_property: Callable[[str, object], None],
) -> None:
    """The issue's proof: every rerun ends in the state of an undisturbed run, compared document by document."""
    shop: Shop = request.getfixturevalue(where)
    before, change = LONG[kind]
    seconds = _undisturbed(shop, nursery, before, change)
    expected, found = documents(shop.client), shop.count()
    chance = random.Random(kind)
    stopped: Counter[str] = Counter()
    reruns: list[float] = []
    for _ in range(KILLS):
        _begin(shop, before, change)
        stopped[_killed(shop, nursery, chance.uniform(0.05, seconds))] += 1
        began = time.monotonic()
        shop.apply()
        reruns.append(time.monotonic() - began)
        assert documents(shop.client) == expected
        assert shop.count() == found
        assert_complete(shop)
    places = ", ".join(f"{count} at {place}" for place, count in stopped.most_common())
    line = (
        f"{kind} of {COUNT:,} documents, {where} ({seconds:.1f} s undisturbed): {KILLS} kills: {places}; "
        f"reruns {min(reruns):.1f} to {max(reruns):.1f} s; all as undisturbed"
    )
    record_property("outcome", line)
    print(line)


def _begin(shop: Shop, before: Edit, change: Edit) -> None:
    shop.client.flushall()
    before(shop)
    change(shop)


def _undisturbed(shop: Shop, nursery: Nursery, before: Edit, change: Edit) -> float:
    """Carry the change out once; how long that took."""
    _begin(shop, before, change)
    began = time.monotonic()
    ending = nursery.wait(nursery.run(*shop.arguments("apply", "--yes")))
    assert ending.code == 0, ending.output
    assert_complete(shop)
    return time.monotonic() - began


def _killed(shop: Shop, nursery: Nursery, moment: float) -> str:
    """Start the change, kill it after `moment` seconds; at which step it was."""
    pid = nursery.run(*shop.arguments("apply", "--yes"))
    time.sleep(moment)
    os.kill(pid, signal.SIGKILL)
    ending = nursery.wait(pid)
    if not ending.killed:
        assert ending.code == 0, ending.output
        return "its end"
    take_lock_away(shop)
    with shop.project() as project:
        work = project.status().work
    return work.step.operation if work is not None and work.step is not None else "its start"
