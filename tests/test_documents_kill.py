"""A pass that is killed at random moments ends, when it is run again, as one that was not disturbed."""

from __future__ import annotations

import redis
from document_runner import contents, fill, killed_until_done, run

from rvlstate.runtime.embedded import EmbeddedServer

COUNT = 6000


def test_killed_at_random_moments_it_applies_every_transform_once(redis_url: str, server: EmbeddedServer) -> None:
    """Scenario 29 and 47: other batch sizes, with and without its place, document by document."""
    with redis.from_url(redis_url) as client:
        fill(client, COUNT)
        assert run(redis_url, COUNT, 500, resume=False).written == COUNT
        undisturbed = contents(client, COUNT)
        client.flushall()
        fill(client, COUNT)
        assert killed_until_done(redis_url, COUNT, kills=5, seed=1, patience=0.5) >= 3
        assert contents(client, COUNT) == undisturbed
