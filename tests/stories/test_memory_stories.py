"""What a plan says about memory, against what the server used at most while it was carried out."""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from kit import FieldSpec, Shop, numeric, tag, text, vector
from live import Load
from live_documents import Kind
from live_story import declare_change, serve
from observe import await_built

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


FEW = 3000
DIMS = 64
ALONE = 0.2
"""How near the index alone is to be (measured: 0.02 to 0.08; by what FT.INFO tells of it: 0.27 to 0.46)."""


def described(number: int) -> dict[str, Any]:
    """A document with text of many terms."""
    words = [f"word{(number * step) % (97 * step)}" for step in range(1, 9)]
    return {"title": " ".join(words), "category": f"c{number % 40}", "price": number % 500}


def described_documents(shop: Shop, storage: str) -> None:
    """Documents with a vector each, as hashes or as JSON."""
    pipeline = shop.client.pipeline(transaction=False)
    for number in range(FEW):
        values = [((number * 31 + place * 17) % 101) / 101 for place in range(DIMS)]
        if storage == "json":
            document = json.dumps({**described(number), "embedding": values})
            pipeline.execute_command("JSON.SET", f"products:{number}", "$", document)
        else:
            blob = array("f", values).tobytes()
            pipeline.hset(f"products:{number}", mapping={**described(number), "embedding": blob})
    pipeline.execute()


def own_fields(storage: str, algorithm: str, weight: float) -> list[FieldSpec]:
    """Text, a tag, a number, and a vector unless there is none."""
    fields = [text("title", weight=weight), tag("category"), numeric("price")]
    fields += [vector("embedding", algorithm=algorithm, dims=DIMS)] if algorithm else []
    return [{**field, "path": f"$.{field['name']}"} for field in fields] if storage == "json" else fields


@pytest.mark.requires("json")
@pytest.mark.parametrize("algorithm", ["", "flat", "hnsw"])
@pytest.mark.parametrize("storage", ["hash", "json"])
def test_a_new_index_takes_what_the_plan_says(
    shop: Shop, storage: str, algorithm: str, record_property: Callable[[str, object], None]
) -> None:
    """Documents stay as they are; what FT.INFO does not tell of the old index is part of the estimate."""
    described_documents(shop, storage)
    shop.declare("products", *own_fields(storage, algorithm, 1.0), storage_type=storage)
    shop.apply()
    await_built(shop.client, "products")
    shop.declare("products", *own_fields(storage, algorithm, 2.0), storage_type=storage)
    planned = shop.plan().indexes[0]
    before = shop.client.info("memory")["used_memory"]
    with most_used(shop.url) as most:
        shop.apply()
    told = f"{planned.impact.index_bytes:,} estimated, {most[0] - before:,} used, {before:,} before"
    record_property("memory", told)
    assert planned.classification == "shadow"
    assert abs(planned.impact.peak_memory_bytes / most[0] - 1) < NEAR, told
    assert abs(planned.impact.index_bytes / (most[0] - before) - 1) < ALONE, told
