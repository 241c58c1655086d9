"""Status as text and JSON: where every managed index stands, who is at work, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer, unmanaged_words
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import lines_of, printable

if TYPE_CHECKING:
    from rvlstate.runtime.status import IndexStatus, Status

STYLES = {
    "serving": "green",
    "building": "yellow",
    "drifted": "magenta",
    "hijacked": "bold magenta",
    "left behind": "yellow",
    "missing": "bold red",
}
NOTHING_MANAGED = "Nothing is managed yet."


def write_status(paper: Paper, status: Status, offer: Offer) -> None:
    """The whole status."""
    server = f"Redis {status.server.redis}, search {status.server.search}{', cluster' if status.server.cluster else ''}"
    where = f"{offer.server} ({server})" if offer.server else server
    paper.line(
        Cell(text=f"Project {printable(status.project)} on {printable(where)}", style="dim"),
        Cell(text=f"   state serial {status.serial}" if status.lineage else "", style="dim"),
    )
    paper.blank()
    if status.indexes:
        paper.rows([_row(index) for index in status.indexes])
    else:
        paper.line(NOTHING_MANAGED)
    paper.blank()
    _write_work(paper, status)
    if status.unmanaged:
        words = unmanaged_words(status.unmanaged, offer)
        paper.line(words.label, printable(words.text), printable(words.command))
    if status.next_step:
        paper.paragraph(printable(status.next_step), style="bold", first="Next: ", rest="      ")


def status_data(status: Status) -> dict[str, Any]:
    """Status as JSON-like data."""
    return asdict(status)


def is_same(one: Status, other: Status) -> bool:
    """Whether two statuses say the same, but for how long a lock has been held and how much memory is used."""
    return _lasting(one) == _lasting(other)


def _lasting(status: Status) -> dict[str, Any]:
    data = status_data(status)
    step = status.lock.step if status.lock else ""
    return {**data, "server": "", "lock": step}


def _row(index: IndexStatus) -> tuple[Cell, ...]:
    failures = f"{count(index.indexing_failures, 'indexing failure')}" if index.indexing_failures else ""
    note = "; ".join(part for part in (failures, printable(index.note)) if part)
    return (
        Cell(text=printable(index.name), style="bold"),
        Cell(text=index.state, style=STYLES.get(index.state, "")),
        Cell(text=printable(index.physical)),
        Cell(text=count(index.documents, "document")),
        Cell(text=note, style="yellow"),
    )


def _write_work(paper: Paper, status: Status) -> None:
    if status.lock is not None:
        paper.line(Cell(text="Locked", style="bold yellow"))
        for line in lines_of(status.lock.describe()):
            paper.line(f"  {line}")
    run = status.interrupted
    if run is not None:
        paper.line(
            Cell(text="Interrupted", style="bold yellow"),
            f": {run.operation} {run.id} of {printable(run.who)} on {printable(run.host)}, started {run.started}, "
            f"{run.steps_done} of {count(run.steps_total, 'step')} done",
        )
        for line in lines_of(run.error):
            paper.line(f"  {line}")
