"""Run a command of the user's around a cutover: before it, where a failure stops it, or after it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import GateFailedError
from rvlstate.plan.effects import Flow, HookEnded, Report, RunHook
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations.base import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCutoverHook(Defaults):
    """Run `argv` in the folder of the project; another exit code than 0 fails the step.

    `hook` tells when. `before` is the index that served the name before the cutover ("" if none did), `after` the one
    that does from then on. What may hold a secret is in `argv` as it is written in the project file: `${NAME}`.
    """

    operation: Literal["run_hook"] = "run_hook"
    name: str
    hook: Literal["before_cutover", "after_cutover"]
    argv: tuple[str, ...]
    before: str = ""
    after: str

    @property
    def summary(self) -> str:
        """What it does."""
        return f"run the hook {self._when} the cutover of {self.name}: {self._command}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "what the command did is its own affair"

    @property
    def reversible(self) -> bool:
        """Nobody here knows what the command did."""
        return False

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """Code of the user's own runs."""
        message = f"{self.name}: {self._when} the cutover, {self._command} is run in the folder of the project."
        return (Hazard(code="RUNS_USER_CODE", message=message),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """Nothing is asked of the server."""
        return ()

    def flow(self) -> Flow:
        """Run it to its end; it may be run again by a later run that goes on with this cutover."""
        ended: HookEnded = yield RunHook(
            index=self.name, hook=self.hook, argv=self.argv, before=self.before, after=self.after
        )
        if ended.problem or ended.code != 0:
            raise GateFailedError(
                f"the hook {self._when} the cutover of {self.name} failed: {_ending(ended)}",
                why="\n".join((f"It is: {self._command}", *_output(ended), self._standing)),
                next_step=self._next_step,
            )
        yield Report("it ended with exit code 0", figures={"hook_seconds": round(ended.seconds, 3)})

    @property
    def _when(self) -> str:
        return self.hook.partition("_")[0]

    @property
    def _command(self) -> str:
        return shlex.join(self.argv)

    @property
    def _standing(self) -> str:
        if self.hook == "after_cutover":
            return f"The cutover has been made: {self.name} answers from {self.after} already, and goes on to."
        serving = f"goes on to answer from {self.before}" if self.before else "answers nothing yet"
        return f"Nothing was moved: {self.name} {serving}."

    @property
    def _next_step(self) -> str:
        mend = f"mend that, or change indexes.{self.name}.hooks.{self.hook} in the project file, and run apply again."
        if self.hook == "before_cutover" or not self.before:
            return mend
        return f"to go back: rvlstate rollback {self.name}. Else, {mend}"


def _ending(ended: HookEnded) -> str:
    if ended.problem:
        return ended.problem
    return f"exit code {ended.code}" if ended.code > 0 else f"it was ended by signal {-ended.code}"


def _output(ended: HookEnded) -> tuple[str, ...]:
    if ended.problem:
        return ()
    return ("Its last lines:", *(f"  {line}" for line in ended.lines)) if ended.lines else ("It printed nothing.",)
