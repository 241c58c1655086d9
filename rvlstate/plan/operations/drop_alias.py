"""Remove an alias that nothing declares any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Flow, look, send
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations.base import Defaults, shell_words


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAlias(Defaults):
    """FT.ALIASDEL `name`, while it still points to `physical`; an alias that moved elsewhere is left alone."""

    operation: Literal["drop_alias"] = "drop_alias"
    name: str
    physical: str
    gone: Literal["deleted", "renamed", "undeclared", "cut_over"] = "deleted"

    @property
    def summary(self) -> str:
        """What it does."""
        return f"remove alias {self.name}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return shell_words(("FT.ALIASADD", self.name, self.physical))

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """A name that stops answering needs an agreement; dropping the index behind it is a step of its own."""
        if self.gone in ("deleted", "cut_over"):
            return ()
        return (Hazard(code="DELETES_INDEX", message=f"the name {self.name} stops answering; its index stays."),)

    @property
    def commands(self) -> tuple[str, ...]:
        """One command."""
        return (shell_words(("FT.ALIASDEL", self.name)),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, "FT.ALIASDEL")

    def effect(self, catalog: Catalog) -> Catalog:
        """The alias is gone, unless it leads elsewhere by then."""
        points_here = catalog.targets.get(self.name) == self.physical
        return catalog.without_alias(self.name) if points_here else catalog

    def record(self, state: State) -> State:
        """A renamed name is not ours any more; a deleted one stays recorded until its index goes."""
        return state.without_record(self.name) if self.gone == "renamed" else state

    def flow(self) -> Flow:
        """Remove the alias if it is there and points where the plan saw it."""
        seen = yield from look(self.name)
        if seen is not None and seen.name == self.physical and seen.name != self.name:
            yield from send("FT.ALIASDEL", self.name)
