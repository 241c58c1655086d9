"""Drop a physical index, never its documents, and never through an alias."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Flow, look, send
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations.base import Defaults, shell_words

DROP_INDEX = """
local seen = redis.call('FT.INFO', ARGV[1])[2]
if type(seen) == 'table' then seen = seen.ok end
if seen ~= ARGV[1] then return seen end
redis.call('FT.DROPINDEX', ARGV[1])
return 'dropped'
"""
"""FT.DROPINDEX follows aliases (measured): the script drops only while the name is that of the physical index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex(Defaults):
    """FT.DROPINDEX `physical` without DD; `because` is the reason: see `summary` for what each means.

    `forgets` names the record that goes with it, None for an index that no record names. `recreates` is the declared
    index that is without one until it is created again.
    """

    operation: Literal["drop_index"] = "drop_index"
    physical: str
    because: Literal["deleted", "replaced", "left_behind", "given_up", "in_the_way", "recreated"]
    forgets: str | None = None
    recreates: str | None = None
    atomic: bool = True

    @property
    def summary(self) -> str:
        """What it does."""
        reasons = {
            "deleted": "it is no longer declared",
            "replaced": "it was replaced",
            "left_behind": "an interrupted run left it behind",
            "given_up": "its change is taken back",
            "in_the_way": "it hides the alias of that name",
            "recreated": "it is created again",
        }
        return f"drop {self.physical} ({reasons[self.because]}; documents stay)"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "declare the definition again and apply: the index is built anew from the documents"

    @property
    def reversible(self) -> bool:
        """A dropped index must be built again."""
        return False

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """Dropping what serves queries needs an agreement; clearing up after ourselves does not."""
        if self.because == "deleted":
            name = self.forgets or self.physical
            message = f"{self.physical} is dropped: queries on {name} fail from then on. Its documents stay."
        elif self.because == "in_the_way":
            message = f"{self.physical}, which an application created, is dropped. Its documents stay."
        else:
            return ()
        return (Hazard(code="DELETES_INDEX", message=message),)

    @property
    def commands(self) -> tuple[str, ...]:
        """One command."""
        return (shell_words(("FT.DROPINDEX", self.physical)),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        script = ("EVAL",) if self.atomic else ()
        return (*INSPECTING, "FT.DROPINDEX", *script)

    def effect(self, catalog: Catalog) -> Catalog:
        """The index is gone, and its aliases with it."""
        return catalog.without_index(self.physical)

    def record(self, state: State) -> State:
        """Nothing of ours has that name any more."""
        without = state.without_intent(self.physical)
        begun = state.rewrite(self.recreates) if self.recreates else None
        if begun is not None:
            return without.with_rewrite(replace(begun, dropped=True))
        return without.without_record(self.forgets) if self.forgets else without

    def flow(self) -> Flow:
        """Drop it while it is the physical index of that very name."""
        seen = yield from look(self.physical)
        if seen is None or seen.name != self.physical:
            return
        if self.atomic:
            yield from send("EVAL", DROP_INDEX, "0", self.physical)
        else:
            yield from send("FT.DROPINDEX", self.physical)
