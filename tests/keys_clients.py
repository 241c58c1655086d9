"""Clients as rvlstate uses them for its keys: decoding, either protocol, standalone or cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.retry import Retry

from rvlstate.runtime.identity import Identity
from rvlstate.runtime.scripts import KeysClient

KINDS = ("standalone-2", "standalone-3", "cluster-2", "cluster-3")
"""Server and protocol of the clients that a test is run with."""

ADA = Identity(who="ada", host="runner-1", pid=41, ci_url="https://ci.example.com/jobs/7")
BOB = Identity(who="bob", host="laptop", pid=42)


@contextmanager
def open_keys(url: str, *, protocol: int = 3, patience: float = 20.0) -> Iterator[KeysClient]:
    """A client of the server at `url` that does not retry and gives up on a silent server after `patience` seconds."""
    once = Retry(NoBackoff(), 0)
    client: KeysClient
    if url.startswith("redis+cluster://"):
        client = RedisCluster.from_url(
            url.replace("redis+cluster://", "redis://"), decode_responses=True, protocol=protocol
        )
    else:
        client = Redis.from_url(url, decode_responses=True, protocol=protocol, retry=once, socket_timeout=patience)
    with client:
        yield client


@contextmanager
def open_kind(kind: str, request: pytest.FixtureRequest) -> Iterator[KeysClient]:
    """A client of one of `KINDS`, of the emptied shared server."""
    server, protocol = kind.split("-")
    url = request.getfixturevalue("redis_url" if server == "standalone" else "cluster_url")
    with open_keys(url, protocol=int(protocol)) as client:
        yield client
