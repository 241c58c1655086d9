"""Who serves which slots now: what is scanned, and what has to be scanned again since it moved meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
from redis.cluster import RedisCluster

from rvlstate.runtime.connect import Connection, as_pairs, command

WHOLE = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """One server that holds documents; `slots` None: all, on a server that is reached directly."""

    name: str
    client: redis.Redis
    slots: frozenset[int] | None = None


def primaries(connection: Connection) -> tuple[Primary, ...]:
    """All primaries by name, asked anew of a cluster."""
    if not isinstance(connection.keys, RedisCluster):
        return (Primary(name=WHOLE, client=connection.search),)
    cluster: Any = connection.keys
    nodes = cluster.nodes_manager
    nodes.initialize()
    served: dict[str, set[int]] = {}
    for slot, owners in nodes.slots_cache.items():
        served.setdefault(owners[0].name, set()).add(slot)
    return tuple(
        Primary(
            name=name, client=cluster.get_redis_connection(cluster.get_node(node_name=name)), slots=frozenset(slots)
        )
        for name, slots in sorted(served.items())
    )


def is_clustered(connection: Connection) -> bool:
    """Whether keys of different slots may not be used together."""
    if isinstance(connection.keys, RedisCluster):
        return True
    # HELLO is the one command that no ACL forbids.
    return str(as_pairs(command(connection.search, "HELLO"))["mode"]) == "cluster"


def moved_slots(before: Iterable[Primary], after: Iterable[Primary]) -> frozenset[int]:
    """The slots that another primary serves now."""
    was = {(slot, primary.name) for primary in before for slot in primary.slots or ()}
    return frozenset(slot for primary in after for slot in primary.slots or () if (slot, primary.name) not in was)


def migrating_slots(found: Iterable[Primary]) -> frozenset[int]:
    """The slots whose keys are on their way from one primary to another."""
    slots: set[int] = set()
    for primary in found:
        if primary.slots is not None:
            for node in command(primary.client, "CLUSTER NODES").values():
                if "myself" in node["flags"]:
                    slots |= {int(migration["slot"]) for migration in node["migrations"]}
    return frozenset(slots)
