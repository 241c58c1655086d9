"""What a run told while it went on, as points in time: how far each step was, how fast, and what held it back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rvlstate.runtime.run_report import Event, StepReport

PROGRESS = "step_progressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A step at a time in seconds since the run began; `latency_ms` None where nobody measured it."""

    step: str
    at: float
    phase: str
    done: int
    total: int
    documents_per_second: float
    why: str
    latency_ms: float | None


def points_of(events: Iterable[Event], steps: Iterable[StepReport]) -> dict[str, list[Point]]:
    """The points of each step, oldest first. What a damaged journal holds is left out."""
    told = list(events)
    begun = _begun(told, {step.id: step.after for step in steps})
    found: dict[str, list[Point]] = {}
    for event in told:
        if event.kind == PROGRESS:
            point = _point(event.data, (_milliseconds(event) - begun) / 1000)
            found.setdefault(point.step, []).append(point)
    return found


def _begun(events: list[Event], after: Mapping[str, float]) -> float:
    """When the run began, in milliseconds; a step tells it where the stream has lost the beginning of the run."""
    for event in events:
        if event.kind == "run_started":
            return _milliseconds(event)
        if event.kind == "step_running" and event.data.get("step") in after:
            return _milliseconds(event) - after[event.data["step"]] * 1000
    return _milliseconds(events[0]) if events else 0


def _milliseconds(event: Event) -> int:
    """The time of an event, which its id begins with."""
    digits = event.id.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _point(data: Mapping[str, str], at: float) -> Point:
    latency = data.get("latency_ms", "")
    return Point(
        step=data.get("step", ""),
        at=at,
        phase=data.get("phase", ""),
        done=int(_number(data.get("done"))),
        total=int(_number(data.get("total"))),
        documents_per_second=_number(data.get("documents_per_second")),
        why=data.get("why", ""),
        latency_ms=_number(latency) if latency else None,
    )


def _number(text: str | None) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
