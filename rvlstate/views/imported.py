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


def write_imported(paper: Paper, imported: Sequence[Imported], offer: Offer, undeclared: Sequence[str] = ()) -> None:
    """Each index with its file and with what the server keeps to itself; `undeclared` are managed without a schema."""
    if not imported:
        paper.line(NOTHING)
    for item in imported:
        where = f"wrote {item.file}" if item.written else f"declared in {item.file}"
        where += ", otherwise than it is live" if item.differs else ""
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
    if imported:
        paper.blank()
        paper.line(Cell(text=f"{count(len(imported), 'index', 'indexes')} taken in.", style="bold green"))
        paper.paragraph(_next(imported, offer), first="", rest="  ")
    if undeclared:
        names, command = printable(", ".join(undeclared)), printable(offer.command("import", *undeclared))
        paper.paragraph(
            f"Managed, and declared by no schema: {names}; {command} writes it.",
            first="",
            rest="  ",
        )


def _next(imported: Sequence[Imported], offer: Offer) -> str:
    plan = offer.command("plan")
    if not any(item.differs for item in imported):
        return f"Next: {plan} should find nothing to do."
    return (
        f"Next: {plan} shows what the schemas change; to declare what is live instead, remove them and import by name."
    )


def imported_data(imported: Sequence[Imported]) -> dict[str, Any]:
    """The import as JSON-like data."""
    return {"imported": [asdict(item) for item in imported]}
