"""What an apply did, as text and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.history import figures_words
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import count, stopwatch
from rvlstate.views.standing import write_waits
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.runtime.outcome import Report, StepOutcome

NOTHING = "Nothing to do. Live matches the declared set."
NOTHING_NOW = "Nothing to do now."
WAITING = "Planned again: nothing is left to do but what waits."
GREEN = "bold green"
SETTLED = "Planned again: nothing is left to do."


DONE = {"cutover": "Cut over", "complete": "Completed"}


def write_report(paper: Paper, report: Report, offer: Offer, command: str = "apply") -> None:
    """The steps with their figures, the end, and what waits."""
    if report.result == "nothing":
        paper.words(Cell(text=NOTHING_NOW if report.waits else NOTHING, style="bold green"))
        write_waits(paper, report.waits, offer)
        return
    told = [step for step in report.steps if figures_words(step.figures)]
    if told:
        paper.rows([_row(step) for step in told])
        paper.blank()
    done = sum(step.result == "done" for step in report.steps)
    paper.words(
        Cell(text=f"{DONE.get(command, 'Applied')}: {count(done, 'step')} in {stopwatch(report.seconds)}", style=GREEN),
        f"  (run {report.run})",
    )
    if report.plan_empty:
        paper.words(WAITING if report.waits else SETTLED)
    _write_failures(paper, report)
    for warning in report.warnings:
        paper.paragraph(f"warning: {printable(warning)}", style="yellow")
    for name in report.late_writers:
        paper.paragraph(
            f"{printable(name)}: writers must use the new layout from now on; what is still written in the old one is "
            f"converted by {offer.command('watch', name)}."
        )
    write_waits(paper, report.waits, offer)


def _write_failures(paper: Paper, report: Report) -> None:
    """A warning for each index that left documents out since they do not fit it."""
    failed: dict[str, float] = {}
    for step in report.steps:
        failed[step.index] = max(step.figures.get("indexing_failures", 0), failed.get(step.index, 0))
    for name, failures in sorted(failed.items()):
        if failures:
            shown = printable(name)
            paper.paragraph(
                f"warning: {shown}: {count(round(failures), 'indexing failure')}: documents that do not fit the "
                f"declared index are not found by search; FT.INFO {shown} shows the last of them.",
                style="yellow",
            )


def report_data(report: Report) -> dict[str, Any]:
    """The report as JSON-like data."""
    return asdict(report)


def _row(step: StepOutcome) -> tuple[Cell, ...]:
    return (
        Cell(text=printable(step.summary)),
        Cell(text=stopwatch(step.seconds), style="dim"),
        Cell(text=figures_words(step.figures)),
    )
