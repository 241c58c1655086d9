"""Status as text and JSON: where every managed index stands, who is at work, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.history import standing_of
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer, unmanaged_words
from rvlstate.views.quantities import count
from rvlstate.views.standing import write_change
from rvlstate.views.untrusted import lines_of, printable

if TYPE_CHECKING:
    from rvlstate.runtime.status import IndexStatus, Status

STYLES = {
    "serving": "green",
    "building": "yellow",
    "rebuilding": "bold yellow",
    "drifted": "magenta",
    "hijacked": "bold magenta",
    "ready": "cyan",
    "kept": "cyan",
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
    for change in status.changes:
        write_change(paper, change, offer)
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
    return _lasting(one) == _lasting(other) and progress_line(one) == progress_line(other)


def differs_in_progress_only(one: Status, other: Status) -> bool:
    """Whether one line about the progress of the step tells all that changed."""
    return _lasting(one) == _lasting(other) and bool(progress_line(other))


def progress_line(status: Status) -> str:
    """How far the step at work is, in one line; "" if none is, or nothing was told of it."""
    work = status.work
    if work is None or work.run is None or work.step is None:
        return ""
    reached = standing_of(work.step.progress).line if work.step.progress is not None else ""
    place = f"{work.run.steps_done + 1}/{work.run.steps_total}"
    return f"{place}  {printable(work.step.summary)}  {reached}".rstrip()


def _lasting(status: Status) -> dict[str, Any]:
    """What is told in full again when it changes."""
    step = status.lock.step if status.lock else ""
    orders = asdict(status.work.orders) if status.work else {}
    orders["obeyed"] = 0
    return {**status_data(status), "server": "", "lock": step, "work": orders}


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
        paper.line(Cell(text="Paused" if _is_paused(status) else "Locked", style="bold yellow"))
        for line in [*lines_of(status.lock.describe()), *_orders(status), progress_line(status)]:
            if line:
                paper.line(f"  {line}")
    run = status.interrupted
    if run is not None:
        paper.line(
            Cell(text="Interrupted", style="bold yellow"),
            f": {run.operation} {run.id} of {printable(run.who)} on {printable(run.host)}, started {run.started}, "
            f"{run.steps_done} of {count(run.steps_total, 'step')} done",
        )
        step = status.work.step if status.work is not None else None
        if step is not None:
            reached = f"  {standing_of(step.progress).line}" if step.progress is not None else ""
            paper.line(f"  it stopped at: {printable(step.summary)}{reached}")
        for line in lines_of(run.error):
            paper.line(f"  {line}")


def _is_paused(status: Status) -> bool:
    return status.work is not None and bool(status.work.orders.paused_by)


def _orders(status: Status) -> list[str]:
    """What the run was ordered, one line each."""
    if status.work is None:
        return []
    run, orders = status.work.run, status.work.orders
    lines = [f"Run: {run.id}, {run.steps_done} of {count(run.steps_total, 'step')} done"] if run is not None else []
    if orders.paused_by:
        lines.append(f"Paused by {printable(orders.paused_by)} since {orders.paused_at}; it keeps the lock.")
    if orders.rate:
        limit = f"{orders.rate:,.10g} {'document' if orders.rate == 1 else 'documents'} a second"
        lines.append(f"Limited to {limit} by {printable(orders.rate_by)}.")
    if orders.abort_by:
        lines.append(f"Told to stop by {printable(orders.abort_by)}.")
    return lines
