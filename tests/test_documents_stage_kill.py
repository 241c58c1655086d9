"""A staged change whose passes are killed while they stage and while they promote ends as one that was not."""

from __future__ import annotations

import pytest
import redis
from document_kit import STAGE, leftovers, worker
from document_stage_runner import contents, fill, killed_until_done, rewrite, run

from rvlstate.runtime.connect import connect
from rvlstate.runtime.embedded import EmbeddedServer

COUNT = 5000


@pytest.mark.parametrize("promotion", ["rename", pytest.param("write_back", marks=pytest.mark.soak), "new_prefix"])
def test_killed_while_it_stages_and_while_it_promotes(redis_url: str, server: EmbeddedServer, promotion: str) -> None:
    """Until the cutover the documents are untouched, and in the end each is what one run makes of it."""
    modes = ("stage", "promote", "retire") if promotion == "new_prefix" else ("stage", "promote")
    with redis.from_url(redis_url) as client:
        fill(client, COUNT)
        before = contents(client, ("doc:",), COUNT)
        for mode in modes:
            run(redis_url, promotion, mode, COUNT, 500, resume=False)
        undisturbed = contents(client, ("doc:", "new:"), COUNT)
        client.flushall()
        fill(client, COUNT)
        hit = 0
        for seed, mode in enumerate(modes):
            hit += killed_until_done(redis_url, promotion, mode, COUNT, seed=seed)
            if mode == "stage":
                assert contents(client, ("doc:",), COUNT) == before
        assert hit >= 3
        assert contents(client, ("doc:", "new:"), COUNT) == undisturbed
        if promotion == "rename":
            assert not client.keys(f"{STAGE}*")
        with connect(redis_url) as connection:
            worker(connection).tidy(rewrite(promotion, COUNT))
        assert leftovers(client) == []
