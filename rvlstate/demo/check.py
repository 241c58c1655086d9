"""The check behind the demo's last act: the server's documents and index against every write, and recall when quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import redis

from rvlstate.demo.airports import airports, embed
from rvlstate.demo.truth import Airport, Truth, vector_of
from rvlstate.demo.vectors import INDEX, KNN, NEW, PREFIX, datatype_now, encoded, find
from rvlstate.model.canonical import STAGED

EVERY = 5
"""Recall is measured for every fifth city: some 400 questions."""

BATCH, MOST = 1_000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What differs from the writes, by code or key.

    `lost` are documents that are not what was written last: missing, back from removal, an earlier write, the old
    layout. `not_found` are documents that the index does not find, or finds though they are gone. `left_over` are
    staged copies.
    """

    lost: tuple[str, ...]
    not_found: tuple[str, ...]
    left_over: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How far the documents are: staged copies beside them, and documents whose own vector is float16."""

    staged: int
    converted: int


def verdict_on(url: str, truth: Truth) -> Verdict:
    """Compare all documents and all that the index finds with the writes. Nobody may write meanwhile."""
    expected = {f"{PREFIX}{code}": _fields(airport) for code, airport in truth.documents.items()}
    with closing(redis.from_url(url, protocol=2)) as client:
        keys = {*_keys(client, f"{PREFIX}*"), *expected}
        stored = dict(_piped(client, sorted(keys), lambda pipe, key: pipe.hgetall(key)))
        found = _found(client)
        left_over = tuple(sorted(_keys(client, f"{STAGED}*")))
    return Verdict(
        lost=tuple(sorted(key for key in keys if stored[key] != expected.get(key, {}))),
        not_found=tuple(sorted(found.symmetric_difference(expected))),
        left_over=left_over,
    )


def recall_now(url: str, truth: Truth) -> float:
    """The share of the exact nearest neighbours that the index finds, over many questions."""
    cities = sorted({str(airport["city"]) for airport in airports() if "city" in airport})[::EVERY]
    with closing(redis.from_url(url, protocol=3, decode_responses=True)) as client:
        datatype = datatype_now(client)
    with closing(redis.from_url(url, protocol=2)) as client:
        vectors = [embed(city) for city in cities]
        return fmean(truth.recall(vector, find(client, KNN, encoded(vector, datatype))) for vector in vectors)


def memory_now(url: str) -> int:
    """The memory that documents and the graph of their vectors take, in bytes, as the server tells."""
    with closing(redis.from_url(url, protocol=2)) as client:
        keys = sorted(_keys(client, f"{PREFIX}*"))
        documents = sum(size for _, size in _piped(client, keys, lambda pipe, key: pipe.memory_usage(key, samples=0)))
    informed: Any = redis.from_url(url, protocol=3, decode_responses=True)
    with closing(informed) as client:
        graph = float(client.ft(INDEX).info()["vector_index_sz_mb"]) * 2**20
    return int(documents) + round(graph)


def copies_now(client: Any) -> Copies:
    """Count staged copies, and documents that are in the new layout; `client` speaks RESP 2."""
    lengths = _piped(client, sorted(_keys(client, f"{PREFIX}*")), lambda pipe, key: pipe.hstrlen(key, "embedding"))
    width = len(encoded(embed(""), NEW))
    return Copies(
        staged=len(_keys(client, f"{STAGED}*")),
        converted=sum(length == width for _, length in lengths),
    )


def _fields(airport: Airport) -> dict[bytes, bytes]:
    """The hash that an airport must be in the new layout."""
    fields = {name.encode(): str(value).encode() for name, value in airport.items()}
    return {**fields, b"embedding": encoded(vector_of(airport), NEW)}


def _found(client: Any) -> set[str]:
    """The keys of all documents that the index finds."""
    total, *keys = client.execute_command("FT.SEARCH", INDEX, "*", "NOCONTENT", "LIMIT", 0, MOST)
    found = {key.decode() for key in keys}
    return found if len(keys) == total else found | {f"{total - len(keys)} more"}


def _keys(client: Any, pattern: str) -> set[str]:
    return {key.decode() for key in client.scan_iter(pattern, count=BATCH)}


def _piped(client: Any, keys: Sequence[str], read: Callable[[Any, str], object]) -> Iterator[tuple[str, Any]]:
    """One reply for each key, asked for in batches."""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        with client.pipeline(transaction=False) as pipeline:
            for key in batch:
                read(pipeline, key)
            yield from zip(batch, pipeline.execute(), strict=True)
