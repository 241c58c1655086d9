"""What a flow may ask of the world, and the small building blocks of flows. A flow does no I/O itself.

A flow is a generator: it yields an effect and is sent the answer. `CommandRefusedError` is thrown into it when the
server refuses a command. Any flow may be abandoned at any yield and started again from its beginning: it looks at what
is, and does only what is missing.

| effect  | answer                                                              |
|---------|---------------------------------------------------------------------|
| Look    | LiveIndex that answers to the name (itself or by alias), or None     |
| Gauge   | Memory: what the server uses and may use                            |
| Batch   | list of replies, one for each command, sent in one round trip        |
| Pause   | None, after some seconds                                             |
| Report  | None; progress for whoever watches                                   |
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rvlstate.model.catalog import LiveIndex


@dataclass(frozen=True, slots=True)
class Look:
    """Ask for the index that answers to a name."""

    name: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """Ask for the memory of the server (of its fullest node, on a cluster)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The answer to Gauge, in bytes; `limit` 0 means none."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Send commands in one round trip."""

    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Tell how far a step is: `done` of `total` (0 if unknown), a short note, and figures for the run report."""

    note: str
    done: int = 0
    total: int = 0
    figures: dict[str, float] = field(default_factory=dict)


Effect: TypeAlias = Look | Gauge | Batch | Pause | Report
Flow: TypeAlias = Generator[Effect, Any, None]
Asking: TypeAlias = Generator[Effect, Any, Any]


def look(name: str) -> Generator[Effect, Any, LiveIndex | None]:
    """The index that answers to `name`, or None."""
    answer: LiveIndex | None = yield Look(name)
    return answer


def send(*command: str) -> Generator[Effect, Any, Any]:
    """The reply to one command."""
    replies: list[Any] = yield Batch((command,))
    return replies[0]
