"""What a run tells while it goes on: typed values, rendered elsewhere (progress on a terminal, JSON lines in CI)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class LockAwaited:
    """Another run holds the lock; `holder` describes it."""

    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins; `resumes` is the id of the interrupted run that it goes on with, "" if none."""

    run: str
    project: str
    plan: str
    steps: int
    resumes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """Step `number` of `total` begins."""

    step: str
    index: str
    operation: str
    summary: str
    number: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgressed:
    """How far a step is: `done` of `total` (0 if unknown), how fast, for how long still, and why it is slow.

    `documents_per_second` is smoothed over some seconds, 0 if unknown; `eta_seconds` is None while nobody can tell;
    `why` is "" for a step that nothing slows down. A step may have several phases.
    """

    step: str
    note: str
    done: int = 0
    total: int = 0
    phase: str = ""
    documents_per_second: float = 0.0
    eta_seconds: float | None = None
    why: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """A step is done, after `seconds`."""

    step: str
    seconds: float
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step failed; `cleanup` says what was removed again, "" if nothing was.

    `failed_checks` counts those of the project's own checks that failed.
    """

    step: str
    error: str
    cleanup: str = ""
    failed_checks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped:
    """A step was not tried, because one that it needs failed."""

    step: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRetried:
    """A command is tried again after a connection was lost."""

    step: str
    reason: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaNotAwaited:
    """A replica is not waited for, since it cannot be asked or will not build the index; `text` says which and why."""

    step: str
    replica: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReceived:
    """Somebody paused, resumed, throttled or aborted the run from elsewhere; `text` says what holds now."""

    order: str
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run ended: done, failed or interrupted."""

    run: str
    result: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStarted:
    """A watch begins; `mode` is stage (copies are kept up to date), write (documents are converted) or wait."""

    index: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWritesFound:
    """A pass of a watch found something: documents `converted`, copies `removed`; `bad` cannot be transformed."""

    index: str
    converted: int
    removed: int
    bad: int
    seconds: float


Event: TypeAlias = (
    LockAwaited
    | RunStarted
    | StepStarted
    | StepProgressed
    | StepFinished
    | StepFailed
    | StepSkipped
    | CommandRetried
    | ReplicaNotAwaited
    | OrderReceived
    | RunFinished
    | WatchStarted
    | LateWritesFound
)
OnEvent: TypeAlias = Callable[[Event], None]
