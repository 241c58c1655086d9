"""Promotion by RENAME and the background scan of an index, which may lose a document that is renamed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from document_kit import STAGE, cast, floats, rewrite_of, staged, sweep
from servers import eventually

from rvlstate.runtime.connect import Connection, connect

COUNT = 20_000
REWRITE = replace(staged(rewrite_of(*cast().fields, documents=COUNT)), target="docs@2")


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to the emptied server."""
    with connect(redis_url) as opened:
        yield opened


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    """A plain client of the same server, in bytes."""
    with redis.from_url(server.url, protocol=2) as opened:
        yield opened


def info(client: Any) -> dict[bytes, Any]:
    """FT.INFO of the index that is to serve."""
    flat = client.execute_command("FT.INFO", REWRITE.target)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def create(client: Any) -> None:
    """The index over copies and documents; its scan begins."""
    vector = ("v", "VECTOR", "HNSW", 6, "TYPE", "FLOAT16", "DIM", 4, "DISTANCE_METRIC", "L2")
    client.execute_command("FT.CREATE", REWRITE.target, "PREFIX", 2, STAGE, "doc:", "SCHEMA", *vector)


def test_nothing_is_renamed_while_the_index_is_scanned(connection: Connection, client: Any) -> None:
    """As after a restart of the server: the pass waits, and every document is found in the end."""
    pipeline = client.pipeline(transaction=False)
    for number in range(COUNT):
        pipeline.hset(f"doc:{number}", "v", floats(number, 1, 2, 3))
    pipeline.execute()
    assert sweep(connection, REWRITE, mode="stage").written == COUNT
    create(client)
    assert int(info(client)[b"indexing"]) == 1, "the scan was over before the pass began: this shows nothing"
    assert sweep(connection, REWRITE, mode="promote").promoted == COUNT
    eventually(lambda: int(info(client)[b"indexing"]) == 0)
    assert int(info(client)[b"num_docs"]) == COUNT


def test_an_index_that_is_gone_holds_nothing_up(connection: Connection, client: Any) -> None:
    """There is nothing that a document could be lost from."""
    client.hset("doc:1", "v", floats(1, 2, 3, 4))
    sweep(connection, REWRITE, mode="stage")
    assert sweep(connection, REWRITE, mode="promote").promoted == 1
