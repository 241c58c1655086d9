"""The driver: carries out the effects that a flow yields, and starts the flow again when a connection was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import redis
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rvlstate.errors import CommandRefusedError, PlannerBugError, ServerUnreachableError
from rvlstate.events import CommandRetried, OnEvent
from rvlstate.plan.effects import (
    BadRow,
    Batch,
    Effect,
    Flow,
    Gauge,
    HookEnded,
    Look,
    Memory,
    Pause,
    Probe,
    Recall,
    Report,
    Restore,
    RunHook,
    Sweep,
    Tally,
    Tidy,
)
from rvlstate.plan.replicas import Lag
from rvlstate.runtime.clock import iso_utc, now_ms
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.connect import command as queue_command
from rvlstate.runtime.fence import Fence, is_fenced
from rvlstate.runtime.hooks import HookRunner
from rvlstate.runtime.inspect import inspect_index
from rvlstate.runtime.meter import Meter
from rvlstate.runtime.replicas import Replicas
from rvlstate.runtime.server_errors import is_read_only, is_unavailable
from rvlstate.runtime.stop import StopRequest

if TYPE_CHECKING:
    from rvlstate.runtime.desk import Desk

ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a flow is started again after a lost connection: about 20 s in all, a failover's time."""

IN_SCRIPT = "ACL failure in script: "
"""What the server puts in front of a refused permission where a command came in a script, as it does behind a fence."""


@dataclass(slots=True)
class Told:
    """What a flow reported last, and the documents that it had to leave as they are."""

    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()
    meter: Meter = field(default_factory=Meter)


