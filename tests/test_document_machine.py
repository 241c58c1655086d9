"""Random interleavings of writers, deletions, expiries, passes, crashes and resumes on a real server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from document_machine import REWRITE, WATCHED, DocumentMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from rvlstate.model.rewrite import Rewrite


@pytest.mark.parametrize(
    ("where", "examples", "rewrite"),
    [("redis_url", 25, REWRITE), ("redis_url", 15, WATCHED), ("cluster_url", 5, REWRITE)],
    ids=["all-layouts", "watched", "cluster"],
)
def test_no_update_is_lost_and_no_transform_applied_twice(
    request: pytest.FixtureRequest, where: str, examples: int, rewrite: Rewrite
) -> None:
    """Nothing comes back from the dead either, and expiries are kept."""
    url = request.getfixturevalue(where).replace("redis+cluster", "redis")
    machine = type("Machine", (DocumentMachine,), {"url": url, "rewrite": rewrite})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=timedelta(seconds=20),
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
