"""Write down what serves a name; changes nothing on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.state import Record, State
from rvlstate.plan.effects import Flow
from rvlstate.plan.operations.base import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordIndex(Defaults):
    """Write `serves` into the state: an index taken into management, or one whose record is behind."""

    operation: Literal["record_index"] = "record_index"
    serves: Record

    @property
    def summary(self) -> str:
        """What it does."""
        return f"record {self.serves.physical} as {self.serves.name} in the state"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo on the server"

    @property
    def permissions(self) -> tuple[str, ...]:
        """No command on indexes."""
        return ()

    def record(self, state: State) -> State:
        """The record."""
        return state.served(self.serves)

    def flow(self) -> Flow:
        """Nothing is asked of the server."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetIndex(Defaults):
    """Remove the record of an index that is neither declared nor live any more."""

    operation: Literal["forget_index"] = "forget_index"
    name: str

    @property
    def summary(self) -> str:
        """What it does."""
        return f"forget {self.name} in the state"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo on the server"

    @property
    def permissions(self) -> tuple[str, ...]:
        """No command on indexes."""
        return ()

    def record(self, state: State) -> State:
        """No record."""
        return state.without_record(self.name)

    def flow(self) -> Flow:
        """Nothing is asked of the server."""
        yield from ()
