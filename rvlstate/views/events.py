"""Events as JSON: one object for each, with names that scripts can rely on."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from rvlstate.events import (
    CommandRetried,
    Event,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    ReplicaNotAwaited,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
    StepStarted,
    WatchStarted,
)

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(slots=True)
class LogContext:
    """What every line of the log says beside its event: the project, and the run once one has begun; "" if unknown."""

    project: str = ""
    run: str = ""

    def note(self, event: Event) -> None:
        """Take note of the run that begins."""
        if isinstance(event, RunStarted):
            self.project, self.run = event.project, event.run

    def data(self, name: str, at: str, level: Level) -> dict[str, Any]:
        """What a line begins with; `at` is the time in ISO 8601."""
        return {"event": name, "time": at, "level": level, "project": self.project, "run": self.run}


def event_name(kind: type) -> str:
    """`step_finished` for StepFinished."""
    return _INNER_CAPITAL.sub("_", kind.__name__).lower()


def level_of(event: Event) -> Level:
    """How much an event matters to somebody who reads only what went wrong."""
    match event:
        case StepProgressed():
            return "debug"
        case StepFailed():
            return "error"
        case RunFinished():
            return "info" if event.result == "done" else "warning" if event.result == "interrupted" else "error"
        case LateWritesFound():
            return "warning" if event.bad else "info"
        case StepSkipped() | CommandRetried() | ReplicaNotAwaited():
            return "warning"
        case LockAwaited() | RunStarted() | StepStarted() | StepFinished() | OrderReceived() | WatchStarted():
            return "info"


def event_data(event: Event, at: str, context: LogContext | None = None) -> dict[str, Any]:
    """An event as JSON-like data; `at` is the time in ISO 8601."""
    known = context or LogContext()
    known.note(event)
    return {**known.data(event_name(type(event)), at, level_of(event)), **asdict(event)}


def event_line(event: Event, at: str, context: LogContext | None = None) -> str:
    """An event as one line of JSON."""
    return json.dumps(event_data(event, at, context), ensure_ascii=True) + "\n"
