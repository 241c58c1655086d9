"""The cutover of a name at full length: 20,000 documents in a vector graph, four clients querying and two writing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kit import Shop
from load import Load
from load_story import assert_unnoticed, cut_over_under_load

pytest_plugins = ("story_fixtures",)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

DOCUMENTS, DIMS = 20_000, 32


@pytest.mark.parametrize("naming", ["alias", "plain"])
def test_nobody_notices_a_long_cutover(shop: Shop, naming: str, record_property: Callable[[str, object], None]) -> None:
    """Scenario 33, measure of issue 2: 0 failed queries and 0 empty answers, and no write is lost, at full speed."""
    story = Load(documents=DOCUMENTS, dims=DIMS)
    outcome = cut_over_under_load(shop, story, naming=naming, allow=("NAME_BECOMES_ALIAS",))
    record_property("outcome", outcome.line)
    print(outcome.line, outcome.steps)
    assert_unnoticed(outcome)
