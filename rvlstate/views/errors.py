"""Errors as text and as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from rvlstate.errors import RvlstateError
from rvlstate.views.events import LogContext
from rvlstate.views.untrusted import lines_of

_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def error_text(error: RvlstateError) -> str:
    """`Error: what`, then why and what to do next, each line fit for a terminal."""
    return "".join(f"{line}\n" for line in lines_of(f"Error: {error}"))


def error_data(error: RvlstateError, at: str, context: LogContext | None = None) -> dict[str, Any]:
    """An error as JSON-like data: its kind, its parts, the exit code, and what the kind adds."""
    known = {"what", "where", "why", "next_step"}
    extra = {key: value for key, value in vars(error).items() if key not in known and _is_plain(value)}
    return {
        **(context or LogContext()).data("error", at, "error"),
        "error": error_name(type(error)),
        "what": _clean(error.what),
        "where": _clean(error.where),
        "why": _clean(error.why),
        "next": _clean(error.next_step),
        "exit_code": error.exit_code,
        **extra,
    }


def error_line(error: RvlstateError, at: str, context: LogContext | None = None) -> str:
    """An error as one line of JSON."""
    return json.dumps(error_data(error, at, context), ensure_ascii=True) + "\n"


def error_name(kind: type[RvlstateError]) -> str:
    """`hazards_not_allowed` for HazardsNotAllowedError."""
    return _INNER_CAPITAL.sub("_", kind.__name__.removesuffix("Error")).lower()


def _clean(text: str) -> str:
    return "\n".join(lines_of(text))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | tuple)
