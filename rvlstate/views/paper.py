"""Paper: lines of styled text for a width, written with colours to a terminal and without to anything else.

Texts reach rich as `Text`, never as markup, so that brackets in names mean nothing.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 120
NARROWEST = 20
NARROWEST_LAST_COLUMN = 36
WIDEST_COLUMN = 44
INDENT, GAP = "  ", "  "
NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps words on one line in a paragraph; shown as a space."""

BELOW = 6
"""Indentation of a last column that goes below its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A piece of a row: a text and its style."""

    text: str
    style: str = ""


@dataclass(slots=True, kw_only=True)
class Paper:
    """Lines that a view writes down, each at most `width` wide where words allow it."""

    width: int = WIDTH_WITHOUT_TERMINAL
    lines: list[Text] = field(default_factory=list)

    def line(self, *cells: Cell | str) -> None:
        """One line, never wrapped: commands stay fit to be copied."""
        parts = [Cell(text=cell) if isinstance(cell, str) else cell for cell in cells]
        line = Text.assemble(*((part.text, part.style) for part in parts))
        line.rstrip()
        self.lines.append(line)

    def blank(self) -> None:
        """An empty line, unless there is one already or nothing yet."""
        if self.lines and self.lines[-1].plain:
            self.lines.append(Text())

    def paragraph(self, text: str, *, style: str = "", first: str = "", rest: str = "") -> None:
        """A text wrapped at spaces; its first line begins with `first`, the others with `rest`."""
        for number, line in enumerate(_wrapped(text, self.width - max(cell_len(first), cell_len(rest)))):
            self.line(Cell(text=rest if number else first, style=style), Cell(text=line, style=style))

    def rows(self, rows: Sequence[Sequence[Cell]], *, widest: int = WIDEST_COLUMN) -> None:
        """Rows in columns; the last column is wrapped, and goes below its row where there is no room beside it.

        A cell that is wider than `widest` sticks out rather than move the columns of the other rows.
        """
        widths = _column_widths(rows, widest)
        for row in rows:
            self._row(row, widths)

    def _row(self, row: Sequence[Cell], widths: Sequence[int]) -> None:
        cells = [Cell(text=INDENT)]
        for cell, width in zip(row[:-1], widths, strict=True):
            cells += [cell, Cell(text=" " * max(width - cell_len(cell.text), 0) + (GAP if width or cell.text else ""))]
        column, last = len(INDENT) + sum(width + len(GAP) for width in widths if width), row[-1]
        written = sum(cell_len(cell.text) for cell in cells)
        room = self.width - column
        beside = written == column and room >= min(NARROWEST_LAST_COLUMN, cell_len(last.text))
        start = column if beside else len(INDENT) + BELOW
        wrapped = _wrapped(last.text, self.width - start)
        first = wrapped.pop(0) if beside else ""
        self.line(*cells, Cell(text=first, style=last.style))
        for text in wrapped if last.text else []:
            self.line(" " * start, Cell(text=text, style=last.style))


def paper_for(stream: TextIO) -> Paper:
    """Paper as wide as the terminal behind a stream, or as wide as logs and pipes stand."""
    return Paper(width=Console(file=stream).width if stream.isatty() else _stated_width())


def write_out(paper: Paper, stream: TextIO, *, color: bool) -> str:
    """The text that is to be written to the stream: with colours if it is a terminal and they are wanted."""
    buffer = StringIO()
    in_color = color and stream.isatty() and not os.environ.get("NO_COLOR")
    console = Console(file=buffer, force_terminal=in_color, no_color=not in_color, width=10_000, legacy_windows=False)
    for line in paper.lines:
        console.print(line, soft_wrap=True)
    return buffer.getvalue()


def plain_text(paper: Paper) -> str:
    """The text without colours."""
    return "".join(f"{line.plain}\n" for line in paper.lines)


def _stated_width() -> int:
    stated = os.environ.get("COLUMNS", "")
    return int(stated) if stated.isdigit() and int(stated) > 0 else WIDTH_WITHOUT_TERMINAL


def _column_widths(rows: Iterable[Sequence[Cell]], widest: int) -> list[int]:
    """The width of each column but the last, 0 for an empty one."""
    columns = zip(*(row[:-1] for row in rows), strict=True)
    return [
        max((width for cell in column if (width := cell_len(cell.text)) <= widest), default=0) for column in columns
    ]


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, max(width, NARROWEST), break_long_words=False, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines] or [""]
