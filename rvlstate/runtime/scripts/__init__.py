"""Lua scripts that change several keys of a project at once, and how they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from redis import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterError,
    ConnectionError,  # noqa: A004  # the names of the library are the terms of the field
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004  # as above
)

from rvlstate.errors import StateError
from rvlstate.plan.commands import READING_STATE, WORKING

KeysClient: TypeAlias = Redis | RedisCluster
"""A client that decodes replies (`decode_responses=True`), of either protocol."""

WAIT_MILLISECONDS = 100
"""How long a write waits for one replica; its absence is reported and does not fail the write."""

READ_COMMANDS = READING_STATE
"""What a user needs to see state, lock and history."""

WRITE_COMMANDS = (*WORKING, *READ_COMMANDS)
"""What a user needs to work under the lock; with ROLE and WAIT the writes also wait for a replica."""

GUARDED = frozenset({"fenced", "renew", "save"})
"""Scripts that begin with guard.lua: KEYS[1] fence, KEYS[2] lock, ARGV[1] lock id, ARGV[2] fencing token."""


@cache
def source(name: str) -> str:
    """The text of a script with what it calls in front."""
    parts = ("now", "record", "guard", name) if name in GUARDED else ("now", "record", name)
    return "".join(files(__name__).joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in parts)


def parse_record(text: str | None) -> dict[str, str]:
    """The fields of a record, {} for a key that is not there. Raises ValueError for what is no record.

    Records are flat JSON objects of text in string keys: a hash would be a document of every index with an empty
    prefix (measured).
    """
    if text is None:
        return {}
    data = json.loads(text)
    if not isinstance(data, dict):
        raise TypeError(text)
    return {str(name): str(value) for name, value in data.items()}


def run_script(client: KeysClient, name: str, keys: Sequence[str], *arguments: str | int) -> Any:
    """Run a script. Every script here may be sent twice, since the client sends again after a broken connection."""
    return client.eval(source(name), len(keys), *keys, *arguments)


def run_replicated(client: KeysClient, name: str, keys: Sequence[str], *arguments: str | int) -> tuple[Any, int | None]:
    """Run a script and wait shortly for a replica: the reply, and how many replicas have it (None: there are none)."""
    if isinstance(client, Redis):
        return _run_on_node(client, name, keys, *arguments)
    try:
        # One method of the library is not annotated.
        node = client.get_redis_connection(client.get_node_from_key(keys[0]))  # type: ignore[no-untyped-call]
        return _run_on_node(node, name, keys, *arguments)
    except (AskError, ClusterError, ConnectionError, TimeoutError):
        # The slot or the primary moved: the cluster client follows it, one node's client does not.
        return run_script(client, name, keys, *arguments), 0


@contextmanager
def keys_as_expected(subject: str) -> Iterator[None]:
    """Turn the server's complaint that a key holds another type into a StateError about `subject`."""
    try:
        yield
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        raise StateError(
            f"a key of {subject} holds something that rvlstate did not write",
            why=f"The server says: {error}",
            next_step="look at the key, move it out of the way (RENAME), and run again.",
        ) from error


def is_wrong_type(error: RedisError) -> bool:
    """Whether the server refused a command because its key holds another type."""
    return "WRONGTYPE" in str(error)


def _run_on_node(node: Redis, name: str, keys: Sequence[str], *arguments: str | int) -> tuple[Any, int | None]:
    if not _has_replicas(node):
        return run_script(node, name, keys, *arguments), None
    # WAIT counts the writes of its own connection only, and a pipeline keeps to one.
    pipeline = node.pipeline(transaction=False)
    pipeline.eval(source(name), len(keys), *keys, *arguments)
    pipeline.wait(1, WAIT_MILLISECONDS)
    reply, acknowledged = pipeline.execute(raise_on_error=False)
    if isinstance(reply, Exception):
        raise reply
    return reply, 0 if isinstance(acknowledged, RedisError) else int(acknowledged)


def _has_replicas(node: Redis) -> bool:
    try:
        role: Any = node.role()
    except NoPermissionError:  # then nobody can be waited for, and nothing is lost but the wait
        return False
    return isinstance(role[2], list) and bool(role[2])
