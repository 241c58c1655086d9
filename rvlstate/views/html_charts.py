"""Drawings over time: bars on a common axis, and curves. Widths are shares, so that they fit any screen unscaled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rvlstate.views.html_elements import Html, element
from rvlstate.views.quantities import span

LEAST_SHARE = 0.4
"""Percent of the width that the shortest bar has: it is to be seen."""

TICKS = 4
BAR_HEIGHT = 18
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time in seconds; `tone` is its class."""

    start: float
    end: float
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A value at a time in seconds; `held` if the run was held back then."""

    at: float
    value: float
    held: bool = False


def bars(found: Iterable[Bar], held: Iterable[Bar], whole: float, label: str) -> Html:
    """Bars in one line, and below them a thin one where the run was held back; `label` says it in words."""
    return element(
        "svg",
        element("rect", x=0, y=3, width="100%", height=BAR_HEIGHT - 6, rx=2, class_="track"),
        *(_bar(bar, whole, y=3, height=BAR_HEIGHT - 6) for bar in found),
        *(_bar(bar, whole, y=BAR_HEIGHT - 3, height=3) for bar in held),
        class_="bars",
        role="img",
        aria_label=label,
    )


def axis(start: float, end: float, whole: float) -> Html:
    """The times below bars or curves, told as befits a run that took `whole`."""
    ticks = [start + (end - start) * part / TICKS for part in range(TICKS + 1)]
    exact = end - start < 2 * TICKS  # seconds; two ticks would have the same name
    shown = (element("span", clock(at, whole, tenths=exact)) for at in ticks)
    return element("div", *shown, class_="axis", aria_hidden="true")


def plot(samples: Sequence[Sample], *, whole: float, label: str, unit: Callable[[float], str]) -> Html:
    """A curve over an area from zero, with bands where the run was held back. At least two samples."""
    start, end = samples[0].at, samples[-1].at
    top = ceiling(max(sample.value for sample in samples))
    points = [(_share(sample.at - start, end - start), 100 - 100 * sample.value / top) for sample in samples]
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    area = f"M{points[0][0]:.2f},100 L{line} L{points[-1][0]:.2f},100 Z"
    drawn = element(
        "svg",
        *(
            element("rect", x=x, y=0, width=max(width, 0.5), height=100, class_="band")
            for x, width in _bands(samples, start, end)
        ),
        *(
            element("line", x1=0, y1=y, x2=100, y2=y, class_="grid", vector_effect="non-scaling-stroke")
            for y in (0, 50)
        ),
        element("path", d=area, class_="area"),
        element("polyline", points=line, class_="curve", vector_effect="non-scaling-stroke"),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    scale = element(
        "div", *(element("span", unit(value)) for value in (top, top / 2, 0.0)), class_="scale", aria_hidden="true"
    )
    return element("div", scale, drawn, axis(start, end, whole), class_="plot")


def ceiling(value: float) -> float:
    """The next round number from a value on, so that an axis ends at something that can be read."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * 0.999)


def clock(seconds: float, whole: float, *, tenths: bool = False) -> str:
    """A time on an axis that is so long: `0.04 s`, `0.4 s`, `12 s`, `3:05`, `2:10:00`; with `tenths` also `3:05.5`."""
    if whole < 10:  # noqa: PLR2004 - seconds below which tenths are told
        return f"{seconds:.1f} s" if whole >= 1 else f"{seconds:.2f} s"
    told, tenth = divmod(round(seconds * 10), 10) if tenths else (round(seconds), 0)
    point = f".{tenth}" if tenths else ""
    if whole < 120:  # noqa: PLR2004 - seconds
        return f"{told}{point} s"
    hours, rest = divmod(told, 3600)
    minutes, left = divmod(rest, 60)
    hour = f"{hours}:{minutes:02}" if whole >= 3600 else f"{minutes}"  # noqa: PLR2004 - an hour
    return f"{hour}:{left:02}{point}"


def key(entries: Iterable[tuple[str, str]]) -> Html:
    """What the colours mean: class and words."""
    rows = [
        element(
            "span",
            element("svg", element("rect", width="100%", height="100%", rx=2, class_=tone), aria_hidden="true"),
            words,
        )
        for tone, words in entries
    ]
    return element("p", *rows, class_="key bars")


def lasted(start: float, end: float) -> str:
    """A stretch of time in words, for those who cannot see it."""
    return f"begins after {span(start)}, takes {span(end - start)}"


def _bar(bar: Bar, whole: float, *, y: int, height: int) -> Html:
    left = min(_share(bar.start, whole), 100 - LEAST_SHARE)
    width = min(max(_share(bar.end - bar.start, whole), LEAST_SHARE), 100 - left)
    return element("rect", x=f"{left:.2f}%", y=y, width=f"{width:.2f}%", height=height, rx=2, class_=bar.tone)


def _bands(samples: Sequence[Sample], start: float, end: float) -> list[tuple[float, float]]:
    """Where the run was held back, from share to width: each from the first sample that says so to the next without."""
    found = []
    for held, group in itertools.groupby(itertools.pairwise(samples), key=lambda pair: pair[0].held):
        pairs = list(group)
        if held:
            since, until = pairs[0][0].at, pairs[-1][1].at
            found.append((round(_share(since - start, end - start), 2), round(_share(until - since, end - start), 2)))
    return found


def _share(part: float, whole: float) -> float:
    """Percent, within bounds whatever a damaged journal says."""
    return min(max(100 * part / whole, 0.0), 100.0) if whole > 0 else 0.0
