"""What is recorded about a run, as values: its summary, its steps, and the events that it told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any, Literal, TypeAlias, TypeVar, cast

from rvlstate.plan.plan import Impact
from rvlstate.runtime.clock import iso_utc

FinalResult: TypeAlias = Literal["done", "failed", "interrupted"]
RunResult: TypeAlias = Literal["running", "done", "failed", "interrupted"]
StepResult: TypeAlias = Literal["running", "done", "failed", "interrupted"]

Loaded = TypeVar("Loaded", dict[str, Any], list[Any])

SUMS = {
    "documents_written": "documents_written",
    "bytes_read": "bytes_read",
    "bytes_written": "bytes_written",
    "search_downtime_seconds": "search_downtime_seconds",
}
REHEARSES = "rehearse"
"""What the operations begin with that count what they would write."""

LEVELS = {
    "documents": "documents",
    "documents_seen": "documents",
    "documents_promoted": "documents_written",  # by a run that found the copies made
    "peak_memory_bytes": "peak_memory_bytes",
}
"""Figures of steps, and the estimate that each is to be set against: added up over steps, or the highest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run: whose it was, when, and how it ended; times are ISO 8601 in UTC, "" for not yet."""

    id: str
    operation: str
    plan_id: str
    who: str
    host: str
    pid: int
    ci_url: str
    version: str
    started: str
    finished: str
    seconds: float
    result: RunResult
    error: str
    steps_done: int
    steps_total: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-like data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """How far a step is; see events.StepProgressed."""

    note: str = ""
    done: int = 0
    total: int = 0
    phase: str = ""
    documents_per_second: float = 0.0
    eta_seconds: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A document that could not be transformed, and why. The key is as others chose it."""

    key: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the plan expected of an index, and what came: figures by name, sizes in bytes, times in seconds.

    A figure that was not measured is missing among the `actual` ones.
    """

    index: str
    estimated: Mapping[str, float]
    actual: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step of a run; `figures` holds what was counted and measured, such as `documents`.

    `after` is how many seconds after the run it began. `progress` is how far it was when that was last told, None if it
    never was; `bad_rows` are the first documents that could not be transformed.
    """

    id: str
    summary: str
    index: str
    started: str
    seconds: float
    result: StepResult
    error: str
    figures: Mapping[str, float] = field(default_factory=dict)
    operation: str = ""
    progress: StepProgress | None = None
    bad_rows: tuple[DeadLetter, ...] = ()
    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run with its steps in the order in which they began, and the estimates of its plan against what came."""

    run: RunSummary
    steps: tuple[StepReport, ...] = ()
    indexes: tuple[Comparison, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-like data: the summary with a list of steps and one of indexes."""
        steps, indexes = ([asdict(part) for part in parts] for parts in (self.steps, self.indexes))
        return {**self.run.to_dict(), "steps": steps, "indexes": indexes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a run told; `id` is its place in the stream."""

    id: str
    at: str
    run: str
    kind: str
    data: Mapping[str, str]


def parse_summary(run_id: str, fields: Mapping[str, str | None], lock_id: str) -> RunSummary:
    """A summary from the fields of a report; `lock_id` is the lock that is held now."""
    result = fields.get("result") or "failed"
    if result == "running" and fields.get("lock_id") != lock_id:
        result = "interrupted"
    numbers = {name: _number(fields.get(name)) for name in ("pid", "started", "finished", "steps_done", "steps_total")}
    return RunSummary(
        id=run_id,
        pid=numbers["pid"],
        started=iso_utc(numbers["started"]),
        finished=iso_utc(numbers["finished"]),
        seconds=_seconds(numbers["started"], numbers["finished"]),
        result=cast("RunResult", result),
        steps_done=numbers["steps_done"],
        steps_total=numbers["steps_total"],
        **{
            name: fields.get(name) or ""
            for name in ("operation", "plan_id", "who", "host", "ci_url", "version", "error")
        },
    )


def parse_steps(fields: Mapping[str, str]) -> tuple[StepReport, ...]:
    """The steps from the fields of a report, each of which is called `attribute:step id`."""
    steps: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        attribute, mark, step_id = name.partition(":")
        if mark:
            steps.setdefault(step_id, {})[attribute] = value
    ordered = sorted(steps.items(), key=lambda item: _number(item[1].get("order")))
    begun = _number(fields.get("started"))
    return tuple(_parse_step(step_id, attributes, begun) for step_id, attributes in ordered)


def estimate_figures(impact: Impact) -> dict[str, float]:
    """What a plan expects of an index, under the names by which it is compared; zeros and unknown figures left out."""
    figures: dict[str, float | None] = {
        "documents": impact.documents,
        "documents_written": impact.documents_written,
        "bytes_written": impact.bytes_written,
        "peak_memory_bytes": impact.peak_memory_bytes,
        "seconds": impact.estimated_seconds,
        "search_downtime_seconds": impact.search_downtime_seconds,
    }
    return {name: float(value) for name, value in figures.items() if value}


def parse_comparisons(fields: Mapping[str, str], steps: tuple[StepReport, ...]) -> tuple[Comparison, ...]:
    """The estimates in a report, each against what the steps of its index counted and measured."""
    estimates = _loaded(fields.get("estimates"), dict)
    return tuple(
        Comparison(
            index=name,
            estimated={figure: value for figure, value in sorted(figures.items()) if isinstance(value, int | float)},
            actual=_actual([step for step in steps if step.index == name]),
        )
        for name, figures in sorted(estimates.items())
        if isinstance(figures, dict)
    )


def parse_event(event_id: str, fields: Mapping[str, str]) -> Event:
    """An event from an entry of the stream."""
    return Event(
        id=event_id,
        at=iso_utc(_number(event_id.partition("-")[0])),
        run=fields.get("run", ""),
        kind=fields.get("event", ""),
        data={name: value for name, value in fields.items() if name not in ("run", "event")},
    )


def _parse_step(step_id: str, attributes: Mapping[str, str], begun: int) -> StepReport:
    started, finished = _number(attributes.get("started")), _number(attributes.get("finished"))
    return StepReport(
        id=step_id,
        started=iso_utc(started),
        after=max(started - begun, 0) / 1000 if started and begun else 0.0,
        seconds=_seconds(started, finished),
        result=cast("StepResult", attributes.get("result", "running")),
        figures=_loaded(attributes.get("figures"), dict),
        progress=_parse_progress(attributes.get("progress")),
        bad_rows=tuple(
            DeadLetter(**{name: str(row.get(name, "")) for name in ("key", "field", "reason")})
            for row in _loaded(attributes.get("bad_rows"), list)
            if isinstance(row, dict)
        ),
        **{name: attributes.get(name, "") for name in ("summary", "index", "operation", "error")},
    )


def _parse_progress(text: str | None) -> StepProgress | None:
    told = _loaded(text, dict)
    names = {name.name for name in dataclass_fields(StepProgress)}
    return StepProgress(**{name: value for name, value in told.items() if name in names}) if told else None


def _actual(steps: list[StepReport]) -> dict[str, float]:
    """What the steps of one index counted, under the names of the estimates: sums, but for levels the highest."""
    found: dict[str, float] = {}
    for step in steps:
        if step.result != "running":
            _add(found, "seconds", step.seconds)
        for name, value in step.figures.items():
            if name in SUMS and not step.operation.startswith(REHEARSES):
                _add(found, SUMS[name], value)
            elif name in LEVELS:
                found[LEVELS[name]] = max(found.get(LEVELS[name], 0.0), value)
    return {name: round(value, 3) for name, value in sorted(found.items())}


def _add(found: dict[str, float], name: str, value: float) -> None:
    found[name] = found.get(name, 0.0) + value


def _loaded(text: str | None, kind: type[Loaded]) -> Loaded:
    """A part of a report; one that was damaged by hand counts as empty, since a journal is a hint."""
    try:
        data = json.loads(text or "null")
    except ValueError:
        return kind()
    return data if isinstance(data, kind) else kind()


def _seconds(started: int, finished: int) -> float:
    return max(0, finished - started) / 1000 if finished else 0.0


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
