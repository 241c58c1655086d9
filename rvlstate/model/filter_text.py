r"""Filters as text: what is quoted in one, the attributes that it names, and how its line breaks are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PARTS = re.compile(
    r"""(?P<quoted> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' ) | @(?P<name> [^\s\x00-\x1f\x7f!-/:-@\[-^`{-~]+ )""",
    re.VERBOSE | re.DOTALL,
)


def sendable(text: str) -> str:
    r"""A filter as FT.CREATE takes it: FT.INFO shows a line break as \n, and so do canonical definitions.

    Within quotes a backslash and an n are what was sent; there a line break is refused (measured).
    """
    return re.sub(rf"{_PARTS.pattern} | (?P<break>\\n)", _line_break, text, flags=_PARTS.flags)


def _line_break(found: re.Match[str]) -> str:
    return "\n" if found["break"] else found[0]


def names_in(text: str) -> frozenset[str]:
    """The attributes that a filter names."""
    return frozenset(found["name"] for found in _PARTS.finditer(sendable(text)) if found["name"])


def with_other_names(text: str, names: Mapping[str, str]) -> str:
    """The filter with attributes named as in `names` (present name -> other name), as it is sent."""

    def named(found: re.Match[str]) -> str:
        return f"@{names[found['name']]}" if found["name"] in names else found[0]

    return _PARTS.sub(named, sendable(text))
