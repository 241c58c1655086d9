"""What an apply did, as text and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.history import figures_words
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.quantities import count, stopwatch
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.runtime.outcome import Report, StepOutcome

NOTHING = "Nothing to do. Live matches the declared set."
SETTLED = "Planned again: nothing is left to do."


def write_report(paper: Paper, report: Report) -> None:
    """The steps with their figures, and the end."""
    if report.result == "nothing":
        paper.line(Cell(text=NOTHING, style="bold green"))
        return
    told = [step for step in report.steps if figures_words(step.figures)]
    if told:
        paper.rows([_row(step) for step in told])
        paper.blank()
    done = sum(step.result == "done" for step in report.steps)
    paper.line(
        Cell(text=f"Applied: {count(done, 'step')} in {stopwatch(report.seconds)}", style="bold green"),
        f"  (run {report.run})",
    )
    if report.plan_empty:
        paper.line(SETTLED)


def report_data(report: Report) -> dict[str, Any]:
    """The report as JSON-like data."""
    return asdict(report)


def _row(step: StepOutcome) -> tuple[Cell, ...]:
    return (
        Cell(text=printable(step.summary)),
        Cell(text=stopwatch(step.seconds), style="dim"),
        Cell(text=figures_words(step.figures)),
    )
