"""Create a physical index, with the synonyms that its predecessor had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import StepFailedError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Intent, State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Batch, Flow, look
from rvlstate.plan.operations.base import Defaults, shell_words
from rvlstate.plan.reading import looks_like

Synonyms = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex(Defaults):
    """FT.CREATE `physical`, then FT.SYNUPDATE for each group of synonyms; `name` is the declared index.

    `begins` is a change that goes through phases and begins with this step, None elsewhere.
    """

    operation: Literal["create_index"] = "create_index"
    name: str
    physical: str
    definition: IndexDefinition
    synonyms: Synonyms = ()
    begins: Rewrite | None = None

    @property
    def summary(self) -> str:
        """What it does."""
        return f"create {self.physical}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return f"FT.DROPINDEX {self.physical}"

    @property
    def commands(self) -> tuple[str, ...]:
        """FT.CREATE and the synonyms."""
        return tuple(shell_words(command) for command in self._all_commands())

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        extra = ("FT.SYNUPDATE",) if self.synonyms else ()
        return (*INSPECTING, "FT.CREATE", "FT.DROPINDEX", *extra)

    def effect(self, catalog: Catalog) -> Catalog:
        """The new index is there."""
        index = LiveIndex(name=self.physical, definition=mask(self.definition), synonyms=self.synonyms)
        return catalog.with_index(index)

    def intend(self, state: State) -> State:
        """What is about to be created is ours, and this is all of it."""
        known = state.with_intent(Intent(physical=self.physical, name=self.name, definition=self.definition))
        return known if self.begins is None or state.rewrite(self.name) else known.with_rewrite(self.begins)

    def flow(self) -> Flow:
        """Create what is missing; an index of that name with another definition is left alone and fails the step."""
        seen = yield from look(self.physical)
        if seen is not None and seen.name == self.physical:
            if not looks_like(seen.definition, self.definition):
                raise StepFailedError(
                    self.summary,
                    why=f"{self.physical} exists already with another definition, which rvlstate did not make.",
                    next_step="run plan again: it takes the next free revision.",
                )
            if seen.synonyms == self.synonyms:
                return
            yield Batch(tuple(self._all_commands()[1:]))
            return
        yield Batch(tuple(self._all_commands()))

    def _all_commands(self) -> list[tuple[str, ...]]:
        groups: dict[str, list[str]] = {}
        for term, names in self.synonyms:
            for group in names:
                groups.setdefault(group, []).append(term)
        updates = [["FT.SYNUPDATE", self.physical, group, *terms] for group, terms in sorted(groups.items())]
        for update in updates[:-1]:
            # Each FT.SYNUPDATE scans all documents again (measured): only the last one needs to.
            update.insert(3, "SKIPINITIALSCAN")
        return [create_arguments(self.physical, self.definition), *(tuple(update) for update in updates)]
