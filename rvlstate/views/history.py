"""Past runs as text and JSON: a list of them, and the report of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rvlstate.views.paper import Cell, Paper
from rvlstate.views.progress_words import Standing
from rvlstate.views.quantities import count, measured, number, size, stopwatch
from rvlstate.views.untrusted import lines_of, printable

if TYPE_CHECKING:
    from rvlstate.runtime.run_report import Comparison, DeadLetter, RunReport, RunSummary, StepProgress, StepReport

STYLES = {"done": "green", "failed": "bold red", "interrupted": "yellow", "running": "cyan", "skipped": "dim"}
NO_RUNS = "No runs yet."
COMPARED = {
    "seconds": "time",
    "documents": "documents",
    "documents_written": "documents written",
    "bytes_written": "written",
    "peak_memory_bytes": "memory at its peak",
    "search_downtime_seconds": "without search",
}
"""Estimated figures that are set against the actual ones, with the words for them."""


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
    paper.words(
        Cell(text=f"{printable(run.operation)} {run.id}", style="bold"),
        "  ",
        Cell(text=run.result, style=style),
        _took(run),
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
    write_outcome(paper, report)
    if run.error:
        paper.blank()
    for line in lines_of(run.error):
        paper.words(Cell(text=line, style="red"), hang=4)


def run_data(report: RunReport) -> dict[str, Any]:
    """One run as JSON-like data."""
    return report.to_dict()


def figures_words(figures: Mapping[str, float]) -> str:
    """`5,000 documents, 2 indexing failures`: what was counted, in the order of the names; zeros only from checks."""
    told = {name: value for name, value in sorted(figures.items()) if value or not name.isidentifier()}
    return ", ".join(measured(printable(name), value) for name, value in told.items())


def write_outcome(paper: Paper, report: RunReport) -> None:
    """What a run left as it was, and what its plan expected against what came."""
    shown: set[DeadLetter] = set()
    for step in report.steps:
        rows = [row for row in step.bad_rows if row not in shown]
        write_bad_rows(paper, step.summary, rows, round(step.figures.get("documents_bad", 0)))
        shown.update(rows)
    write_comparisons(paper, report.indexes)


def write_comparisons(paper: Paper, comparisons: Sequence[Comparison]) -> None:
    """What the plan expected of each index, against what came; nothing where there is nothing to compare."""
    rows = [row for comparison in comparisons for row in _comparison_rows(comparison)]
    if rows:
        paper.blank()
        paper.line(Cell(text="Estimated by the plan, and what came", style="bold"))
        paper.rows(rows)


def write_bad_rows(paper: Paper, step: str, rows: Sequence[DeadLetter], total: int) -> None:
    """The first documents of a step that could not be transformed, of `total` in all."""
    if not rows:
        return
    paper.blank()
    more = f", {number(total)} in all" if total > len(rows) else ""
    paper.words(Cell(text=f"Left as they were by: {printable(step)}{more}", style="bold yellow"))
    paper.rows(
        [
            (Cell(text=printable(row.key)), Cell(text=printable(row.field)), Cell(text=" ".join(lines_of(row.reason))))
            for row in rows
        ]
    )


def _run_row(run: RunSummary) -> tuple[Cell, ...]:
    failed = lines_of(run.error)[:1]
    return (
        Cell(text=run.started),
        Cell(text=run.id, style="bold"),
        Cell(text=printable(run.operation)),
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
    told = failed[0] if failed else figures_words(step.figures)
    if step.progress is not None and step.result in ("running", "interrupted"):
        reached = standing_of(step.progress).line
        told = f"{told}; at {reached}" if told else f"at {reached}"
    return (
        Cell(text=step.result, style=STYLES.get(step.result, "")),
        Cell(text=printable(step.summary)),
        Cell(text=stopwatch(step.seconds) if step.result != "running" else "", style="dim"),
        Cell(text=told, style="red" if failed else "dim"),
    )


def standing_of(progress: StepProgress) -> Standing:
    """How far a step is, as its report tells it."""
    return Standing(**{field.name: getattr(progress, field.name) for field in fields(Standing)})


def _comparison_rows(comparison: Comparison) -> list[tuple[Cell, ...]]:
    names = [name for name in COMPARED if name in comparison.estimated]
    if not any(name in comparison.actual for name in names):
        return []
    return [
        (
            Cell(text=printable(comparison.index) if name == names[0] else "", style="bold"),
            Cell(text=COMPARED[name]),
            Cell(text=_quantity(name, comparison.estimated[name]), style="dim"),
            Cell(text=_quantity(name, comparison.actual[name]) if name in comparison.actual else "not measured"),
        )
        for name in names
    ]


def _quantity(name: str, value: float) -> str:
    if "bytes" in name:
        return size(round(value))
    return stopwatch(value) if "seconds" in name else number(round(value))
