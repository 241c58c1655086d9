"""What the server is and can do: asked of the server where it tells, else known by version of its search module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from rvlstate.errors import CapabilityMissingError
from rvlstate.model.catalog import Capability, ServerProfile
from rvlstate.runtime.connect import Connection, as_pairs
from rvlstate.runtime.permissions import permission_missing
from rvlstate.runtime.server_errors import is_permission

OLDEST_SEARCH = 20800
"""RediSearch 2.8; the version number of the module is major * 10000 + minor * 100 + patch."""

OLDEST_REDIS = (7, 2)
SINCE: Mapping[Capability, int] = {
    "float16_vectors": 21000,
    "bfloat16_vectors": 21000,
    "index_missing": 21000,
    "index_all": 80000,
    "int8_vectors": 80000,
    "svs_vamana": 80200,
}
"""Version of the search module that brought a capability; there is nothing to ask for these."""

NEEDED = (
    "FT.CREATE",
    "FT.ALTER",
    "FT.DROPINDEX",
    "FT.INFO",
    "FT._LIST",
    "FT.SYNDUMP",
    "FT.ALIASADD",
    "FT.ALIASUPDATE",
    "FT.ALIASDEL",
)
ALIAS_LIST = "FT.ALIASLIST"
FIRST_KEY, LAST_KEY = 3, 4
"""Positions in a COMMAND INFO entry."""

UPGRADE = "use Redis 8 or newer, or load RediSearch 2.8 or newer (Redis Stack 7.2); or redis.url embedded://DIR."


def inspect_server(connection: Connection) -> ServerProfile:
    """What the server is and can do, read in one pass; memory and keys are summed over the primaries of a cluster.

    Raises CapabilityMissingError for a server that cannot do what every plan needs, PermissionMissingError for a user
    that may not ask, ServerUnreachableError.
    """
    hello, commands = _asked(connection, connection.search, ("HELLO",), ("COMMAND INFO", *NEEDED, ALIAS_LIST))
    server = as_pairs(hello)
    modules = {str(module["name"]): int(module["ver"]) for module in map(as_pairs, server["modules"])}
    known = dict(zip((*NEEDED, ALIAS_LIST), commands, strict=True))
    cluster = server["mode"] == "cluster"
    nodes = [_node_figures(connection, node) for node in connection.node_clients()]
    _refuse_old(connection, str(server["version"]), modules, known)
    if cluster and len(nodes) > 1 and _counts_index_as_key(known):
        raise _no_coordinator(connection, len(nodes))
    return ServerProfile(
        redis=str(server["version"]),
        search=_version(modules["search"]),
        cluster=cluster,
        capabilities=_capabilities(modules, known, cluster=cluster),
        used_memory=sum(figures["used_memory"] for figures in nodes),
        # One node without a limit can take everything, so there is no limit to keep to.
        maxmemory=0 if any(not node["maxmemory"] for node in nodes) else sum(node["maxmemory"] for node in nodes),
        maxmemory_policy=str(nodes[0]["maxmemory_policy"]),
        keys=sum(figures["keys"] for figures in nodes),
    )


def _node_figures(connection: Connection, node: redis.Redis) -> dict[str, Any]:
    memory, keys = _asked(connection, node, ("INFO", "memory"), ("DBSIZE",))
    return {
        "used_memory": int(memory.get("used_memory", 0)),
        "maxmemory": int(memory.get("maxmemory", 0)),
        "maxmemory_policy": memory.get("maxmemory_policy", "noeviction"),
        "keys": int(keys),
    }


def _asked(connection: Connection, node: redis.Redis, *questions: tuple[str, ...]) -> list[Any]:
    """The replies to commands that are all needed."""
    replies = connection.ask(questions, node)
    denied = [question[0] for question, reply in zip(questions, replies, strict=True) if is_permission(reply)]
    if denied:
        raise permission_missing(connection, denied)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _capabilities(modules: dict[str, int], known: dict[str, Any], *, cluster: bool) -> tuple[Capability, ...]:
    held: dict[Capability, bool] = {
        **{capability: modules["search"] >= since for capability, since in SINCE.items()},
        "json": "ReJSON" in modules,
        "alias_list": known[ALIAS_LIST] is not None,
        "cross_slot_aliases": not cluster or not _counts_both_as_keys(known),
        "atomic_takeover": not cluster,
    }
    return tuple(sorted(capability for capability, holds in held.items() if holds))


def _counts_both_as_keys(known: dict[str, Any]) -> bool:
    """Whether FT.ALIASADD takes alias and index for two keys: without coordinator, keys 1 to 2; with one, none."""
    entry = known["FT.ALIASADD"]
    return bool(entry[FIRST_KEY] == 1 and entry[LAST_KEY] != 1)


def _counts_index_as_key(known: dict[str, Any]) -> bool:
    """Whether FT.INFO takes the index name for a key, which it does without coordinator."""
    return bool(known["FT.INFO"][FIRST_KEY] != 0)


def _refuse_old(connection: Connection, version: str, modules: dict[str, int], known: dict[str, Any]) -> None:
    loaded = ", ".join(f"{name} {_version(number)}" for name, number in sorted(modules.items())) or "none"
    why = f"It is Redis {version} with these modules: {loaded}."
    missing = [name for name in NEEDED if known[name] is None]
    if "search" not in modules or len(missing) == len(NEEDED):
        raise CapabilityMissingError(
            "the server has no search module", where=connection.url, why=why, next_step=UPGRADE
        )
    if modules["search"] < OLDEST_SEARCH or _parts(version) < OLDEST_REDIS:
        raise CapabilityMissingError("the server is too old", where=connection.url, why=why, next_step=UPGRADE)
    if missing:
        raise CapabilityMissingError(
            f"the search module of the server lacks {', '.join(missing)}",
            where=connection.url,
            why=why,
            next_step=UPGRADE,
        )


def _no_coordinator(connection: Connection, nodes: int) -> CapabilityMissingError:
    return CapabilityMissingError(
        "the search module of this cluster has no coordinator",
        where=connection.url,
        why=f"Each of its {nodes} nodes indexes and searches its own keys only, so no index covers the data.",
        next_step="use Redis 8 or newer, which coordinates, or a single server.",
    )


def _version(number: int) -> str:
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
