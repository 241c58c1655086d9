"""Apply: walk the steps of a plan under the lock; every step is a reconcile, so running again is resuming."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import redis

from rvlstate.errors import (
    CommandRefusedError,
    GateFailedError,
    InterruptedRunError,
    LockLostError,
    RvlstateError,
    ServerUnreachableError,
    StateError,
    StepFailedError,
)
from rvlstate.events import OnEvent, RunFinished, RunStarted, StepFailed, StepFinished, StepSkipped, StepStarted
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Run, State
from rvlstate.plan.operations import (
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropIndex,
    PointAlias,
    RecordIndex,
    VerifyIndex,
)
from rvlstate.plan.plan import Plan, Step
from rvlstate.runtime.clock import iso_utc, now_ms
from rvlstate.runtime.drive import Driver, Told
from rvlstate.runtime.identity import Identity
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.lessons import Lessons
from rvlstate.runtime.outcome import (
    Report,
    StepOutcome,
    downtime,
    downtimes,
    next_step_after,
    positioned,
    standings,
    was_created,
)
from rvlstate.runtime.run_report import FinalResult, estimate_figures
from rvlstate.runtime.state_store import StateStore
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.translate import refused_write
from rvlstate.runtime.unreachable import reachable


@dataclass(slots=True, kw_only=True)
class Execution:
    """One run through the steps of a plan; holds the lease, and writes the state after each step that changes it."""

    plan: Plan
    state: State
    store: StateStore
    journal: Journal
    lease: Lease
    driver: Driver
    stop: StopRequest
    on_event: OnEvent
    plan_id: str
    url: str
    run: str
    operation: str = "apply"
    outcomes: list[StepOutcome] = field(default_factory=list)
    failures: list[RvlstateError] = field(default_factory=list)
    lessons: Lessons = field(default_factory=Lessons)
    down_since: dict[str, float] = field(default_factory=dict)

    def carry_out(self, identity: Identity, allowed: tuple[str, ...]) -> Report:
        """Walk all steps. An index that fails stops what needs it; the rest is finished, then the failure is raised."""
        began, before = time.monotonic(), self.state.run
        resumes = before.id if before is not None and not before.finished else ""
        # The state comes first: a history without a state means that the state was lost.
        self._write(replace(self.state, run=self._opened(identity, allowed)))
        self.journal.start(
            self.run,
            operation=self.operation,
            lock_id=self.lease.id,
            identity=identity,
            plan_id=self.plan_id,
            steps=len(self.plan.steps),
            estimates={index.name: estimate_figures(index.impact) for index in self.plan.indexes},
        )
        self._tell_start(resumes)
        result: FinalResult = "interrupted"
        try:
            with reachable(self.url):
                for number, step in enumerate(self.plan.steps, start=1):
                    self._take(step, number)
            result = "failed" if self.failures else "done"
        except RvlstateError as error:
            stopped = isinstance(error, InterruptedRunError | LockLostError | ServerUnreachableError | StateError)
            result = "interrupted" if stopped else "failed"
            told = self._with_table(error)
            self._close(result, str(told))
            raise told from error
        finally:
            self.on_event(RunFinished(run=self.run, result=result, seconds=time.monotonic() - began))
        return self._ended(time.monotonic() - began)

    def _opened(self, identity: Identity, allowed: tuple[str, ...]) -> Run:
        return Run(
            id=self.run,
            plan_id=self.plan_id,
            desired_fingerprint=self.plan.desired_fingerprint,
            who=f"{identity.who}@{identity.host}",
            started=iso_utc(now_ms()),
            allowed=tuple(sorted(allowed)),
        )

    def _tell_start(self, resumes: str) -> None:
        self.on_event(
            RunStarted(
                run=self.run,
                project=self.plan.project,
                plan=self.plan.id,
                steps=len(self.plan.steps),
                resumes=resumes,
            )
        )

    def _ended(self, seconds: float) -> Report:
        if self.failures:
            error = self.failures[0]
            self._close("failed", str(error))
            raise self._with_table(error)
        if self.state.run is not None:
            self._write(replace(self.state, run=replace(self.state.run, finished=True)))
        self._close("done", "")
        return Report(run=self.run, result="done", steps=tuple(self.outcomes), seconds=round(seconds, 3))

    def _take(self, step: Step, number: int) -> None:
        """Carry out one step unless one that it needs failed."""
        lost = {outcome.step for outcome in self.outcomes if outcome.result != "done"}
        blocked_by = next((needed for needed in step.needs if needed in lost), None)
        if blocked_by is not None:
            self._note(step, "skipped", error=f"{blocked_by} did not succeed")
            self.on_event(StepSkipped(step=step.id, because=blocked_by))
            return
        self.stop.check()
        operation, total = step.operation, len(self.plan.steps)
        self.lease.describe_step(f"{operation.summary} ({number} of {total})")
        self.on_event(
            StepStarted(
                step=step.id,
                index=step.index,
                operation=operation.operation,
                summary=operation.summary,
                number=number,
                total=total,
            )
        )
        self.journal.step_started(
            self.run, step.id, summary=operation.summary, index=step.index, operation=operation.operation
        )
        began = time.monotonic()
        try:
            told = self._perform(step.id, operation)
        except (GateFailedError, StepFailedError, CommandRefusedError) as error:
            self._fail(step, number, error, time.monotonic() - began)
            return
        except RvlstateError as error:
            self._close_step(step.id, error)
            raise
        seconds = time.monotonic() - began
        self._measure_downtime(step, told, began)
        self._learn(step, told, seconds)
        self.journal.step_finished(self.run, step.id, "done", figures=told.figures, bad_rows=told.bad_rows)
        self._note(step, "done", seconds=seconds, figures=told.figures)
        self.on_event(StepFinished(step=step.id, seconds=round(seconds, 3), note=told.note, figures=told.figures))

    def _measure_downtime(self, step: Step, told: Told, began: float) -> None:
        """From the drop of an index that is created again until its name answers from the new one."""
        operation = step.operation
        if isinstance(operation, DropIndex) and operation.recreates:
            self.down_since[step.index] = began
        elif isinstance(operation, PointAlias | RecordIndex) and step.index in self.down_since:
            down = time.monotonic() - self.down_since.pop(step.index)
            told.figures = {**told.figures, "search_downtime_seconds": round(down, 3)}

    def _perform(self, step: str, operation: AnyOperation) -> Told:
        self._write(operation.intend(self.state))
        told = self.driver.drive(step, operation.flow)
        self._write(_stamped(operation.record(self.state)))
        return told

    def note_settled(self, rewrite: Rewrite) -> None:
        """Write down that nothing is left to do for a change of documents but to tidy up."""
        begun = self.state.rewrite(rewrite.name)
        if begun is not None and begun.id == rewrite.id:
            self._write(self.state.with_rewrite(replace(begun, settled=True)))

    def _fail(self, step: Step, number: int, error: RvlstateError, seconds: float) -> None:
        self.lease.check()  # who lost the lock sees what its successor does, and must not call that a failure
        cleanup = self._remove_unfinished(step, error)
        failure = positioned(
            error,
            step,
            f"{number} of {len(self.plan.steps)}",
            cleanup or downtime(self.state, step.index, self.plan.steps, self.outcomes),
        )
        self.failures.append(failure)
        self.journal.step_finished(self.run, step.id, "failed", error=str(failure))
        self._note(step, "failed", seconds=seconds, error=failure.what)
        checks = getattr(error, "failed_checks", 0)
        self.on_event(StepFailed(step=step.id, error=str(failure), cleanup=cleanup, failed_checks=checks))

    def _remove_unfinished(self, step: Step, error: RvlstateError) -> str:
        """Remove the index that was being built, from which nothing is served yet; "" if there is none."""
        operation = step.operation
        if isinstance(operation, CreateIndex) and not was_created(error):
            # Whatever has that name was not made by us: it must not be taken for ours later.
            self._write(self.state.without_intent(operation.physical))
            return ""
        if not isinstance(operation, CreateIndex | VerifyIndex | AwaitBuild) or not _is_disposable(operation):
            return ""
        atomic = "atomic_takeover" in self.plan.server.capabilities
        drop = DropIndex(physical=operation.physical, because="left_behind", atomic=atomic)
        self.driver.drive(step.id, drop.flow)
        self._write(drop.record(self.state))
        return f"{operation.physical} was removed again"

    def _learn(self, step: Step, told: Told, seconds: float) -> None:
        """Remember what was measured."""
        self.lessons.take(step, told.figures, seconds)
        record = self.state.record(step.index)
        if record is not None and (learned := self.lessons.applied(record)) != record:
            self._write(self.state.with_record(learned))

    def _write(self, state: State) -> None:
        if state != self.state:
            try:
                self.state = self.store.save(state, self.lease)
            except redis.ResponseError as error:
                raise refused_write(error) from error

    def _note(
        self, step: Step, result: str, *, seconds: float = 0.0, figures: dict[str, float] | None = None, error: str = ""
    ) -> None:
        self.outcomes.append(
            StepOutcome(
                step=step.id,
                index=step.index,
                summary=step.operation.summary,
                result=result,
                seconds=round(seconds, 3),
                figures=figures or {},
                error=error,
            )
        )

    def _close_step(self, step: str, error: RvlstateError) -> None:
        with suppress(redis.RedisError):  # the journal is a hint: it must not hide what went wrong
            self.journal.step_finished(self.run, step, "interrupted", error=str(error))

    def _close(self, result: FinalResult, error: str) -> None:
        """Write the end of the run down, if the server can still be reached."""
        with suppress(redis.RedisError):
            self.journal.finish(self.run, result, error=error)

    def _with_table(self, error: RvlstateError) -> RvlstateError:
        """The error with a line for each index that the plan had steps for."""
        error.next_step = next_step_after(error, self.state, self.operation, self.plan.steps)
        lines = standings(self.plan.steps, self.outcomes)
        if not self.failures and not isinstance(error, LockLostError):  # its successor may have come further
            lines += downtimes(self.state, self.plan.steps, self.outcomes)
        if len(lines) > 1 or not self.failures:
            error.why = "\n".join(line for line in (error.why, *lines) if line)
        return error


def _stamped(state: State) -> State:
    """The state with the time of a cutover that has just been made: from then on the old index is kept for a while."""
    for rewrite in state.rewrites:
        if rewrite.phase == "serving" and not rewrite.cutover_at:
            state = state.with_rewrite(replace(rewrite, cutover_at=now_ms()))
    return state


def _is_disposable(operation: CreateIndex | VerifyIndex | AwaitBuild) -> bool:
    """Whether nothing is served from the index of a failed step, so that it is removed."""
    match operation:
        case AwaitBuild():
            return operation.disposable
        case VerifyIndex():
            return not operation.after_cutover
        case CreateIndex():
            return True
