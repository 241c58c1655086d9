"""What a plan says about the memory of a live change, against what the server used at most while it was carried out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from kit import Shop
from live import Load
from live_documents import Kind
from live_story import declare_change, serve

pytest_plugins = ("story_fixtures",)

LOAD = Load(documents=4000, dims=96)
NEAR = 0.15
"""The goal of issue 4, of the whole; what the change adds is to be as near as twice that."""


@contextmanager
def most_used(url: str) -> Iterator[list[int]]:
    """The most memory that the server used within the block."""
    most, over = [0], threading.Event()

    def look() -> None:
        with redis.from_url(url) as client:
            while not over.wait(0.01):
                most[0] = max(most[0], client.info("memory")["used_memory"])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


@pytest.mark.requires("float16_vectors", "json")
@pytest.mark.parametrize("kind", ["dtype", "rename", "dims", "json"])
def test_the_peak_is_as_the_plan_says(shop: Shop, kind: Kind, record_property: Callable[[str, object], None]) -> None:
    """Copies, marks, both indexes, and what no figure of the server counts; nobody writes meanwhile."""
    load = Load(documents=LOAD.documents, dims=24 if kind == "json" else LOAD.dims, kind=kind)
    serve(shop, load)
    declare_change(shop, load)
    estimated = shop.plan().indexes[0].impact.peak_memory_bytes
    before = shop.client.info("memory")["used_memory"]
    with most_used(shop.url) as most:
        shop.apply()
    told = f"{estimated:,} estimated, {most[0]:,} used, {before:,} before"
    record_property("memory", told)
    assert abs(estimated / most[0] - 1) < NEAR, told
    assert abs((estimated - before) / (most[0] - before) - 1) < 2 * NEAR, told
