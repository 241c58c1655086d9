"""The recorded state as text and JSON."""

from __future__ import annotations

from typing import Any

from rvlstate.model.codec import dump_value
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record, State
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.quantities import count, number
from rvlstate.views.untrusted import printable
from rvlstate.views.values import show_value

EMPTY = "The state is empty: nothing was applied or imported yet."


def write_state(paper: Paper, state: State) -> None:
    """What is recorded, one managed index in a row."""
    if not state.lineage:
        paper.line(EMPTY)
        return
    paper.line(Cell(text=f"serial {state.serial}, lineage {printable(state.lineage)}", style="dim"))
    paper.blank()
    paper.rows([_record(record) for record in state.records])
    for intent in state.intents:
        text = f"begun or retired: {printable(intent.physical)} for {printable(intent.name)}"
        paper.line(Cell(text=f"  {text}", style="yellow"))
    for begun in state.rewrites:
        paper.line(Cell(text=f"  {printable(_under_way(begun))}", style="yellow"))
    if state.run is not None and not state.run.finished:
        paper.blank()
        run = state.run
        paper.line(
            Cell(text="Unfinished run", style="bold yellow"), f": {run.id} of {printable(run.who)}, {run.started}"
        )


def _under_way(begun: Rewrite) -> str:
    """One line about a change that is not complete."""
    told = f"under way: {begun.id} of {begun.name}"
    if not begun.is_lost:
        return f"{told}, {begun.strategy}{f', {begun.phase}' if begun.phased else ''}"
    return f"{told}, found by what it left; rvlstate status says what can be done about it"


def state_data(state: State) -> dict[str, Any]:
    """The state as JSON-like data."""
    data: dict[str, Any] = dump_value(state)
    return data


def _record(record: Record) -> tuple[Cell, ...]:
    definition = record.definition
    parts = [
        f"needs {', '.join(record.depends_on)}" if record.depends_on else "",
        f"also called {', '.join(record.aliases)}" if record.aliases else "",
        f"last build {number(round(record.build_rate))} documents/s" if record.build_rate else "",
        *(f"{field}: value = integer x {scale:.6g}" for field, scale in record.scales),
    ]
    return (
        Cell(text=printable(record.name), style="bold"),
        Cell(text=printable(record.physical)),
        Cell(text=f"{definition.storage} {show_value(definition.prefixes)}"),
        Cell(text=count(len(definition.fields), "field")),
        Cell(text=printable("; ".join(part for part in parts if part)), style="dim"),
    )
