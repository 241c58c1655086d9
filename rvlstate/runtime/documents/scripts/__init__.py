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


PARTS = {
    "read": ("lib", "", "states", "read"),
    "write": ("fence", "lib", "", "fields", "write"),
    "look": ("fence", "lib", "", "states", "content", "look"),
    "stage": ("fence", "lib", "", "fields", "content", "stage"),
}
"""The files that a script for documents consists of; "" stands for those of the kind of document."""

KINDS = {"hash": ("hash",), "json": ("places", "json"), "whole": ("whole",)}


@cache
def script(adapter: str, name: str) -> Script:
    """One of PARTS for documents that are `hash`, `json`, or change from one to the other (`whole`)."""
    return made_of(*(part for some in PARTS[name] for part in ([some] if some else KINDS[adapter])))


@cache
def made_of(*parts: str) -> Script:
    """The script that consists of these files."""
    text = b"".join(files(__name__).joinpath(f"{part}.lua").read_bytes() for part in parts)
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
