"""Events as JSON: one object for each, with names that scripts can rely on."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from rvlstate.events import Event

_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def event_name(kind: type) -> str:
    """`step_finished` for StepFinished."""
    return _INNER_CAPITAL.sub("_", kind.__name__).lower()


def event_data(event: Event, at: str) -> dict[str, Any]:
    """An event as JSON-like data; `at` is the time in ISO 8601."""
    return {"event": event_name(type(event)), "time": at, **asdict(event)}


def event_line(event: Event, at: str) -> str:
    """An event as one line of JSON."""
    return json.dumps(event_data(event, at), ensure_ascii=True) + "\n"
