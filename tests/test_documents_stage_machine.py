"""Random interleavings of writers of both layouts, passes, crashes, a rollback and the cutover on a real server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from document_stage_machine import BY_RENAME, BY_WRITING_BACK, StagedMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from rvlstate.model.rewrite import Rewrite


@pytest.mark.parametrize(
    ("where", "examples", "rewrite"),
    [("redis_url", 20, BY_RENAME), ("redis_url", 25, BY_WRITING_BACK), ("cluster_url", 5, BY_WRITING_BACK)],
    ids=["rename", "write-back", "cluster"],
)
def test_documents_are_untouched_before_the_cutover_and_right_after_it(
    request: pytest.FixtureRequest, where: str, examples: int, rewrite: Rewrite
) -> None:
    """No update is lost, nothing comes back, a transform is applied once, expiries are kept."""
    url = request.getfixturevalue(where).replace("redis+cluster", "redis")
    machine = type("Machine", (StagedMachine,), {"url": url, "rewrite": rewrite})
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
