"""The document engine for long: a hundred kills over 20,000 documents, and many random histories."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis
from document_machine import REWRITE, WATCHED, DocumentMachine
from document_runner import contents, fill, killed_until_done, run
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from rvlstate.model.rewrite import Rewrite

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

COUNT = 20_000


@pytest.mark.parametrize("where", ["redis_url", "cluster_url"])
def test_a_hundred_kills(request: pytest.FixtureRequest, where: str) -> None:
    """Every document ends as in an undisturbed run, on a cluster of one node too."""
    url = request.getfixturevalue(where)
    with redis.from_url(url.replace("redis+cluster", "redis")) as client:
        fill(client, COUNT)
        run(url, COUNT, 500, resume=False)
        undisturbed = contents(client, COUNT)
        client.flushall()
        fill(client, COUNT)
        killed_until_done(url, COUNT, kills=100, seed=7, patience=1.5)
        assert contents(client, COUNT) == undisturbed


@pytest.mark.parametrize(
    ("where", "examples", "rewrite"),
    [("redis_url", 1000, REWRITE), ("redis_url", 500, WATCHED), ("cluster_url", 150, REWRITE)],
    ids=["all-layouts", "watched", "cluster"],
)
def test_many_histories(request: pytest.FixtureRequest, where: str, examples: int, rewrite: Rewrite) -> None:
    """No update lost, nothing back from the dead, nothing done twice, expiries kept: for long."""
    url = request.getfixturevalue(where).replace("+cluster", "")
    machine = type("Machine", (DocumentMachine,), {"url": url, "rewrite": rewrite})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=timedelta(seconds=60),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
