"""Which documents an index's filter lets in, asked of an index that has the filter and next to no fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rvlstate.runtime.documents.node import Node

PATIENCE = ("TIMEOUT", 20_000)
"""Milliseconds: the server's own limit, 500, cuts answers short in silence, and who is missing counts as left out."""


class Members:
    """Asks an index for its documents among given keys. `node` is where FT.* is sent to."""

    def __init__(self, node: Node, index: str) -> None:
        self._node = node
        self._index = index

    def among(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of the keys that are documents of the index, in order."""
        if not keys:
            return []
        limits = ("LIMIT", 0, len(keys), *PATIENCE)
        (reply,) = self._node.send([("FT.SEARCH", self._index, "*", "INKEYS", len(keys), *keys, "NOCONTENT", *limits)])
        found = set(_ids(reply))
        return [key for key in keys if key in found]


def _ids(reply: Any) -> list[bytes]:
    """The keys in an answer of RESP2, a list behind a count, or of RESP3, a map."""
    if isinstance(reply, Mapping):
        return [result[b"id"] for result in reply[b"results"]]
    return list(reply[1:])
