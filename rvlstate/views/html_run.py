"""A run as a page: how it ended, when each step ran, how fast it was, what the gates found, and what was left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rvlstate.views.history import COMPARED, figures_words, standing_of
from rvlstate.views.html_charts import clock
from rvlstate.views.html_elements import Content, Html, element, joined, name
from rvlstate.views.html_page import figures, render_page, section
from rvlstate.views.html_tables import Column, table
from rvlstate.views.html_timeline import gantt, plots
from rvlstate.views.quantities import estimate, measured, number, size, stopwatch
from rvlstate.views.run_points import points_of
from rvlstate.views.untrusted import harmless, lines_of

if TYPE_CHECKING:
    from rvlstate.runtime.run_report import Comparison, Event, RunReport, RunSummary, StepReport

TONES = {"done": "good", "failed": "bad", "interrupted": "warn", "running": "accent"}
REHEARSES = "rehearse"
"""What the operations begin with that write nothing."""

BEFORE, AFTER = "documents_before", "documents"
"""What the check of a new index counts in the old one, and in the new one."""

STEP_COLUMNS = (
    Column(title="Step"),
    Column(title="Result"),
    Column(title="Began", number=True),
    Column(title="Took", number=True),
    Column(title="Counted and measured"),
)
GATE_COLUMNS = (Column(title="Figure"), Column(title="Value", number=True), Column(title="Step"))
LEFT_COLUMNS = (Column(title="Document"), Column(title="Field"), Column(title="Why"))
COMPARED_COLUMNS = (
    Column(title="Index"),
    Column(title="Figure"),
    Column(title="Estimated", number=True),
    Column(title="Came", number=True),
    Column(title="Of the estimate", number=True),
)


def render_run_page(report: RunReport, events: Sequence[Event] = (), *, project: str = "") -> str:
    """One run as one HTML file; `events` is what it told while it went on, as far as that is kept.

    `project` is the name of the project, "" if it is not to be told.
    """
    points = points_of(events, report.steps)
    whole = _whole(report)
    parts = [
        _error(report.run),
        section("Timeline", gantt(report.steps, points, whole)) if report.steps else None,
        section("Throughput and latency", *plots(report.steps, points, whole)) if report.steps else None,
        _gates(report.steps),
        _left(report.steps),
        _compared(report.indexes),
        _steps(report.steps, whole),
    ]
    return render_page(
        title=f"{report.run.operation} {report.run.id}",
        kind=f"rvlstate run of {project}" if project else "rvlstate run",
        head=_head(report),
        sections=[part for part in parts if part is not None],
        foot=_foot(report.run),
    )


def _head(report: RunReport) -> Html:
    run = report.run
    written = sum(round(comparison.actual.get("documents_written", 0)) for comparison in report.indexes)
    octets = sum(round(comparison.actual.get("bytes_written", 0)) for comparison in report.indexes)
    bad = _bad_documents(report.steps)
    who = f"By {run.who} on {run.host}, begun {run.started}" + (f", ended {run.finished}." if run.finished else ".")
    steps = f"{number(run.steps_done)} of {number(run.steps_total)}"
    pairs = [
        ("Result", run.result, TONES.get(run.result, "")),
        ("Took", stopwatch(run.seconds) if run.finished else "", ""),
        ("Steps done", steps, "" if run.steps_done >= run.steps_total else "warn"),
        ("Documents written", number(written) if written else "", ""),
        ("Written", size(octets) if octets else "", ""),
        ("Left as they were", number(bad) if bad else "", "warn"),
    ]
    title = element("h1", harmless(run.operation), " ", name(run.id))
    return joined(title, element("p", who, class_="quiet"), figures(pairs))


def _error(run: RunSummary) -> Html | None:
    lines = lines_of(run.error)
    if not lines:
        return None
    shown = element("pre", *(joined(line, Html("\n")) for line in lines))
    stopped = run.result == "interrupted"  # on request, which is no failure
    title, kind = ("Why it stopped", "warn") if stopped else ("What went wrong", "bad")
    return section(title, element("div", shown, class_="notices"), kind=kind)


def _gates(steps: Sequence[StepReport]) -> Html | None:
    """What the checks measured: those that are declared have names in words, see `quantities.measured`."""
    rows: list[list[Content]] = []
    for step in steps:
        if BEFORE in step.figures and AFTER in step.figures:
            found = f"{number(round(step.figures[BEFORE]))}, then {number(round(step.figures[AFTER]))}"
            rows.append(["documents before and after", found, step.summary])
        for figure, value in sorted(step.figures.items()):
            if not figure.isidentifier():
                rows.append([figure, measured(figure, value).removeprefix(f"{figure}: "), step.summary])
    return section("Gates", table("What the checks measured", GATE_COLUMNS, rows)) if rows else None


def _left(steps: Sequence[StepReport]) -> Html | None:
    parts = []
    seen = set()
    for step in steps:
        rows = [row for row in step.bad_rows if row not in seen]
        seen.update(rows)
        total = max(round(step.figures.get("documents_bad", 0)), len(rows))
        of_all = f", {number(len(rows))} of {number(total)}" if total > len(rows) else ""
        shown: list[list[Content]] = [[name(row.key), name(row.field), row.reason] for row in rows]
        parts += [table(f"{step.summary}{of_all}", LEFT_COLUMNS, shown)] if rows else []
    return section("Documents left as they were", *parts) if parts else None


def _compared(comparisons: Sequence[Comparison]) -> Html | None:
    rows = [row for comparison in comparisons for row in _compared_rows(comparison)]
    title = "Estimates and what came"
    return section(title, table("What the plan expected of each index", COMPARED_COLUMNS, rows)) if rows else None


def _compared_rows(comparison: Comparison) -> list[list[Content]]:
    found = [figure for figure in COMPARED if figure in comparison.estimated]
    if not any(figure in comparison.actual for figure in found):
        return []
    return [
        [
            name(comparison.index),
            COMPARED[figure],
            estimate(figure, comparison.estimated[figure]),
            estimate(figure, comparison.actual[figure]) if figure in comparison.actual else "not measured",
            _share(comparison.estimated[figure], comparison.actual.get(figure)),
        ]
        for figure in found
    ]


def _share(estimated: float, actual: float | None) -> str:
    return f"{actual / estimated:,.0%}" if actual is not None and estimated > 0 else ""


def _steps(steps: Sequence[StepReport], whole: float) -> Html | None:
    rows: list[list[Content]] = [
        [
            step.summary,
            element("span", step.result, class_=f"badge {TONES.get(step.result, '')}".rstrip()),
            clock(step.after, whole),
            stopwatch(step.seconds) if step.result != "running" else "",
            _told(step),
        ]
        for step in steps
    ]
    return section("Steps", table("Every step of the run", STEP_COLUMNS, rows)) if rows else None


def _told(step: StepReport) -> str:
    if failed := lines_of(step.error):
        return " ".join(failed)
    told = figures_words(step.figures)
    if step.progress is not None and step.result in ("running", "interrupted"):
        return "; at ".join(part for part in (told, standing_of(step.progress).line) if part)
    return told


def _whole(report: RunReport) -> float:
    """How long the run took, or has taken as far as its steps tell, in seconds."""
    return max([report.run.seconds, *(step.after + step.seconds for step in report.steps), 0.001])


def _bad_documents(steps: Sequence[StepReport]) -> int:
    """Documents that were left as they were: several steps on one index come upon the same ones."""
    found: dict[str, int] = {}
    for step in steps:
        if not step.operation.startswith(REHEARSES):
            found[step.index] = max(found.get(step.index, 0), round(step.figures.get("documents_bad", 0)))
    return sum(found.values())


def _foot(run: RunSummary) -> Html:
    facts = [("run", run.id), ("plan", run.plan_id), ("ci", run.ci_url), ("process", str(run.pid or ""))]
    return joined(
        element("p", f"rvlstate {run.version}"),
        element(
            "dl", *(element("div", element("dt", word), element("dd", name(text))) for word, text in facts if text)
        ),
    )
