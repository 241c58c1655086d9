"""When the steps of a run were at work, and how fast: bars on one axis, then a plot for each step that was measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rvlstate.views.html_charts import Bar, Sample, axis, bars, key, lasted, plot
from rvlstate.views.html_elements import Html, element
from rvlstate.views.quantities import number, stopwatch
from rvlstate.views.run_points import Point

if TYPE_CHECKING:
    from rvlstate.runtime.run_report import StepReport

LEAST_POINTS = 3
NOTHING_TO_PLOT = (
    "Nothing to plot: steps that go through documents are measured about once a second, and this run had none that "
    "took long enough, or what it told is no longer kept (the stream holds the last 10,000 notes of all runs)."
)


def gantt(steps: Sequence[StepReport], points: Mapping[str, list[Point]], whole: float) -> Html:
    """A bar for each step on the axis of the run, with its phases told apart."""
    rows = [_row(step, points.get(step.id, []), whole) for step in steps]
    legend = [("bar", "at work"), ("held", "held back or paused")]
    legend += [("bar failed", "failed")] if any(step.result == "failed" for step in steps) else []
    return element("div", element("ol", *rows), axis(0.0, whole, whole), key(legend), class_="timeline")


def plots(steps: Sequence[StepReport], points: Mapping[str, list[Point]], whole: float) -> list[Html]:
    """For each step documents a second, and how late the server answered meanwhile, as far as they are known."""
    found = []
    for step in steps:
        mine = points.get(step.id, [])
        if len(mine) < LEAST_POINTS:
            continue
        rates = [
            Sample(at=point.at, value=point.documents_per_second, held=bool(point.why))
            for point in mine
            if point.documents_per_second > 0  # 0 says that it is not known yet
        ]
        latencies = [
            Sample(at=point.at, value=point.latency_ms, held=bool(point.why))
            for point in mine
            if point.latency_ms is not None
        ]
        found += _figure(step, "documents a second", rates, _rate, whole)
        found += _figure(step, "milliseconds until the server answers a PING", latencies, _milliseconds, whole)
        found += [_reasons(mine)] if any(point.why for point in mine) else []
    return found or [element("p", NOTHING_TO_PLOT, class_="quiet")]


def _row(step: StepReport, points: list[Point], whole: float) -> Html:
    end = step.after + step.seconds if step.result != "running" else whole
    took = stopwatch(step.seconds) if step.result != "running" else "running"
    phases = _phases(points)
    about = f" ({', then '.join(point.phase for point in phases)})" if phases[1:] else ""
    return element(
        "li",
        element("div", element("span", f"{step.summary}{about}"), element("span", took), class_="what"),
        bars(_bars(step, points, end), _held(points, end), whole, f"{step.result}, {lasted(step.after, end)}"),
    )


def _bars(step: StepReport, points: list[Point], end: float) -> list[Bar]:
    """The whole step, cut where another phase began; every other phase is paler."""
    begins = [step.after]
    for point in _phases(points)[1:]:
        if begins[-1] < point.at < end:
            begins.append(point.at)
    tone = f"bar {step.result}" if step.result != "done" else "bar"
    ends = [*begins[1:], end]
    return [
        Bar(start=start, end=stop, tone=f"{tone}{' other' if place % 2 else ''}")
        for place, (start, stop) in enumerate(zip(begins, ends, strict=True))
    ]


def _phases(points: list[Point]) -> list[Point]:
    """The first point of each phase; one that names none is of the phase before it."""
    named = [point for point in points if point.phase]
    return [next(group) for _, group in itertools.groupby(named, key=lambda point: point.phase)]


def _held(points: list[Point], end: float) -> list[Bar]:
    """Where the step was held back, each time from the first point that says so to the first that does not."""
    found: list[Bar] = []
    since: float | None = None
    for point in points:
        if point.why and since is None:
            since = point.at
        elif not point.why and since is not None:
            found.append(Bar(start=since, end=point.at, tone="held"))
            since = None
    return found if since is None else [*found, Bar(start=since, end=max(end, since), tone="held")]


def _figure(
    step: StepReport, what: str, samples: list[Sample], unit: Callable[[float], str], whole: float
) -> list[Html]:
    if len(samples) < LEAST_POINTS:
        return []
    values = sorted(sample.value for sample in samples)
    told = f"median {unit(values[len(values) // 2])}, most {unit(values[-1])}"
    return [
        element(
            "figure",
            element("figcaption", element("b", step.summary), f": {what}, {told}"),
            plot(samples, whole=whole, label=f"{what}: {told}", unit=unit),
        )
    ]


def _reasons(points: list[Point]) -> Html:
    reasons = sorted({point.why for point in points if point.why})
    return element("p", f"Held back where the band is: {'; '.join(reasons)}.", class_="quiet")


def _rate(value: float) -> str:
    return number(round(value))


def _milliseconds(value: float) -> str:
    return f"{value:.2g} ms" if value < 10 else f"{value:,.0f} ms"  # noqa: PLR2004 - two digits
