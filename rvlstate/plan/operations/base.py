"""What every operation can do; operations are values, one file each."""

from __future__ import annotations

from typing import Protocol

from rvlstate.model.catalog import Catalog
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Flow
from rvlstate.plan.hazards import Hazard


class Operation(Protocol):
    """One step's work: a value that says what it does, what it changes, how to undo it, and how it is carried out."""

    @property
    def operation(self) -> str:
        """The name of the operation, which is also that of its file and of its page in the docs."""

    @property
    def summary(self) -> str:
        """What it does, in a few words that a person reads in the plan."""

    @property
    def undo(self) -> str:
        """How to undo it, or why that is not possible."""

    @property
    def reversible(self) -> bool:
        """Whether `undo` restores what was before, search results included."""

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The consequences of this step."""

    @property
    def commands(self) -> tuple[str, ...]:
        """The Redis commands that change something, for people to read."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands that the flow sends, those in scripts and in what undoes a failure included."""

    def effect(self, catalog: Catalog) -> Catalog:
        """The catalog after this step."""

    def intend(self, state: State) -> State:
        """The state to be written before the first command is sent."""

    def record(self, state: State) -> State:
        """The state to be written when the step is done."""

    def flow(self) -> Flow:
        """Carry it out; may be started again at any time."""


class Defaults:
    """What most operations have in common: no hazard, nothing recorded, nothing changed."""

    __slots__ = ()

    @property
    def reversible(self) -> bool:
        """Whether `undo` restores what was before."""
        return True

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The consequences of this step."""
        return ()

    @property
    def commands(self) -> tuple[str, ...]:
        """The Redis commands that change something."""
        return ()

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands that the flow sends."""
        return INSPECTING

    def effect(self, catalog: Catalog) -> Catalog:
        """The catalog after this step."""
        return catalog

    def intend(self, state: State) -> State:
        """The state to be written before the first command is sent."""
        return state

    def record(self, state: State) -> State:
        """The state to be written when the step is done."""
        return state


def shell_words(arguments: tuple[str, ...]) -> str:
    """A command as one line that a person can paste into redis-cli."""
    return " ".join(_quoted(word) for word in arguments)


def _quoted(word: str) -> str:
    if word and all(char.isalnum() or char in "_-.:@$[]*{}/,<>=" for char in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
