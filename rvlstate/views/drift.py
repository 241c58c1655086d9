"""Drift as text, JSON and markdown: what others changed on the server since it was last applied."""

from __future__ import annotations

from typing import Any

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.late_writes import REASON
from rvlstate.plan.plan import Change
from rvlstate.views.change_lines import ChangeLine, change_line
from rvlstate.views.index_block import write_change_lines
from rvlstate.views.markdown import code, fence, prose
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_json import change_data
from rvlstate.views.plan_words import Offer, unmanaged_words
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import lines_of, printable

NO_DRIFT = "No drift. Every managed index is as it was last applied."
IN_PROGRESS = "An apply is in progress; what it changes is not drift."


def write_drift(paper: Paper, drift: Drift, offer: Offer) -> None:
    """All drift, and what can be done about it."""
    paper.line(Cell(text=f"Project {printable(drift.project)} on {printable(offer.server)}", style="dim"))
    paper.blank()
    for index in drift.indexes:
        paper.line(Cell(text=f"~ {printable(index.name)}", style="bold magenta"), f"  ({printable(index.physical)})")
        write_change_lines(paper, lines_of_drift(index))
        for note in index.notes:
            paper.paragraph(printable(note), style="cyan", first="  note: ", rest="    ")
        paper.blank()
    if drift.in_progress:
        paper.line(Cell(text=IN_PROGRESS, style="bold yellow"))
        for line in lines_of(drift.in_progress):
            paper.line(f"  {line}")
    elif not drift.found:
        paper.line(Cell(text=NO_DRIFT, style="bold green"))
    if drift.interrupted:
        paper.paragraph(printable(drift.interrupted), style="yellow", first="! ", rest="  ")
    if drift.found:
        paper.line(Cell(text=f"{count(len(drift.indexes), 'index', 'indexes')} drifted.", style="bold"))
        if any(not is_late(change) for index in drift.indexes for change in index.changes):
            paper.line(
                f"Undo it: {offer.command('plan')} shows how. Keep it: write it into the schema files, then plan."
            )
    if drift.unmanaged:
        words = unmanaged_words(drift.unmanaged, offer)
        paper.line(words.label, printable(words.text), printable(words.command))


def is_late(change: Change) -> bool:
    """Whether it is documents that differ, not the index."""
    return change.address.endswith(".documents") and change.reason == REASON


def lines_of_drift(index: IndexDrift) -> tuple[ChangeLine, ...]:
    """The changes of one index."""
    return tuple(
        _late_line(change) if is_late(change) else change_line(index.name, change, tone="drift")
        for change in index.changes
    )


def _late_line(change: Change) -> ChangeLine:
    about = count(change.after, "document") if isinstance(change.after, int) else ""
    return ChangeLine(
        symbol="~", subject="documents in the old layout", value=f"about {about}", verdict="", tone="drift"
    )


def drift_data(drift: Drift) -> dict[str, Any]:
    """Drift as JSON-like data."""
    return {
        "project": drift.project,
        "drift": drift.found,
        "in_progress": drift.in_progress,
        "interrupted": drift.interrupted,
        "indexes": [_index(index) for index in drift.indexes],
        "unmanaged": list(drift.unmanaged),
    }


def render_drift(drift: Drift) -> str:
    """Drift as markdown, for an issue or a message that a scheduled job writes."""
    lines = [f"### rvlstate drift: {code(drift.project)}", ""]
    if drift.in_progress:
        lines += [f"**{IN_PROGRESS}**", "", *fence(lines_of(drift.in_progress)), ""]
    elif not drift.found:
        lines += [f"**{NO_DRIFT}**", ""]
    else:
        lines += [f"**{count(len(drift.indexes), 'index', 'indexes')} drifted.**", ""]
    for index in drift.indexes:
        changed = [f"{line.symbol.replace('~', '!')} {line.subject}  {line.value}" for line in lines_of_drift(index)]
        lines += [f"**{code(index.name)}** ({code(index.physical)})", "", *fence(changed, "diff"), ""]
        lines += [*(f"- {prose(note)}" for note in index.notes), *([""] if index.notes else [])]
    if drift.interrupted:
        lines += [f"> {prose(drift.interrupted)}", ""]
    if drift.unmanaged:
        lines.append(f"Not managed: {', '.join(code(name) for name in drift.unmanaged)}")
    return "\n".join(lines).rstrip() + "\n"


def _index(index: IndexDrift) -> dict[str, Any]:
    changes: tuple[Change, ...] = index.changes
    return {
        "name": index.name,
        "physical": index.physical,
        "changes": [change_data(change) for change in changes],
        "notes": list(index.notes),
    }
