"""Tables of a page: with a caption, readable to screen readers, and stacked into cards where there is no width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rvlstate.views.html_elements import Content, Html, element


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `number` aligns its figures at the right. The first column names the row.

    `word`: its cells hold a word or two of our own, between whose letters no line ends.
    """

    title: str
    number: bool = False
    word: bool = False


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Content]]) -> Html:
    """A table of rows that have a cell for each column. Roles are named since cards are no table to a browser."""
    head = [_head(column) for column in columns]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head, role="row"), role="rowgroup"),
        element("tbody", *(_row(columns, row) for row in rows), role="rowgroup"),
        role="table",
    )


def _head(column: Column) -> Html:
    return element("th", column.title, scope="col", role="columnheader", class_="number" if column.number else None)


def _row(columns: Sequence[Column], row: Sequence[Content]) -> Html:
    return element(
        "tr",
        *(_cell(place, column, cell) for place, (column, cell) in enumerate(zip(columns, row, strict=True))),
        role="row",
    )


def _cell(place: int, column: Column, content: Content) -> Html:
    """A cell; its column's title is shown before it in a card, but for the one that names the row."""
    label = element("span", column.title, class_="label", aria_hidden="true") if column.title and place else None
    shown = element("span", content, class_="value")
    kinds = (("number", column.number), ("word", column.word), ("empty", not content))
    kind = " ".join(name for name, holds in kinds if holds)
    if place == 0:
        return element("th", shown, scope="row", role="rowheader", class_=kind or None)
    return element("td", label, shown, role="cell", class_=kind or None)
