"""What an import did, as text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.project import Imported

NOTHING = "Nothing to import: every index is managed already."


def write_imported(paper: Paper, imported: Sequence[Imported], offer: Offer) -> None:
    """Each index with its file and with what the server keeps to itself."""
    if not imported:
        paper.line(NOTHING)
        return
    for item in imported:
        where = f"wrote {item.file}" if item.written else f"declared in {item.file}"
        physical = f"  ({printable(item.physical)})" if item.physical != item.name else ""
        paper.words(Cell(text=f"= {printable(item.name)}", style="bold cyan"), f"{physical}  {printable(where)}")
        if item.settings:
            paper.words(f"  settings in the project file: {printable(', '.join(sorted(item.settings)))}")
        if item.unrevealed:
            names = printable(", ".join(item.unrevealed))
            paper.paragraph(
                f"not shown by the server: {names}; if they were set, write them into the schema",
                style="yellow",
                first="  ? ",
                rest="    ",
            )
    paper.blank()
    paper.line(Cell(text=f"{count(len(imported), 'index', 'indexes')} taken in.", style="bold green"))
    paper.line(f"Next: {offer.command('plan')} should find nothing to do.")


def imported_data(imported: Sequence[Imported]) -> dict[str, Any]:
    """The import as JSON-like data."""
    return {"imported": [asdict(item) for item in imported]}
