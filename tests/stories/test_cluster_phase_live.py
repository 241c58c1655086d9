"""Documents change on a node of a cluster while applications write and ask: by hand, killed, taken back; all is kept.

`live_checker` knows every write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from document_shop import assert_complete
from kit import Shop
from live import Load
from live_documents import Kind
from live_story import (
    AT_ONCE,
    BESIDE,
    ROLLING,
    assert_nothing_lost,
    assert_unnoticed,
    at_work,
    declare_change,
    killed_until_done,
    serve,
)
from nursery import Nursery
from observe import resolves_to
from test_phase_stories import complete, cutover, ours, roll_back

pytest_plugins = ("story_fixtures",)
pytestmark = pytest.mark.requires("float16_vectors")

SMALL = Load(documents=600)
FIRST, SECOND = "{products}@1", "{products}@2"

Record = Callable[[str, object], None]


@pytest.fixture
def shop(cluster_shop: Shop) -> Shop:
    """An empty project on the emptied node of a cluster."""
    return cluster_shop


def keep_the_old(shop: Shop) -> None:
    """The old index is kept for a while behind the cutover."""
    shop.configure(policy={**shop.settings["policy"], "retain_old": "1s"})


@pytest.mark.parametrize(
    "kind", ["dtype", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("json", "rename"))]
)
def test_phase_by_phase_while_all_go_on(shop: Shop, kind: Kind, record_property: Record) -> None:
    """Held, cut over by hand, kept for a while, completed: with clients of both layouts from the cutover on."""
    load = replace(SMALL, kind=kind)
    serve(shop, load)
    keep_the_old(shop)
    declare_change(shop, load, cutover="manual")
    with at_work(shop, load, *ROLLING) as (clients, outcomes):
        shop.apply()
        assert resolves_to(shop.client, "products") == FIRST
        clients.await_writes(BESIDE)
        cutover(shop)
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])
    assert ours(shop) == []


def test_killed_again_and_again(shop: Shop, nursery: Nursery, record_property: Record) -> None:
    """The tool is killed at random moments and run again, through all phases."""
    serve(shop, SMALL)
    declare_change(shop, SMALL, batch_size=50)
    with at_work(shop, SMALL, *ROLLING) as (_, outcomes):
        kills = killed_until_done(shop, nursery, kills=6, longest=1.2)
    outcome = replace(outcomes[0], kills=kills)
    record_property("outcome", outcome.line)
    assert kills >= 2
    assert_nothing_lost(shop, outcome)
    assert_unnoticed(outcome)


def test_only_the_gap_of_a_physical_name_is_noticed(shop: Shop, record_property: Record) -> None:
    """Drop and alias are two commands there; but for the instant between them no query fails, and nothing is lost."""
    serve(shop, SMALL, naming="plain")
    declare_change(shop, SMALL)
    with at_work(shop, SMALL, *AT_ONCE) as (_, outcomes):
        shop.apply()
    (outcome,) = outcomes
    record_property("outcome", outcome.line)
    assert_nothing_lost(shop, outcome)
    failures = outcome.observed.oddities.pop("failures", [])
    assert set(outcome.observed.oddities) <= {"failures"}
    assert all("no such index" in message for _, message in failures)
    moments = [moment for moment, _ in failures]
    assert max(moments, default=0.0) - min(moments, default=0.0) < 1.0


@pytest.mark.parametrize("phase", ["ready", "serving"])
def test_taken_back_while_all_go_on(shop: Shop, phase: str, record_property: Record) -> None:
    """Writers stay with the old layout; the rollback loses nothing and leaves nothing, and nobody notices."""
    unchanged = replace(SMALL, kind="none")
    serve(shop, SMALL)
    policy = dict(shop.settings["policy"])
    cutover_when = {"ready": "manual", "serving": "auto"}[phase]
    shop.configure(indexes={"products": {"cutover": cutover_when}}, policy={**policy, "retain_old": "1h"})
    schema = shop.schema_file("products")
    before = schema.read_text()
    # An index alone in `serving`: whoever asks needs the encoding of the old index all the time.
    changed = ("datatype: float32", "datatype: float16" if phase == "ready" else "datatype: float32\n    m: 20")
    schema.write_text(before.replace(*changed))
    with at_work(shop, unchanged) as (clients, outcomes):
        shop.apply()
        assert resolves_to(shop.client, "products") == (FIRST if phase == "ready" else SECOND)
        clients.await_writes(BESIDE)
        roll_back(shop)
        assert resolves_to(shop.client, "products") == FIRST
    (outcome,) = outcomes
    record_property("outcome", outcome.line)
    assert outcome.verdict.faults == {}, outcome.verdict.findings
    assert_unnoticed(outcome)
    assert ours(shop) == []
    schema.write_text(before)
    assert_complete(shop)


@pytest.mark.soak
def test_given_up_and_completed_by_hand(shop: Shop, record_property: Record) -> None:
    """Ended while the old index is kept; complete goes on from there, under the same load."""
    serve(shop, SMALL)
    shop.configure(policy={**shop.settings["policy"], "retain_old": "1h"})
    declare_change(shop, SMALL)

    class EndedError(Exception):
        """The process ended there."""

    def ends(event: object) -> None:
        if getattr(event, "operation", "") == "keep_old":
            raise EndedError

    with at_work(shop, SMALL, *ROLLING) as (clients, outcomes):
        with pytest.raises(EndedError):
            shop.apply(on_event=ends)
        clients.await_writes(BESIDE)
        complete(shop)
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])
