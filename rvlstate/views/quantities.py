"""Quantities as a person reads them: counts, sizes and lengths of time."""

from __future__ import annotations

import re

_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_SPANS = ((86_400, "d", 48 * 3600), (3600, "h", 2 * 3600), (60, "min", 100))
"""Units of time with their length, and from how many seconds on a length is told in them."""

OLD_LAYOUT = "old_layout_failures"
"""The figure that sounds like an error and is none: what the server counted while documents had copies beside them."""

_MILLION = 1_000_000
_SHARE = re.compile(r"\b(overlap|recall)@\d+")


def number(value: int) -> str:
    """`1,234`, and from a million on `1.2M`."""
    return f"{value / _MILLION:,.1f}M" if value >= _MILLION else f"{value:,}"


def count(value: int, noun: str, plural: str = "") -> str:
    """`1 document`, `1,234 documents`, `1.2M documents`."""
    return f"{number(value)} {noun if value == 1 else plural or noun + 's'}"


def size(octets: int) -> str:
    """`512 B`, `1.5 MiB`, `12 GiB`."""
    for unit, name in _SIZES:
        if octets >= unit:
            value = octets / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"  # noqa: PLR2004 - two digits
    return f"{octets} B"


def measured(name: str, value: float) -> str:
    """A figure by its name, with its unit: `1.5 MiB read`, `3.2 s rewriting`, `5,000 documents`.

    The figure of a check has a name in words, which comes first: `embedding recall@10 after: 0.998`.
    """
    if not name.isidentifier():
        return f"{name}: {f'{value:.3f}' if _SHARE.search(name) else f'{value:,.10g}'}"
    if name == OLD_LAYOUT:
        times = count(round(value), "time")
        return f"the new index passed over documents in the old layout {times} (expected: they were converted since)"
    words = name.split("_")
    for unit, told in (("bytes", size(round(value))), ("seconds", stopwatch(value))):
        if unit in (words[0], words[-1]):
            return f"{told} {' '.join(word for word in words if word != unit)}".rstrip()
    return f"{value:,.10g} {' '.join(words)}"


def span(seconds: float) -> str:
    """`under 1 s`, `8 s`, `12 min`, `3 h`, `2 d`."""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    for length, unit, threshold in _SPANS:
        if whole >= threshold:
            return f"{round(whole / length)} {unit}"
    return f"{whole} s"


def about(seconds: float) -> str:
    """An estimated time: `under 1 s`, `about 8 s`."""
    return span(0) if seconds < 1 else f"about {span(seconds)}"


def stopwatch(seconds: float) -> str:
    """A measured time: `0.04 s`, `3.2 s`, `4 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    return f"{seconds:.1f} s" if seconds < 100 else span(seconds)  # noqa: PLR2004 - as in span


def estimate(name: str, value: float) -> str:
    """A figure that is set against another one, with its unit: a size, a time or a number, by its name."""
    if "bytes" in name:
        return size(round(value))
    return stopwatch(value) if "seconds" in name else number(round(value))
