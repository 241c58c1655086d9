"""A run told in lines: what each event means for whoever reads along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rvlstate.events import (
    CommandRetried,
    Event,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    ReplicaNotAwaited,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
    StepStarted,
    WatchStarted,
)
from rvlstate.views.paper import Cell
from rvlstate.views.quantities import count, stopwatch
from rvlstate.views.untrusted import lines_of, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A step in its run: `3/9` and its summary."""

    position: str
    summary: str


@dataclass(slots=True, kw_only=True)
class Narrator:
    """Knows the steps that began; if `wordy`, it tells retries and the `commands` of each step as well."""

    wordy: bool = False
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def place(self, step: str) -> Place:
        """Where a step stands; a step that never began is known by its id."""
        return self.places.get(step, Place(position="", summary=printable(step)))

    def tell(self, event: Event) -> list[tuple[Cell, ...]]:
        """The lines for one event; the progress within a step has none."""
        match event:
            case LockAwaited():
                return [(Cell(text="waiting for the lock", style="yellow"),), *_indented(event.holder)]
            case RunStarted():
                return self._begin(event)
            case StepStarted():
                return self._begin_step(event)
            case StepFinished():
                note = f"  {printable(event.note)}" if event.note else ""
                return [(*self._head(event.step), Cell(text=f"  {stopwatch(event.seconds)}{note}", style="dim"))]
            case StepFailed():
                return [(*self._head(event.step), Cell(text="  failed", style="bold red")), *_cleanup(event)]
            case StepSkipped():
                because = self.place(event.because).summary
                return [
                    (*self._head(event.step), Cell(text=f"  skipped, because this failed: {because}", style="yellow"))
                ]
            case CommandRetried():
                return self._retry(event)
            case OrderReceived() | WatchStarted() | LateWritesFound() | ReplicaNotAwaited():
                return [(_sentence(event),)]
            case StepProgressed() | RunFinished():
                return []

    def _begin(self, event: RunStarted) -> list[tuple[Cell, ...]]:
        resumes = f", going on from the interrupted run {event.resumes}" if event.resumes else ""
        text = f"run {event.run} of project {printable(event.project)}: {count(event.steps, 'step')}{resumes}"
        return [(Cell(text=text, style="dim"),)]

    def _begin_step(self, event: StepStarted) -> list[tuple[Cell, ...]]:
        width = len(str(event.total))
        position = f"{event.number:>{width}}/{event.total}"
        self.places[event.step] = Place(position=position, summary=printable(event.summary))
        commands = self.commands.get(event.step, ()) if self.wordy else ()
        return [(Cell(text=f"{' ' * len(position)}  > {printable(command)}", style="cyan"),) for command in commands]

    def _head(self, step: str) -> tuple[Cell, Cell]:
        place = self.place(step)
        return Cell(text=f"{place.position}  " if place.position else "", style="dim"), Cell(text=place.summary)

    def _retry(self, event: CommandRetried) -> list[tuple[Cell, ...]]:
        if not self.wordy:
            return []
        reason = " ".join(lines_of(event.reason))
        return [(Cell(text=f"      again in {stopwatch(event.delay)}: {reason}", style="yellow"),)]


def _sentence(event: OrderReceived | WatchStarted | LateWritesFound | ReplicaNotAwaited) -> Cell:
    match event:
        case ReplicaNotAwaited():
            return Cell(text=f"warning: {printable(event.text)}", style="yellow")
        case OrderReceived():
            return Cell(text=printable(event.text), style="bold yellow")
        case WatchStarted():
            return Cell(text=_watching(event), style="dim")
        case LateWritesFound():
            return Cell(text=_found(event))


def _watching(event: WatchStarted) -> str:
    name = printable(event.index)
    match event.mode:
        case "stage":
            return f"watching {name}: its staged copies are kept up to date"
        case "write":
            return f"watching {name}: documents in the old layout are converted"
        case _:
            return f"watching {name}"


def _found(event: LateWritesFound) -> str:
    parts = [f"{count(event.converted, 'late write')} brought into the new layout"] if event.converted else []
    parts += [f"{count(event.removed, 'copy', 'copies')} removed"] if event.removed else []
    parts += [f"{count(event.bad, 'document')} cannot be transformed"] if event.bad else []
    return f"{printable(event.index)}: {', '.join(parts)}, in {stopwatch(event.seconds)}"


def _cleanup(event: StepFailed) -> list[tuple[Cell, ...]]:
    return _indented(event.cleanup) if event.cleanup else []


def _indented(text: str) -> list[tuple[Cell, ...]]:
    return [(Cell(text=f"    {line}", style="dim"),) for line in lines_of(text)]
