"""Add fields to a physical index in place: one FT.ALTER for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import StepFailedError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Field
from rvlstate.model.state import Intent, State
from rvlstate.plan.arguments import alter_arguments
from rvlstate.plan.effects import Flow, look, send
from rvlstate.plan.operations.await_build import AwaitBuild
from rvlstate.plan.operations.base import Defaults, shell_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFields(Defaults):
    """FT.ALTER `physical` SCHEMA ADD `fields`, and wait for the scan; `definition` is the whole definition afterwards.

    Queries keep answering from all documents while the server scans for the new fields (measured). A document whose
    value does not fit a new field drops out of the whole index: that fails the step, with the figures.
    """

    operation: Literal["add_fields"] = "add_fields"
    name: str
    physical: str
    fields: tuple[Field, ...]
    definition: IndexDefinition

    @property
    def summary(self) -> str:
        """What it does."""
        return f"add {', '.join(field.name for field in self.fields)} to {self.physical}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "remove the fields from the schema and apply: fields go only by a shadow build"

    @property
    def commands(self) -> tuple[str, ...]:
        """One command."""
        return (shell_words(alter_arguments(self.physical, self.fields, self.definition.storage)),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return ("FT._LIST", "FT.INFO", "FT.ALTER")

    def effect(self, catalog: Catalog) -> Catalog:
        """The index has the fields."""
        index = catalog.index(self.physical)
        synonyms = index.synonyms if index else ()
        return catalog.with_index(LiveIndex(name=self.physical, definition=mask(self.definition), synonyms=synonyms))

    def intend(self, state: State) -> State:
        """The fields with what FT.INFO will hide of them."""
        return state.with_intent(Intent(physical=self.physical, name=self.name, definition=self.definition))

    def flow(self) -> Flow:
        """Add those that are not there; FT.ALTER adds all or none."""
        seen = yield from look(self.physical)
        if seen is None or seen.name != self.physical:
            raise StepFailedError(
                self.summary, why=f"{self.physical} is gone: somebody dropped it.", next_step="run plan again."
            )
        present = {field.name for field in seen.definition.fields}
        missing = tuple(field for field in self.fields if field.name not in present)
        if missing:
            yield from send(*alter_arguments(self.physical, missing, self.definition.storage))
        yield from AwaitBuild(name=self.name, physical=self.physical).flow()
        after = yield from look(self.physical)
        if after is not None:
            self._refuse_losses(seen.statistics, after.statistics)

    def _refuse_losses(self, before: Statistics, after: Statistics) -> None:
        if after.failures > before.failures and after.documents < before.documents:
            raise StepFailedError(
                self.summary,
                why=f"{before.documents - after.documents:,} documents dropped out of {self.physical}: their values do "
                f"not fit the new fields.\nThe last, {after.last_error_key or 'unknown key'}: {after.last_error}",
                next_step="mend these documents, or declare the field with a type that fits (a shadow build then).",
            )
