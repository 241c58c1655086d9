"""Grants as JSON and in words: who a user is for, and what is lost without what is given apart."""

from __future__ import annotations

from collections.abc import Mapping

from rvlstate.plan.commands import OPTIONAL
from rvlstate.plan.grants import HINTING, Grant, Role

WORK: Mapping[Role, str] = {
    "plan": "plan, graph, drift, status, history, state show, state pull: reads, and writes nothing",
    "drift": "drift, status, history: reads, and writes nothing",
    "apply": "apply, cutover, complete, rollback, watch, import, state rebuild, unlock, pause, resume, throttle, "
    "abort, and all that the others may",
}


def grant_notes(grant: Grant) -> tuple[str, ...]:
    """What a person has to know beside the lines of a user."""
    notes = [f"{grant.user}: {WORK[grant.role]}."]
    if grant.further:
        notes.append(f"The second line may be left out: {OPTIONAL[HINTING[0]]} then.")
    return tuple(notes)


def grant_data(grant: Grant) -> dict[str, object]:
    """A grant as JSON; `optional` are the commands that are done without, with what is lost then."""
    further = HINTING if grant.further else ()
    return {
        "user": grant.user,
        "role": grant.role,
        "commands": list(grant.commands),
        "keys": list(grant.keys),
        "line": grant.line,
        "further_line": grant.further_line or None,
        "optional": {name: OPTIONAL[name] for name in (*grant.commands, *further) if name in OPTIONAL},
    }
