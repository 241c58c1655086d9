"""GitHub flavoured markdown out of texts that nobody vouches for.

A name in a table, a fence or a sentence stays what it is: it starts no HTML, link, mention, reference or emphasis, and
ends no cell and no fence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rvlstate.views.untrusted import printable

ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>~$])")
_ACTIVE = re.compile(r"(?<=[@#])(?=\w)|(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\b[gG][hH])(?=-\d)")
"""Where a mention, a reference to an issue or a bare link would be recognised, in the middle of it."""


_BLOCK = re.compile(r"\s*(?:[#+=-]|\d+[.)](?:\s|$))")
"""The beginning of a text that would be a heading or a list."""


def prose(text: str) -> str:
    """A text that shows as it is, in a sentence, a list item or a cell."""
    escaped = _SPECIAL.sub(r"\\\1", printable(text).replace("&", "&amp;"))
    inert = _ACTIVE.sub(ZERO_WIDTH, escaped).replace("|", "&#124;")
    return ZERO_WIDTH + inert if _BLOCK.match(inert) else inert


def cell(text: str) -> str:
    """A text in a code span that is fit for a table; no span can hold a pipe there whatever stands before it."""
    return prose(text) if "|" in text else code(text)


def code(text: str) -> str:
    """A text in a code span: nothing in it is active."""
    shown = printable(text)
    ticks = "`" * (_longest_run(shown, "`") + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def fence(lines: Iterable[str], language: str = "") -> list[str]:
    """A fenced block of lines, none of which can end it."""
    shown = [printable(line) for line in lines]
    ticks = "`" * max(3, *(_longest_run(line, "`") + 1 for line in shown)) if shown else "```"
    return [f"{ticks}{language}", *shown, ticks]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of cells that are markdown already."""
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def folded(title: str, lines: Iterable[str]) -> list[str]:
    """A block that is shown when its title is clicked; `title` is our own text."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell or ' ' for cell in cells)} |"


def _longest_run(text: str, char: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(char)}+", text)), default=0)
