"""Leftovers: the staged keys that are on a server, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rvlstate.model.canonical import STAGED
from rvlstate.runtime.connect import Connection

AT_ONCE = 5000
RAW: dict[str, Any] = {"NEVER_DECODE": True}
"""Keys need not be text."""


def staged_keys(connection: Connection) -> Iterator[str]:
    """Every staged key, some of them twice; bytes that are no text are told as surrogates."""
    for client in connection.node_clients():
        node: Any = client
        cursor: Any = 0
        while True:
            cursor, keys = node.execute_command("SCAN", cursor, "MATCH", f"{STAGED}*", "COUNT", AT_ONCE, **RAW)
            yield from (key.decode("utf-8", "surrogateescape") for key in keys)
            if int(cursor) == 0:
                break
