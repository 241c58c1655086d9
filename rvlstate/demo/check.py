"""The check behind the demo's last act: the server's documents and index against every write, and recall when quiet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import redis

from rvlstate.demo.airports import airports, embed
from rvlstate.demo.truth import Airport, Truth, vector_of
from rvlstate.demo.vectors import INDEX, NEW, PREFIX, datatype_now, encoded
from rvlstate.model.canonical import STAGED

EVERY = 5
"""Recall is measured for every fifth city: some 400 questions."""

BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What differs from the writes, by code or key.

    `lost` are documents that are not what was written last: missing, back from removal, another write, another layout.
    `not_found` are documents that the index does not find, or finds though they are gone; `left_over` are staged copies.
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
        stored = dict(_read(client, sorted(keys)))
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
        return fmean(truth.recall(vector, _nearest(client, encoded(vector, datatype))) for vector in map(embed, cities))


def memory_now(url: str) -> int:
    """The memory that the server uses, in bytes."""
    with closing(redis.from_url(url, decode_responses=True)) as client:
        return int(client.info("memory")["used_memory"])


def copies_now(client: Any) -> Copies:
    """Count staged copies, and documents that are in the new layout; `client` speaks RESP 2."""
    lengths = _piped(client, sorted(_keys(client, f"{PREFIX}*")), lambda pipe, key: pipe.hstrlen(key, "embedding"))
    width = len(encoded(embed(""), NEW))
    return Copies(
        staged=sum(1 for _ in _keys(client, f"{STAGED}*")),
        converted=sum(length == width for _, length in lengths),
    )