class Driver:
    """Runs flows against a connection; `guard` is asked before anything is written and raises if that must not be.

    `desk` answers what is asked about documents and checks; only flows about indexes alone can do without one. `fence`
    has the server itself refuse what a process sends that was frozen behind the guard; None where it cannot. `hooks`
    runs commands of the user's; flows without any need none. `replicas` are asked about builds; None: nobody is.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        guard: Callable[[], None],
        stop: StopRequest,
        on_event: OnEvent,
        desk: Desk | None = None,
        fence: Fence | None = None,
        hooks: HookRunner | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self._connection = connection
        self._desk = desk
        self._fence = fence
        self._hooks = hooks
        self._replicas = replicas
        self._guard = guard
        self._stop = stop
        self._on_event = on_event

    def drive(self, step: str, make_flow: Callable[[], Flow]) -> Told:
        """Run a flow to its end; what it told last is returned.

        A command whose reply was lost may have been carried out: the flow starts again and looks.
        Raises what the flow raises, CommandRefusedError, ServerUnreachableError, InterruptedRunError, LockLostError.
        """

        def tell(attempt: RetryCallState) -> None:
            error = attempt.outcome.exception() if attempt.outcome else None
            delay = attempt.next_action.sleep if attempt.next_action else 0.0
            self._on_event(CommandRetried(step=step, reason=str(error), delay=delay))

        retrying = Retrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
            before_sleep=tell,
            sleep=self._stop.pause,
            reraise=True,
        )
        try:
            return retrying(self._once, step, make_flow)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ServerUnreachableError(
                "the server cannot be reached any more",
                why=str(error),
                next_step="when it is back, run rvlstate apply: it goes on where this run stopped.",
            ) from error

    def _once(self, step: str, make_flow: Callable[[], Flow]) -> Told:
        flow, told = make_flow(), Told()
        try:
            effect = next(flow)
            while True:
                effect = self._advance(step, flow, effect, told)
        except StopIteration:
            return told
        finally:
            flow.close()

    def _advance(self, step: str, flow: Flow, effect: Effect, told: Told) -> Effect:
        """Carry out one effect and send its answer, or the server's refusal, into the flow."""
        try:
            answer = self._answer(step, effect, told)
        except CommandRefusedError as refusal:
            return flow.throw(refusal)
        return flow.send(answer)

    def _answer(self, step: str, effect: Effect, told: Told) -> Any:
        match effect:
            case Look(name):
                return inspect_index(self._connection, name)
            case Gauge():
                return self._fullest_node()
            case Lag():
                return self._replicas.behind(step, effect) if self._replicas else ()
            case Batch(commands):
                return self._send(commands)
            case Pause(seconds):
                self._stop.pause(seconds)
                self._guard()
            case Report(note, done, total, figures, left):
                told.note, told.figures = note or told.note, {**told.figures, **figures}
                documents = figures.get("documents") if left is None else 0.0
                event = told.meter.tell(
                    step, _until(note, left), done=done, total=total, documents=documents, figures=figures
                )
                self._on_event(event if left is None else replace(event, eta_seconds=round(left, 1)))
            case Sweep() | Tidy() | Probe() | Recall() | Restore():
                return self._asked(step, effect, told)
            case RunHook():
                return self._hooked(step, effect, told)
        return None

    def _asked(self, step: str, effect: Sweep | Tidy | Probe | Recall | Restore, told: Told) -> Any:
        """What the desk answers."""
        if self._desk is None:
            raise PlannerBugError("a flow about documents was started without what carries it out")
        match effect:
            case Sweep():
                tally: Tally = self._desk.sweep(step, effect)
                told.bad_rows = tally.bad_rows
                told.figures = {**told.figures, "peak_memory_bytes": float(self._desk.peak_memory_bytes)}
                return tally
            case Tidy():
                return self._desk.tidy(step, effect.rewrite)
            case Probe():
                return self._desk.probe(effect)
            case Recall():
                return self._desk.recall(effect.remembered)
            case Restore():
                return self._desk.restore(step, effect)

    def _hooked(self, step: str, effect: RunHook, told: Told) -> HookEnded:
        """How a command of the user's ended; every line that it prints is an event."""
        if self._hooks is None:
            raise PlannerBugError("a hook was to be run without what runs it")

        def tell(line: str) -> None:
            self._on_event(told.meter.tell(step, line, done=0, total=0, phase=effect.hook))

        return self._hooks.run(effect, tell)

    def _send(self, commands: tuple[tuple[str, ...], ...]) -> list[Any]:
        # Right before, also behind a fence: who lost the lock sends nothing. Without one (a cluster refuses FT.* in
        # scripts) this is all there is, and who is frozen just here can still send this batch after waking.
        self._guard()
        pipeline = self._connection.search.pipeline(transaction=False)
        for command in commands:
            queue_command(pipeline, *(self._fence.around(command) if self._fence else command))
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        for command, reply in zip(commands, replies, strict=True):
            if self._fence is not None and is_fenced(reply):
                raise self._fence.lost()
            if isinstance(reply, redis.ResponseError) and not _passes(reply):
                raise CommandRefusedError(_name(command), str(reply).removeprefix(IN_SCRIPT)) from reply
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _fullest_node(self) -> Memory:
        gauges = []
        for node in self._connection.node_clients():
            (memory,) = self._connection.ask([("INFO", "memory")], node)
            gauges.append(Memory(used=int(memory["used_memory"]), limit=int(memory.get("maxmemory", 0))))
        return max(gauges, key=lambda gauge: gauge.used / gauge.limit if gauge.limit else 0.0)


def _until(note: str, left: float | None) -> str:
    """A note with the time of day at which a wait is over."""
    return note if left is None else f"until {iso_utc(now_ms() + round(left * 1000))}; {note}"


def _name(command: tuple[str, ...]) -> str:
    """The command's name with its index, never a script's text."""
    if command[0] == "EVAL":
        return f"FT.DROPINDEX {command[3]} (in a script)"
    return " ".join(command[:2])


def _is_passing(error: BaseException) -> bool:
    """Whether the same may well work a moment later: the connection was lost, or the server is not ready."""
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | ServerUnreachableError):
        return True
    return isinstance(error, redis.ResponseError) and _passes(error)


def _passes(error: redis.ResponseError) -> bool:
    return is_unavailable(error) or is_read_only(error)
