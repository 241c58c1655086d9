"""What is recorded about a run, as values: its summary, its steps, and the events that it told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, cast

from rvlstate.runtime.clock import iso_utc

FinalResult: TypeAlias = Literal["done", "failed", "interrupted"]
RunResult: TypeAlias = Literal["running", "done", "failed", "interrupted"]
StepResult: TypeAlias = Literal["running", "done", "failed", "interrupted"]


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
class StepReport:
    """One step of a run; `figures` holds what was counted and measured, such as `documents`."""

    id: str
    summary: str
    index: str
    started: str
    seconds: float
    result: StepResult
    error: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run with its steps in the order in which they began."""

    run: RunSummary
    steps: tuple[StepReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-like data: the summary with a list of steps."""
        return {**self.run.to_dict(), "steps": [asdict(step) for step in self.steps]}


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
    return tuple(_parse_step(step_id, attributes) for step_id, attributes in ordered)


def parse_event(event_id: str, fields: Mapping[str, str]) -> Event:
    """An event from an entry of the stream."""
    return Event(
        id=event_id,
        at=iso_utc(_number(event_id.partition("-")[0])),
        run=fields.get("run", ""),
        kind=fields.get("event", ""),
        data={name: value for name, value in fields.items() if name not in ("run", "event")},
    )


def _parse_step(step_id: str, attributes: Mapping[str, str]) -> StepReport:
    started, finished = _number(attributes.get("started")), _number(attributes.get("finished"))
    return StepReport(
        id=step_id,
        started=iso_utc(started),
        seconds=_seconds(started, finished),
        result=cast("StepResult", attributes.get("result", "running")),
        figures=json.loads(attributes.get("figures", "{}")),
        **{name: attributes.get(name, "") for name in ("summary", "index", "error")},
    )


def _seconds(started: int, finished: int) -> float:
    return max(0, finished - started) / 1000 if finished else 0.0


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
