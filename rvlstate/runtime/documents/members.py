"""Which documents an index's filter lets in, asked of an index that has the filter and next to no fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rvlstate.runtime.documents.node import Node


class Members:
    """Asks an index for its documents among given keys. `node` is where FT.* is sent to."""

    def __init__(self, node: Node, index: str) -> None:
        self._node = node
        self._index = index

    def among(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of the keys that are documents of the index, in order."""
        if not keys:
            return []
        command = ("FT.SEARCH", self._index, "*", "INKEYS", len(keys), *keys, "NOCONTENT", "LIMIT", 0, len(keys))
        (reply,) = self._node.send([command])
        found = set(_ids(reply))
        return [key for key in keys if key in found]


def _ids(reply: Any) -> list[bytes]:
    """The keys in an answer of RESP2, a list behind a count, or of RESP3, a map."""
    if isinstance(reply, Mapping):
        return [result[b"id"] for result in reply[b"results"]]
    return list(reply[1:])
