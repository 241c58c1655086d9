"""What a watch did, as text and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.views.paper import Cell, Paper
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.watching import Watched


def write_watched(paper: Paper, watched: Watched) -> None:
    """The summary at its end."""
    parts = [f"{count(watched.converted, 'late write')} brought into the new layout"]
    parts += [f"{count(watched.removed, 'copy', 'copies')} removed"] if watched.removed else []
    parts += [f"{count(watched.bad, 'document')} left that cannot be transformed"] if watched.bad else []
    paper.line(
        Cell(text=f"Watched {printable(watched.name)}: {count(watched.passes, 'pass', 'passes')}", style="bold"),
        f", {', '.join(parts)}  (stopped by {printable(watched.ended)})",
    )


def watched_data(watched: Watched) -> dict[str, Any]:
    """The same as JSON-like data."""
    return asdict(watched)
