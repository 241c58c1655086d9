"""The commands of the model of phases: what makes sense when, and a run of one that may be ended or sabotaged."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from kill_matrix import take_lock_away
from kit import Shop
from phase_saboteur import KilledError, Saboteur, watched_pool

from rvlstate.errors import ChangeRefusedError, GateFailedError, UsageError
from rvlstate.model.rewrite import Phase
from rvlstate.project import Project
from rvlstate.runtime import connect
from rvlstate.runtime.admit import ApplyOptions

Command: TypeAlias = Literal["apply", "postpone", "cutover", "complete", "rollback"]
Outcome: TypeAlias = Literal["done", "kept", "killed", "refused", "gate"]

POSSIBLE: dict[Command, frozenset[Phase | None]] = {
    "apply": frozenset({None, "staging", "ready", "serving", "promoting"}),
    "postpone": frozenset({None, "staging", "ready", "serving", "promoting"}),
    "cutover": frozenset({"ready"}),
    "complete": frozenset({"serving", "promoting"}),
    "rollback": frozenset({"staging", "ready", "serving"}),
}
"""In which phase of a change a command does something; None: none is under way."""

WORDS = ("on", "on", "on", *POSSIBLE)
"""What is asked for: a command, or (on) the one that leads on from wherever the change is."""


class KeptError(Exception):
    """The run was ended where it only keeps the old index."""


def _keeping(event: Any) -> None:
    if getattr(event, "operation", "") == "keep_old":
        raise KeptError


def command_of(word: str, phase: Phase | None) -> Command:
    """The command that a word stands for in a phase."""
    if word != "on":
        return next(command for command in POSSIBLE if command == word)
    match phase:
        case "ready":
            return "cutover"
        case "serving" | "promoting":
            return "complete"
        case "staging" | None:
            return "apply"


def carried_out(shop: Shop, command: Command, saboteur: Saboteur) -> Outcome:
    """Run a command in this process, with a saboteur in its connections; how it ended. A lock that is left goes."""
    pool, connect.BytePool = connect.BytePool, watched_pool(saboteur)  # type: ignore[misc]
    try:
        with Project.load(shop.file, redis_url=shop.url) as project:
            _commanded(project, command)
    except KilledError:
        return "killed"
    except KeptError:
        return "kept"
    except (ChangeRefusedError, UsageError):
        return "refused"
    except GateFailedError:
        assert saboteur.act is not None, "a gate failed though nobody wrote meanwhile"
        return "gate"
    finally:
        connect.BytePool = pool  # type: ignore[misc]
        take_lock_away(shop)
    return "done"


def _commanded(project: Project, command: Command) -> None:
    options = ApplyOptions(allow=("CUTOVER_GAP",))
    match command:
        case "apply" | "postpone":
            project.apply(options=options, on_event=_keeping, postpone=command == "postpone")
        case "cutover":
            project.cutover("products", options=options, on_event=_keeping)
        case "complete":
            project.complete("products", options=options, on_event=_keeping)
        case "rollback":
            project.rollback("products", on_event=_keeping)
