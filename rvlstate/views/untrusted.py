"""Texts that others chose (names, values, replies), made safe to show: no control characters, no credentials."""

from __future__ import annotations

import re

from rvlstate.model.secret import redact_url

LONGEST = 300
"""Characters of a text of others that a report shows; nobody reads more of a name."""

_URL = re.compile(r"[A-Za-z][\w+.-]{0,40}://\S+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")


def printable(text: str) -> str:
    """`text` with whatever a terminal would obey or hide (controls, ANSI, bidi marks, line breaks) as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def lines_of(text: str) -> list[str]:
    """The lines of a text of several, each of them printable and without the credentials of URLs."""
    return [printable(_CREDENTIALS.sub("***@", line)) for line in text.splitlines()]


def harmless(text: str, longest: int = LONGEST) -> str:
    """`text` in one printable line for a report: without the passwords of URLs, and cut, with a note of how much is."""
    shown = _URL.sub(lambda url: redact_url(url[0]), printable(text))
    if len(shown) <= longest:
        return shown
    return f"{shown[:longest]}... ({len(shown) - longest:,} more characters)"
