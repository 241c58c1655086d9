"""Past runs as text and JSON: a list of them, and the report of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rvlstate.views.paper import Cell, Paper
from rvlstate.views.quantities import count, stopwatch
from rvlstate.views.untrusted import lines_of, printable

if TYPE_CHECKING:
    from rvlstate.runtime.run_report import RunReport, RunSummary, StepReport

STYLES = {"done": "green", "failed": "bold red", "interrupted": "yellow", "running": "cyan", "skipped": "dim"}
NO_RUNS = "No runs yet."


def write_history(paper: Paper, runs: Sequence[RunSummary]) -> None:
    """The runs in the order given, one in a row."""
    if not runs:
        paper.line(NO_RUNS)
        return
    paper.rows([_run_row(run) for run in runs])


def history_data(runs: Sequence[RunSummary]) -> dict[str, Any]:
    """The runs as JSON-like data."""
    return {"runs": [run.to_dict() for run in runs]}


def write_run(paper: Paper, report: RunReport) -> None:
    """One run with its steps."""
    run = report.run
    style = STYLES.get(run.result, "")
    paper.line(
        Cell(text=f"{run.operation} {run.id}", style="bold"), "  ", Cell(text=run.result, style=style), _took(run)
    )
    about = [
        ("who", f"{run.who} on {run.host} (pid {run.pid}), rvlstate {run.version}"),
        ("when", f"{run.started}{f' to {run.finished}' if run.finished else ''}"),
        ("ci", run.ci_url),
        ("plan", run.plan_id),
        ("steps", f"{run.steps_done} of {run.steps_total}"),
    ]
    paper.rows([(Cell(text=label, style="dim"), Cell(text=printable(text))) for label, text in about if text])
    paper.blank()
    if report.steps:
        paper.rows([_step_row(step) for step in report.steps])
    for line in lines_of(run.error):
        paper.line(Cell(text=line, style="red"))


def run_data(report: RunReport) -> dict[str, Any]:
    """One run as JSON-like data."""
    return report.to_dict()


def figures_words(figures: Mapping[str, float]) -> str:
    """`5,000 documents, 2 indexing failures`: what was counted, in the order of the names, zeros left out."""
    return ", ".join(
        f"{value:,.10g} {printable(name).replace('_', ' ')}" for name, value in sorted(figures.items()) if value
    )


def _run_row(run: RunSummary) -> tuple[Cell, ...]:
    failed = lines_of(run.error)[:1]
    return (
        Cell(text=run.started),
        Cell(text=run.id, style="bold"),
        Cell(text=run.operation),
        Cell(text=run.result, style=STYLES.get(run.result, "")),
        Cell(text=f"{run.steps_done} of {count(run.steps_total, 'step')}"),
        Cell(text=stopwatch(run.seconds) if run.finished else ""),
        Cell(text=printable(f"{run.who} on {run.host}")),
        Cell(text=failed[0] if failed else "", style="red"),
    )


def _took(run: RunSummary) -> str:
    return f" in {stopwatch(run.seconds)}" if run.finished else ""


def _step_row(step: StepReport) -> tuple[Cell, ...]:
    failed = lines_of(step.error)[:1]
    return (
        Cell(text=step.result, style=STYLES.get(step.result, "")),
        Cell(text=printable(step.summary)),
        Cell(text=stopwatch(step.seconds), style="dim"),
        Cell(text=failed[0] if failed else figures_words(step.figures), style="red" if failed else "dim"),
    )
