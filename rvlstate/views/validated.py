"""What an offline check looked at, as text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvlstate.model.desired import Desired
from rvlstate.model.secret import redact_url
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

CHECKED = (
    "keys and values of the project file and of every schema file",
    "every schema against redisvl's own parser",
    "names, prefixes, renames and aliases against each other",
    "depends_on, for circles",
    "hazards named in policy.allow",
)
ROWS_SHOWN = 40


def write_validated(paper: Paper, path: str, url: str, desired: Desired) -> None:
    """The project at a glance and what was checked."""
    paper.line(
        Cell(text=f"{printable(path)} is valid", style="bold green"),
        f": project {desired.project}, {count(len(desired.indexes), 'index', 'indexes')}, {printable(redact_url(url))}",
    )
    paper.rows(
        [
            (
                Cell(text=printable(index.name), style="bold"),
                Cell(text=f"{index.definition.storage}, {count(len(index.definition.fields), 'field')}"),
                Cell(text=printable(index.source), style="dim"),
            )
            for index in desired.indexes[:ROWS_SHOWN]
        ]
    )
    if len(desired.indexes) > ROWS_SHOWN:
        paper.line(Cell(text=f"  ... and {len(desired.indexes) - ROWS_SHOWN:,} more", style="dim"))
    paper.paragraph(f"{'; '.join(CHECKED)}. No server was asked.", style="dim", first="Checked: ", rest="  ")


def validated_data(path: str, url: str, desired: Desired, warnings: Sequence[str]) -> dict[str, Any]:
    """The same as JSON-like data."""
    return {
        "valid": True,
        "file": path,
        "project": desired.project,
        "redis_url": redact_url(url),
        "indexes": [
            {"name": index.name, "source": index.source, "fields": len(index.definition.fields)}
            for index in desired.indexes
        ],
        "checked": list(CHECKED),
        "warnings": list(warnings),
    }
