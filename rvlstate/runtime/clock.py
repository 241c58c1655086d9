"""Instants: milliseconds since 1970, as Redis counts them, to and from ISO 8601 in UTC."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def iso_utc(milliseconds: int) -> str:
    """`2026-05-15T10:00:00Z`; "" for 0, which stands for "not yet"."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> int:
    """The instant that `iso_utc` or `now_iso` wrote; 0 for a text that is none."""
    try:
        return round(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp() * 1000)
    except ValueError:
        return 0


UNITS = ((86400, "d", 48 * 3600), (3600, "h", 2 * 3600), (60, "min", 100))
"""Units with their length, and from how many seconds on a length is told in them."""


def duration(seconds: float) -> str:
    """A length of time as a person says it: `8 s`, `12 min`, `3 h`, `2 d`."""
    whole = max(0, round(seconds))
    for length, unit, threshold in UNITS:
        if whole >= threshold:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def now_iso() -> str:
    """The present instant, to the second, as ISO 8601 in UTC."""
    return datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_ms() -> int:
    """The present instant in milliseconds since 1970."""
    return round(time.time() * 1000)
