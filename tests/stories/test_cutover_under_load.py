"""The cutover of a name while clients query and write by name: nobody notices it. `tests/soak` has the full length."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kit import Shop
from load import Load
from load_story import Outcome, assert_unnoticed, cut_over_under_load

pytest_plugins = ("story_fixtures",)

SHORT = Load(documents=1500, dims=16, rate=100.0)
LEAST_QUERIES, LEAST_WRITES = 200, 20


def assert_load_was_real(outcome: Outcome) -> None:
    """There was somebody to notice."""
    assert outcome.crowd.seen.queries > LEAST_QUERIES
    assert len(outcome.crowd.written.versions) + len(outcome.crowd.written.deleted) > LEAST_WRITES


@pytest.mark.parametrize("naming", ["alias", "plain"])
def test_nobody_notices_a_cutover(shop: Shop, naming: str, record_property: Callable[[str, object], None]) -> None:
    """Scenario 33: four clients query and two write through both kinds of cutover; none fails, none answers less."""
    outcome = cut_over_under_load(shop, SHORT, naming=naming, allow=("NAME_BECOMES_ALIAS",))
    record_property("outcome", outcome.line)
    assert_unnoticed(outcome)
    assert_load_was_real(outcome)


def test_only_the_gap_of_a_cluster_is_noticed(
    cluster_shop: Shop, record_property: Callable[[str, object], None]
) -> None:
    """Where drop and alias cannot be one script, queries fail during that step only, and only with "no such index"."""
    codes = ("NAME_BECOMES_ALIAS", "CUTOVER_GAP")
    outcome = cut_over_under_load(cluster_shop, SHORT, naming="plain", allow=codes)
    record_property("outcome", outcome.line)
    began, ended = outcome.steps["take_name"]
    for instant, message in outcome.crowd.seen.failures:
        assert began <= instant <= ended, (instant - began, message)
        assert "no such index" in message
    assert outcome.crowd.seen.empty == []
    assert outcome.crowd.seen.short == []
    assert_load_was_real(outcome)


@pytest.mark.soak
def test_a_cluster_has_no_gap_where_the_name_is_an_alias(cluster_shop: Shop) -> None:
    """On a cluster too an alias moves in one command."""
    outcome = cut_over_under_load(cluster_shop, SHORT)
    assert_unnoticed(outcome)
    assert_load_was_real(outcome)
