"""Names without braces: in a key of Redis, the first text between braces decides in which slot the key is."""

from __future__ import annotations

import re


def without_braces(name: str) -> str:
    """The name with `%`, `{` and `}` as their hexadecimal codes, so that two names never become one."""
    return "".join(f"%{ord(char):02X}" if char in "%{}" else char for char in name)


def with_braces(text: str) -> str:
    """The name of which `without_braces` made this text."""
    return re.sub("%(25|7B|7D)", lambda match: chr(int(match[1], 16)), text)
