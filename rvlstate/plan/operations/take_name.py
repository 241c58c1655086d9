"""Replace a physical index by an alias of its name: the cutover of a name that is still a physical index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.state import Record, State
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Batch, Flow, look, send
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations.base import Defaults, shell_words
from rvlstate.plan.operations.point_alias import confirm_answer

TAKE_NAME = """
local seen = redis.call('FT.INFO', ARGV[1])[2]
if type(seen) == 'table' then seen = seen.ok end
if seen ~= ARGV[1] then return seen end
redis.call('FT.DROPINDEX', ARGV[1])
redis.call('FT.ALIASADD', ARGV[1], ARGV[2])
return 'taken'
"""
"""Drops the index only while it is the physical one: FT.DROPINDEX follows aliases, and would drop the new index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeName(Defaults):
    """Drop the physical index `name` (never its documents) and make `name` an alias of `physical`.

    `serves` is the record of the declared index from then on. `atomic`: both in one script, so that every query finds
    one of the two; otherwise back to back (a cluster refuses FT.* in scripts), with a gap of some milliseconds.
    """

    operation: Literal["take_name"] = "take_name"
    name: str
    physical: str
    serves: Record
    atomic: bool = True

    @property
    def summary(self) -> str:
        """What it does."""
        return f"replace the index {self.name} by an alias -> {self.physical}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "git revert the change and apply: the old definition is built again under a new revision"

    @property
    def reversible(self) -> bool:
        """The physical name cannot be had back without a gap."""
        return False

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The name changes its nature; on a cluster there is a gap."""
        becomes = Hazard(
            code="NAME_BECOMES_ALIAS",
            message=f"{self.name} turns from a physical index into an alias of {self.physical}: "
            f"applications that call create() or FT.DROPINDEX on it must stop doing so.",
        )
        gap = Hazard(
            code="CUTOVER_GAP",
            message=f'{self.name} answers "no such index" for some milliseconds, between the drop and the alias.',
        )
        return (becomes,) if self.atomic else (becomes, gap)

    @property
    def commands(self) -> tuple[str, ...]:
        """The two commands; `(in one script)` where they are atomic."""
        together = " (in one script)" if self.atomic else ""
        drop = shell_words(("FT.DROPINDEX", self.name))
        return (drop + together, shell_words(("FT.ALIASADD", self.name, self.physical)) + together)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        script = ("EVAL",) if self.atomic else ()
        return (*INSPECTING, "FT.DROPINDEX", "FT.ALIASADD", "FT.ALIASUPDATE", *script)

    def effect(self, catalog: Catalog) -> Catalog:
        """The name is an alias now."""
        return catalog.without_index(self.name).with_alias(self.name, self.physical)

    def record(self, state: State) -> State:
        """The name is served by the new index."""
        return state.served(self.serves)

    def flow(self) -> Flow:
        """Do what is missing of drop and alias; the physical index is looked up right before it is dropped."""
        seen = yield from look(self.name)
        if seen is None or seen.name not in (self.name, self.physical):
            yield from send("FT.ALIASUPDATE", self.name, self.physical)
        elif seen.name == self.name and self.atomic:
            yield from send("EVAL", TAKE_NAME, "0", self.name, self.physical)
        elif seen.name == self.name:
            yield Batch((("FT.DROPINDEX", self.name), ("FT.ALIASUPDATE", self.name, self.physical)))
        yield from confirm_answer(self.name, self.physical)
