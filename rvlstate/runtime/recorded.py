"""What the record of a project says before anything is compared with it: nothing at all, or of a run cut short."""

from __future__ import annotations

from collections.abc import Sequence

from rvlstate.errors import StateError
from rvlstate.model.state import State
from rvlstate.plan.standing import Standing
from rvlstate.runtime.run_report import RunSummary


def nothing_recorded(project: str) -> StateError:
    """The error for a project without a state: it cannot be told from one whose server lost everything."""
    return StateError(
        "nothing was ever applied here, or the server lost all of it",
        where=project,
        why="There is no recorded state on this server, so there is nothing to compare it with.",
        next_step="check that this is the right server; rvlstate plan shows what it lacks.",
    )


def interrupted_words(run: RunSummary | None, state: State, standings: Sequence[Standing] = ()) -> str:
    """What to say of the run that was cut short last, "" if there is none that is to be gone on with."""
    if run is None or state.run is None or state.run.finished:
        return ""
    told = f"{an_operation(run)} was interrupted (run {run.id}, started {run.started})"
    return f"{told}: {how_to_go_on(run, state, standings)}"


def an_operation(run: RunSummary) -> str:
    """`an apply`, `a cutover`, `rvlstate complete`."""
    return {"apply": "an apply", "cutover": "a cutover", "rollback": "a rollback"}.get(
        run.operation, f"rvlstate {run.operation}"
    )


def how_to_go_on(run: RunSummary, state: State, standings: Sequence[Standing]) -> str:
    """The commands that go on with the work of a run that did not come to its end, or take it back."""
    match run.operation:
        case "apply":
            others = [one for one in standings if any(command.words[0] != "apply" for command in one.commands)]
            or_else = f" Or, for {commands_of(others)}." if others else ""
            return f"run rvlstate apply, it goes on where that stopped.{or_else}"
        case "rollback":
            begun = [f"rvlstate rollback {rewrite.name}" for rewrite in state.rewrites]
            return f"{' or '.join(begun)} goes on with it." if begun else "rvlstate plan shows what is left."
        case _:
            return f"next, for {commands_of(standings)}." if standings else "rvlstate plan shows what is left."


def waiting_words(standings: Sequence[Standing]) -> str:
    """What the changes in phases wait for, in one line; "" if there are none."""
    return f"changes are under way: {commands_of(standings)}." if standings else ""


def commands_of(standings: Sequence[Standing]) -> str:
    """`products: rvlstate complete products or rvlstate rollback products` for each change, or where it stands."""
    return "; ".join(
        f"{one.name}: {' or '.join(command.text for command in one.commands) or one.summary}" for one in standings
    )
