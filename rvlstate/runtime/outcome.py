"""How an apply came out: each step, each index, and the words for what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rvlstate.errors import CommandRefusedError, GateFailedError, InterruptedRunError, RvlstateError, StepFailedError
from rvlstate.model.state import State
from rvlstate.plan.operations import PointAlias, RecordIndex
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.plan import Step
from rvlstate.plan.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """How one step ended: done, failed, or skipped because one that it needs failed."""

    step: str
    index: str
    summary: str
    result: str
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an apply did; `result` is "done", or "nothing" when the plan was empty.

    `waits` are the changes in phases that are not at their end, of those that it was about; `late_writers` the indexes
    whose documents it brought into another layout, so that writers must use it from now on. `warnings` are sentences
    about what it could not see to.
    """

    run: str
    result: str
    steps: tuple[StepOutcome, ...] = ()
    seconds: float = 0.0
    plan_empty: bool = False
    waits: tuple[Standing, ...] = ()
    late_writers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def standings(steps: Sequence[Step], outcomes: Sequence[StepOutcome]) -> list[str]:
    """A line for each index that has steps: done, failed, or how far it got."""
    ended = {outcome.step: outcome for outcome in outcomes}
    return [f"{name}: {_standing(name, steps, ended)}" for name in sorted({step.index for step in steps})]


def _standing(name: str, steps: Sequence[Step], ended: dict[str, StepOutcome]) -> str:
    own = [step for step in steps if step.index == name]
    done = sum(1 for step in own if step.id in ended and ended[step.id].result == "done")
    failed = next((ended[step.id] for step in own if step.id in ended and ended[step.id].result == "failed"), None)
    if failed is not None:
        return f"failed at: {failed.summary} ({done} of {len(own)} steps done)"
    if done == len(own):
        return "done"
    following = next(step for step in own if step.id not in ended or ended[step.id].result != "done")
    return f"{done} of {len(own)} steps done; next: {following.operation.summary}"


def downtime(state: State, name: str, steps: Sequence[Step], outcomes: Sequence[StepOutcome]) -> str:
    """That nothing answers to a name, "" if something does: its index is being created again."""
    begun = state.rewrite(name)
    done = {outcome.step for outcome in outcomes if outcome.result == "done"}
    served = any(
        step.index == name and step.id in done and isinstance(step.operation, PointAlias | RecordIndex)
        for step in steps
    )
    record = state.record(name)
    led_there = record is not None and begun is not None and record.physical == begun.target != begun.physical
    if begun is not None and begun.strategy == "staged" and begun.phase == "staging":
        return f"The copies made so far are kept: apply goes on with them, rvlstate rollback {name} removes them"
    if begun is None or not begun.dropped or begun.settled or served or led_there:
        return ""
    return f"Search on {name} is down until an apply has come to its end, or rvlstate rollback {name}"


def downtimes(state: State, steps: Sequence[Step], outcomes: Sequence[StepOutcome]) -> list[str]:
    """A sentence for each index of the steps that nothing answers for."""
    told = [downtime(state, name, steps, outcomes) for name in sorted({step.index for step in steps})]
    return [f"{sentence}." for sentence in told if sentence]


def how_to_go_on(state: State, operation: str, name: str) -> str:
    """What to run after a command on one index that did not come to its end; a cutover is made once only."""
    begun = state.rewrite(name)
    if operation != "cutover" or begun is None or not is_cut_over(begun):
        return f"mend the cause if there is one, then run rvlstate {operation} {name}: it goes on from here."
    if begun.phase == "promoting":
        return f"the cutover is made: rvlstate complete {name} goes on from here."
    return (
        f"the cutover is made: rvlstate complete {name} gives {begun.physical} up and goes on, rvlstate apply goes on "
        f"keeping it for as long as declared, rvlstate rollback {name} leads back to it."
    )


def next_step_after(error: RvlstateError, state: State, operation: str, steps: Sequence[Step]) -> str:
    """What to do after a run that ended with an error: what the error says, unless where things stand says more."""
    # After a rollback apply would lead forward. Where a gate failed the index is gone, and apply builds it again.
    if operation == "rollback" or (operation != "apply" and not isinstance(error, GateFailedError)):
        (name,) = {step.index for step in steps}
        return how_to_go_on(state, operation, name)
    stopped = isinstance(error, InterruptedRunError)
    return (stopped and while_kept(state)) or error.next_step


def while_kept(state: State) -> str:
    """What to run after an apply that was stopped while it kept old indexes; "" if it kept none."""
    kept = [rewrite.name for rewrite in state.rewrites if rewrite.phased and rewrite.phase == "serving"]
    return " ".join(f"{name}: {how_to_go_on(state, 'cutover', name)}" for name in kept)


def positioned(error: RvlstateError, step: Step, position: str, cleanup: str) -> RvlstateError:
    """The error as it is told: which step, and what was removed again, or what does not answer."""
    removed = f"{cleanup}; what served before still serves." if cleanup.endswith("again") else f"{cleanup}."
    tail = f"\n{removed}" if cleanup else ""
    if isinstance(error, GateFailedError):
        return GateFailedError(
            error.what, why=f"{error.why}{tail}", next_step=error.next_step, failed_checks=error.failed_checks
        )
    return StepFailedError(
        step.operation.summary,
        why=f"{error.why or error.what}{tail}",
        next_step=error.next_step or "mend the cause, then run apply again: it goes on from here.",
        position=position,
    )


def was_created(error: RvlstateError) -> bool:
    """Whether FT.CREATE had succeeded when a creation failed: only the synonyms after it were refused."""
    return isinstance(error, CommandRefusedError) and error.command.startswith("FT.SYNUPDATE")
