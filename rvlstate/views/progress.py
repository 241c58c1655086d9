"""Progress of a run while it goes on: a live bar on a terminal, throttled lines elsewhere, or JSON lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from rvlstate.events import Event, OrderReceived, RunFinished, StepFailed, StepFinished, StepProgressed, StepStarted
from rvlstate.views.events import LogContext, event_line
from rvlstate.views.narration import Narrator
from rvlstate.views.paper import Cell
from rvlstate.views.progress_words import Standing
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from typing_extensions import Self

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_OBJECTS = 1.0
"""Progress in the JSON log: often enough for a dashboard; changes of the phase, and why it is slow, come at once."""

WORTH_A_SECOND_LINE = 1.0
"""Seconds from which on a step's end is told where its beginning was told already."""


class ProgressView(Protocol):
    """Shows events; a context manager that leaves the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, whatever happened."""


class _Plain:
    """A context manager with nothing to clean up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return


class SilentProgress(_Plain):
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        """Nothing."""


@dataclass(slots=True, kw_only=True)
class JsonProgress(_Plain):
    """One JSON object in a line for each event, but of a step's progress only what comes a second after the last."""

    write: Callable[[str], None]
    now: Callable[[], str]
    clock: Callable[[], float] = time.monotonic
    context: LogContext = field(default_factory=LogContext)
    _told: dict[str, tuple[float, str, str]] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Write one line."""
        if not isinstance(event, StepProgressed) or self._is_due(event):
            self.write(event_line(event, self.now(), self.context))

    def _is_due(self, event: StepProgressed) -> bool:
        before, now = self._told.get(event.step), self.clock()
        due = before is None or before[1:] != (event.phase, event.why) or now - before[0] >= SECONDS_BETWEEN_OBJECTS
        if due:
            self._told[event.step] = (now, event.phase, event.why)
        return due


@dataclass(slots=True, kw_only=True)
class LineProgress(_Plain):
    """Lines for a log: a step's beginning, how far it is every ten seconds, and its end if it took a while."""

    write: Callable[[str], None]
    clock: Callable[[], float]
    narrator: Narrator
    told_at: float = 0.0

    def __call__(self, event: Event) -> None:
        """Write the lines of one event."""
        lines = self.narrator.tell(event)
        if isinstance(event, StepStarted):
            place = self.narrator.place(event.step)
            self.told_at = self.clock()
            self._line(f"{place.position}  {place.summary}")
        elif isinstance(event, StepProgressed):
            self._progress(event)
        elif isinstance(event, StepFinished) and event.seconds < WORTH_A_SECOND_LINE:
            return
        for line in lines:
            self._line("".join(cell.text for cell in line))

    def _progress(self, event: StepProgressed) -> None:
        if self.clock() - self.told_at >= SECONDS_BETWEEN_LINES:
            self.told_at = self.clock()
            self._line(f"{self.narrator.place(event.step).position}      {standing(event).line}")

    def _line(self, text: str) -> None:
        self.write(f"{text.rstrip()}\n")


@dataclass(slots=True, kw_only=True)
class LiveProgress:
    """A bar for the step at work; steps that ended scroll by above it."""

    stream: TextIO
    narrator: Narrator
    color: bool = True
    _progress: Progress = field(init=False)
    _tasks: dict[str, TaskID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        console = Console(file=self.stream, no_color=not self.color, highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[position]}", markup=False, style="dim"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[share]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Move the bar, or let lines scroll by above it."""
        lines = self.narrator.tell(event)
        match event:
            case StepStarted():
                self._begin(event.step)
            case StepProgressed():
                self._move(event)
            case OrderReceived():
                for task in self._tasks.values():
                    self._progress.update(task, note=printable(event.text))
            case StepFinished() | StepFailed():
                self._end(event.step)
            case RunFinished():
                for step in list(self._tasks):
                    self._end(step)
            case _:
                pass
        for line in lines:
            self._progress.console.print(_text(line), soft_wrap=True)

    def _begin(self, step: str) -> None:
        place = self.narrator.place(step)
        self._tasks[step] = self._progress.add_task(
            place.summary, total=None, position=place.position, share="", pace="", note=""
        )

    def _move(self, event: StepProgressed) -> None:
        task = self._tasks.get(event.step)
        if task is not None:
            now = standing(event)
            self._progress.update(
                task,
                completed=event.done,
                total=event.total or None,
                share=f"{now.share:>4}" if now.share else "",
                pace=now.pace,
                note=now.told,
            )

    def _end(self, step: str) -> None:
        task = self._tasks.pop(step, None)
        if task is not None:
            self._progress.remove_task(task)


def standing(event: StepProgressed) -> Standing:
    """How far a step is, as the event tells it."""
    return Standing(**{name.name: getattr(event, name.name) for name in fields(Standing)})


def _text(line: tuple[Cell, ...]) -> Text:
    return Text.assemble(*((cell.text, cell.style) for cell in line))
