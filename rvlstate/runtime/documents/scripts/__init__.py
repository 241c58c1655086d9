"""Lua scripts of the document engine: what they share, one file for each kind of document, and reading and writing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script and the name by which the server remembers it."""

    text: bytes
    sha: bytes


@cache
def script(adapter: str, name: str) -> Script:
    """`read` or `write` for documents that are `hash`, `json`, or change from one to the other (`whole`)."""
    text = b"".join(files(__name__).joinpath(f"{part}.lua").read_bytes() for part in ("lib", adapter, name))
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
