"""GitHub flavoured markdown out of texts that nobody vouches for.

A name in a table, a fence or a sentence stays what it is: it starts no HTML, link, mention, reference or emphasis, and
ends no cell and no fence. Every text comes out as one printable line, without the passwords of URLs, and cut.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from rvlstate.views.untrusted import harmless

ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
LONGEST_SENTENCE, LONGEST_LINE = 1_000, 500
"""Characters of a sentence and of a line in a fence that are shown; see `untrusted.LONGEST` for names."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>~$])")
_ACTIVE = re.compile(
    r"(?<=[@#!%&^])(?=[\w\"])"  # a person, an issue, a merge request, a milestone, an epic
    r"|(?<=[:/])(?=/)|(?<=mailto:)|(?<=xmpp:)|(?<=\b[wW][wW][wW])(?=\.)|(?<=\b[gG][hH])(?=-\d)"  # a bare link, an issue
    r"|(?<=:)(?=[\w+-]+:)"  # an emoji
)
"""Where a forge would recognise something in a text, in the middle of it."""

_COMMIT = re.compile(r"(?<![^\W_])[0-9a-fA-F]{7,}(?![^\W_])")
_TICKS = re.compile(r"`{40}(?=`)")
"""GitHub's parser knows no run of more than 80 backticks: a longer one would neither begin a span nor end it."""

_HEX_TOGETHER = 6
"""A run of hex digits shorter than seven is the name of no commit."""

_BLOCK = re.compile(r"[\s#+=/-]|\d+[.)](?:\s|$)")
"""The beginning of a text that would be a heading, a list, code, or an order to GitLab."""


def prose(text: str) -> str:
    """A text that shows as it is, in a sentence, a list item or a cell."""
    inert = _ACTIVE.sub(ZERO_WIDTH, _COMMIT.sub(_apart, harmless(text, LONGEST_SENTENCE)))
    escaped = _SPECIAL.sub(r"\\\1", inert.replace("&", "&amp;")).replace("|", "&#124;")
    return ZERO_WIDTH + escaped if _BLOCK.match(escaped) else escaped


def cell(text: str) -> str:
    """A text in a code span that is fit for a table; no span can hold a pipe there whatever stands before it."""
    return prose(harmless(text)) if "|" in text else code(text)


def code(text: str, longest: int | None = None) -> str:
    """A text in a code span: nothing in it is active."""
    shown = _TICKS.sub(lambda run: run[0] + ZERO_WIDTH, harmless(text, longest) if longest else harmless(text))
    ticks = "`" * (_longest_run(shown, "`") + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def fence(lines: Iterable[str], language: str = "") -> list[str]:
    """A fenced block of lines, none of which can end it."""
    shown = [harmless(line, LONGEST_LINE) for line in lines]
    return fence_as_is(shown, language)


def fence_as_is(lines: Sequence[str], language: str) -> list[str]:
    """A fenced block of lines of our own making, which may be long, and none of which can end it."""
    ticks = "`" * max(3, *(_longest_run(line, "`") + 1 for line in lines)) if lines else "```"
    return [f"{ticks}{language}", *lines, ticks]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of cells that are markdown already."""
    return [*table_head(head), *(table_row(row) for row in rows)]


def table_head(head: Sequence[str]) -> list[str]:
    """What a table begins with."""
    return [table_row(head), table_row(["---"] * len(head))]


def table_row(cells: Iterable[str]) -> str:
    """One row of a table."""
    return f"| {' | '.join(cell or ' ' for cell in cells)} |"


def folded(title: str, lines: Iterable[str], *, shown: bool = False) -> list[str]:
    """A block that is shown when its title is clicked, or at once; `title` is HTML already, see `tagged`."""
    return [f"<details{' open' if shown else ''}>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def tagged(text: str) -> str:
    """A text as code in HTML, for the title of a folded block: markdown is not looked for there, nor mentions."""
    return f"<code>{html.escape(harmless(text))}</code>"


def length(lines: Iterable[str]) -> int:
    """The characters of lines, each with its line break."""
    return sum(len(line) + 1 for line in lines)


def _apart(found: re.Match[str]) -> str:
    digits = found[0]
    return ZERO_WIDTH.join(digits[at : at + _HEX_TOGETHER] for at in range(0, len(digits), _HEX_TOGETHER))


def _longest_run(text: str, char: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(char)}+", text)), default=0)
