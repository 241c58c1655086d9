"""A change of documents at full length: 50,000 vectors in a graph are halved under load, and the tool is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from kit import Shop
from live import Load
from live_story import (
    ROLLING,
    assert_nothing_lost,
    assert_unnoticed,
    at_work,
    declare_change,
    killed_until_done,
    serve,
)
from nursery import Nursery

pytest_plugins = ("story_fixtures",)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(0), pytest.mark.requires("float16_vectors")]

FULL = Load(documents=50_000, dims=384, writers=2, queriers=4, write_rate=50.0, query_rate=50.0)
KILLS, LONGEST = 20, 30.0
PATIENCE = 300.0
"""Seconds for which the server may go on indexing what was written last."""


@pytest.mark.parametrize("naming", ["alias", "plain"])
def test_vectors_are_halved_while_all_go_on(
    shop: Shop, naming: str, record_property: Callable[[str, object], None]
) -> None:
    """The measure of issue 4: no query fails, no answer is empty, no update is lost, nothing comes back."""
    serve(shop, FULL, naming=naming)
    declare_change(shop, FULL)
    with at_work(shop, FULL, *ROLLING, patience=PATIENCE) as (_, outcomes):
        shop.apply()
    record_property("outcome", outcomes[0].line)
    print(outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])


def test_killed_twenty_times(shop: Shop, nursery: Nursery, record_property: Callable[[str, object], None]) -> None:
    """At random moments of up to half a minute, each time run again; the same holds."""
    serve(shop, FULL)
    declare_change(shop, FULL)
    with at_work(shop, FULL, *ROLLING, patience=PATIENCE) as (_, outcomes):
        kills = killed_until_done(shop, nursery, kills=KILLS, longest=LONGEST)
    outcome = replace(outcomes[0], kills=kills)
    record_property("outcome", outcome.line)
    print(outcome.line)
    assert_nothing_lost(shop, outcome)
    assert_unnoticed(outcome)
