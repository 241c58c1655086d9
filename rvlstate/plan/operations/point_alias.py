"""Point an alias to a physical index: the cutover of a name that is an alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import GateFailedError
from rvlstate.model.catalog import Catalog
from rvlstate.model.state import Record, State
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Flow, look, send
from rvlstate.plan.operations.base import Defaults, shell_words


@dataclass(frozen=True, slots=True, kw_only=True)
class PointAlias(Defaults):
    """FT.ALIASUPDATE `name` to `physical`, which moves it from `before` (None if there was no alias) in one instant.

    `serves` is the record of the declared index from then on; None for a further alias of an index. `beside` is given
    for an alias of our own making: it is left alone where it leads to any other index than these.
    """

    operation: Literal["point_alias"] = "point_alias"
    name: str
    physical: str
    before: str | None = None
    serves: Record | None = None
    beside: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it does."""
        moved = f" (from {self.before})" if self.before else ""
        return f"alias {self.name} -> {self.physical}{moved}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        if self.before:
            return shell_words(("FT.ALIASUPDATE", self.name, self.before))
        return shell_words(("FT.ALIASDEL", self.name))

    @property
    def commands(self) -> tuple[str, ...]:
        """One command."""
        return (shell_words(("FT.ALIASUPDATE", self.name, self.physical)),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, "FT.ALIASUPDATE")

    def effect(self, catalog: Catalog) -> Catalog:
        """The name answers from the new index."""
        return catalog.with_alias(self.name, self.physical)

    def record(self, state: State) -> State:
        """The name is served by this index, defined just so."""
        return state.served(self.serves) if self.serves else state

    def flow(self) -> Flow:
        """Move the alias unless it is there already, then see that the name answers from the right index."""
        seen = yield from look(self.name)
        if self.beside and seen is not None and seen.name not in (*self.beside, self.physical):
            return
        if seen is not None and seen.name == self.name:
            raise name_taken(self.name, self.physical)
        if seen is None or seen.name != self.physical:
            yield from send("FT.ALIASUPDATE", self.name, self.physical)
        yield from confirm_answer(self.name, self.physical)


def confirm_answer(name: str, physical: str) -> Flow:
    """See that `name` answers from `physical`; GateFailedError if it does not."""
    seen = yield from look(name)
    if seen is None or seen.name != physical:
        raise (
            name_taken(name, physical)
            if seen is not None and seen.name == name
            else GateFailedError(
                f"{name} does not answer from {physical} after the cutover",
                why=f"It answers from {seen.name if seen else 'no index'}: somebody else moves this alias.",
                next_step="find out who does, then run apply again.",
            )
        )


def name_taken(name: str, physical: str) -> GateFailedError:
    """An index with the alias's own name hides it."""
    return GateFailedError(
        f"a physical index named {name} appeared and hides the alias",
        why=f"An application created it meanwhile, for instance with redisvl's create(); {physical} is not reached.",
        next_step="run plan again: it says how to get rid of it, and how the application should open the index.",
    )
