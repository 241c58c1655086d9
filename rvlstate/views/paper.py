"""Paper: lines of styled text for a width, written with colours to a terminal and without to anything else.

Texts reach rich as `Text`, never as markup, so that brackets in names mean nothing.
"""

from __future__ import annotations

import os
import re
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

SHORT = 24
"""What stands in front of a command and is no longer than this stays on its line, though that is too long then."""

_WORD = re.compile("[^ ]+")


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
        self.lines.append(_assembled(cells))

    def words(self, *cells: Cell | str, hang: int = len(INDENT), keep: int = 0) -> None:
        """One line, folded at spaces where it is wider than the paper: what follows hangs below, indented by `hang`.

        The first `keep` characters stay together.
        """
        self.lines += _folded(_assembled(cells), self.width, hang, keep)

    def offer(self, label: Cell, text: str, command: str) -> None:
        """Words that end with a command, which stays whole: on a line of its own where it does not fit behind them."""
        line, before = _assembled((label, text, command)), cell_len(label.text) + cell_len(text)
        if line.cell_len <= self.width or (command and before <= SHORT):
            self.lines.append(line)
            return
        self.words(label, text)
        if command:
            self.line(INDENT, command)

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

        A cell that is wider than `widest` sticks out rather than move the columns of the other rows. A row whose
        columns are wider than the paper is folded behind its first cell.
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
        if len("".join(cell.text for cell in cells).rstrip()) > self.width:
            self._folded_row(row, widths[0] if widths else 0)
            return
        room = self.width - column
        beside = written == column and room >= min(NARROWEST_LAST_COLUMN, cell_len(last.text))
        start = column if beside else len(INDENT) + BELOW
        wrapped = _wrapped(last.text, self.width - start)
        first = wrapped.pop(0) if beside else ""
        self.line(*cells, Cell(text=first, style=last.style))
        for text in wrapped if last.text else []:
            self.line(" " * start, Cell(text=text, style=last.style))

    def _folded_row(self, row: Sequence[Cell], first: int) -> None:
        """A row as words: its cells one behind the other, the further lines below the second one where that is near."""
        near = first + len(GAP) <= self.width // 3
        told = [cell for cell in row[1:] if cell.text]
        cells = [Cell(text=INDENT), Cell(text=f"{row[0].text:<{first if near else 0}}", style=row[0].style)]
        for cell in told:
            cells += [Cell(text=GAP), cell]
        hang = len(INDENT) + (first + len(GAP) if near else BELOW - len(INDENT))
        self.words(*cells, hang=hang, keep=len(INDENT) + len(row[0].text))


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


def _assembled(cells: Iterable[Cell | str]) -> Text:
    parts = [Cell(text=cell) if isinstance(cell, str) else cell for cell in cells]
    line = Text.assemble(*((part.text, part.style) for part in parts))
    line.rstrip()
    return line


def _folded(line: Text, width: int, hang: int, keep: int) -> list[Text]:
    """A line in parts that are no wider than `width` where spaces allow it; all but the first begin with a hang."""
    if line.cell_len <= width:
        return [line]
    offsets, began, room = [], 0, width
    for word in list(_WORD.finditer(line.plain))[1:]:
        if word.start() > keep and cell_len(line.plain[began : word.end()]) > max(room, NARROWEST):
            began, room = word.start(), width - hang
            offsets.append(began)
    first, *others = line.divide(offsets)
    folded = [first, *(Text(" " * hang).append_text(part) for part in others)]
    for part in folded:
        part.rstrip()
    return folded


def _wrapped(text: str, width: int) -> list[str]:
    room = max(width, NARROWEST)
    loose = " ".join(word if cell_len(word) <= room else word.replace(NO_BREAK, " ") for word in text.split(" "))
    lines = textwrap.wrap(loose, room, break_long_words=False, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines] or [""]
