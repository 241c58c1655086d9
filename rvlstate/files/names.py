"""Which names an index, or an alias of one, may have."""

from __future__ import annotations

from rvlstate.model.address import REVISION

MAX_NAME_BYTES = 512
"""Length of the longest index name that is accepted."""

_SHOWN = 60


def shown(name: str) -> str:
    """A name in quotes as a message can hold it: on one line, and not too long."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode()
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'


def name_fault(name: str) -> str | None:
    """What is wrong with a declared name, or None."""
    if not name.strip():
        return "has no visible character"
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in name):  # noqa: PLR2004 - C0, DEL and C1 controls
        return "has control characters in it"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    if REVISION.match(name):
        return "looks like a physical index that rvlstate makes (name@revision)"
    return None
