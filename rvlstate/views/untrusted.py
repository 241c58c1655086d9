"""Texts that others chose (names, values, replies), made safe to show: no control characters, no credentials."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")


def printable(text: str) -> str:
    """`text` with whatever a terminal would obey or hide (controls, ANSI, bidi marks, line breaks) as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def lines_of(text: str) -> list[str]:
    """The lines of a text of several, each of them printable and without the credentials of URLs."""
    return [printable(_CREDENTIALS.sub("***@", line)) for line in text.splitlines()]
