"""Random interleavings of writers, deletions, expiries, passes, crashes and resumes on a real server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from document_machine import DocumentMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test


@pytest.mark.parametrize(("where", "examples"), [("redis_url", 30), ("cluster_url", 5)])
def test_no_update_is_lost_and_no_transform_applied_twice(
    request: pytest.FixtureRequest, where: str, examples: int
) -> None:
    machine = type(
        "Machine", (DocumentMachine,), {"url": request.getfixturevalue(where).replace("redis+cluster", "redis")}
    )
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
