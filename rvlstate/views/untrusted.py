"""Texts that others chose (names, values, replies), made safe to show: no control characters, no credentials."""

from __future__ import annotations

import re

from rvlstate.model.secret import redact_url

LONGEST = 300
"""Characters of a text of others that a report shows; nobody reads more of a name."""

MARKED_COMMAND = re.compile(r"##(?=\w*\[)")
"""What CI systems take as the beginning of a command wherever it stands: `##[error]`, `##vso[`."""

_URL = re.compile(r"[A-Za-z][\w+.-]{0,40}://\S+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
_LEADING_COMMAND = re.compile(r"(?:^|(?<=[\n\r]))([^\S\n\r]*):(?=:)")


def printable(text: str) -> str:
    """`text` with whatever a terminal would obey or hide (controls, ANSI, bidi marks, line breaks) as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def lines_of(text: str) -> list[str]:
    """The lines of a text of several, each of them printable and without the credentials of URLs."""
    return [printable(_CREDENTIALS.sub("***@", line)) for line in text.splitlines()]


def inert(output: str) -> str:
    """A whole output, text or JSON, of which a CI system that reads the job's log takes nothing as a command.

    `##[error]` and `##vso[...]` count wherever they stand in a line, `::error::` behind spaces at its beginning: one
    of the two signs becomes an escape, which means the same character in JSON, so that JSON holds the same values.
    """
    return _LEADING_COMMAND.sub(r"\1\\u003a", MARKED_COMMAND.sub(r"#\\u0023", output))


def harmless(text: str, longest: int = LONGEST) -> str:
    """`text` in one printable line for a report: without the passwords of URLs, and cut, with a note of how much is."""
    shown = _URL.sub(lambda url: redact_url(url[0]), printable(text))
    if len(shown) <= longest:
        return shown
    return f"{shown[:longest]}... ({len(shown) - longest:,} more characters)"
