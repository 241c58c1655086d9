"""What the record of a project says before anything is compared with it: nothing at all, or of a run cut short."""

from __future__ import annotations

from rvlstate.errors import StateError
from rvlstate.model.state import State
from rvlstate.runtime.run_report import RunSummary


def nothing_recorded(project: str) -> StateError:
    """The error for a project without a state: it cannot be told from one whose server lost everything."""
    return StateError(
        "nothing was ever applied here, or the server lost all of it",
        where=project,
        why="There is no recorded state on this server, so there is nothing to compare it with.",
        next_step="check that this is the right server; rvlstate plan shows what it lacks.",
    )


def interrupted_words(run: RunSummary | None, state: State) -> str:
    """What to say of the run that was cut short last, "" if there is none that is to be gone on with."""
    if run is None or state.run is None or state.run.finished:
        return ""
    return f"an apply was interrupted (run {run.id}, started {run.started}): run rvlstate apply, it goes on from there."
