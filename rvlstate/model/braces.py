"""Names without braces: in a key of Redis, the first text between braces decides in which slot the key is."""

from __future__ import annotations


def without_braces(name: str) -> str:
    """The name with `%`, `{` and `}` as their hexadecimal codes, so that two names never become one."""
    return "".join(f"%{ord(char):02X}" if char in "%{}" else char for char in name)
