"""The end of the digests that a rewrite kept beside the documents."""

from __future__ import annotations

from typing import Any

from redis.cluster import RedisCluster

from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.node import RAW, REDIRECTED, refuse
from rvlstate.runtime.documents.topology import primaries

AT_ONCE = 1000


def remove_marks(connection: Connection, beside: Beside) -> None:
    """Unlink the digests of every slot: by their names, since looking for them would scan all documents."""
    for primary in primaries(connection):
        keys = [key for slot, key in beside.all_marks() if primary.slots is None or slot in primary.slots]
        for start in range(0, len(keys), AT_ONCE):
            _unlink(connection, primary.client, keys[start : start + AT_ONCE])


def _unlink(connection: Connection, client: Any, keys: list[bytes]) -> None:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("UNLINK", key, **RAW)
    for key, reply in zip(keys, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(reply, REDIRECTED) and isinstance(connection.keys, RedisCluster):
            cluster: Any = connection.keys
            cluster.execute_command("UNLINK", key)
        else:
            refuse(("UNLINK",), reply)
