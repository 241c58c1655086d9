"""Enumeration: the keys of one node under some prefixes, in pages, with the cursor from which it can go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rvlstate.runtime.documents.beside import OURS, Beside
from rvlstate.runtime.documents.node import Node, OtherServerError

PAGE = 500
"""Keys that one SCAN looks at: about half a millisecond of the server's time."""

START = "0"


@dataclass(frozen=True, slots=True)
class Page:
    """Some keys (of the wanted ones), and the cursor behind them; START when there are no more."""

    keys: tuple[bytes, ...]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which keys: under any of `prefixes`, of which none covers another, and in any of `slots` (None: all).

    Keys of ours are no documents; `ours` tells that they are what is wanted.
    """

    prefixes: tuple[bytes, ...]
    beside: Beside
    slots: frozenset[int] | None = None
    ours: bool = False

    @property
    def pattern(self) -> bytes:
        """What all of them match."""
        first, last = min(self.prefixes), max(self.prefixes)
        common = next((at for at in range(len(first)) if first[: at + 1] != last[: at + 1]), len(first))
        return glob_escaped(first[:common]) + b"*"

    def among(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        """The wanted ones."""
        return tuple(
            key
            for key in keys
            if key.startswith(self.prefixes)
            and (self.ours or not key.startswith(OURS))
            and (self.slots is None or self.beside.slot(key) in self.slots)
        )


def glob_escaped(text: bytes) -> bytes:
    """A pattern that matches just this."""
    return re.sub(rb"[*?\[\]\\^-]", rb"\\\g<0>", text)


def scan_page(node: Node, wanted: Wanted, cursor: str, run_id: str) -> Page:
    """The keys behind a cursor that was told by the process `run_id`.

    Raises OtherServerError when another process answers: cursors mean something else there.
    """
    (after, keys), info = node.send([("SCAN", cursor, "MATCH", wanted.pattern, "COUNT", PAGE), ("INFO", "server")])
    if info["run_id"] != run_id:
        raise OtherServerError
    return Page(wanted.among(keys), str(int(after)))
