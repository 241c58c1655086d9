"""Add fields to a physical index in place: one FT.ALTER for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import StepFailedError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex, Statistics
from rvlstate.model.field import Field
from rvlstate.model.state import Intent, Record, State
from rvlstate.plan.arguments import alter_arguments
from rvlstate.plan.commands import INSPECTING
from rvlstate.plan.effects import Flow, look, send
from rvlstate.plan.operations.await_build import AwaitBuild
from rvlstate.plan.operations.base import Defaults, shell_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFields(Defaults):
    """FT.ALTER SCHEMA ADD `fields`, and wait for the scan; `serves` is the record of the index afterwards.

    Queries keep answering from all documents while the server scans for the new fields (measured). A document whose
    value does not fit a new field drops out of the whole index: that fails the step, with the figures.
    """

    operation: Literal["add_fields"] = "add_fields"
    fields: tuple[Field, ...]
    serves: Record

    @property
    def summary(self) -> str:
        """What it does."""
        return f"add {', '.join(field.name for field in self.fields)} to {self.serves.physical}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "remove the fields from the schema and apply: fields go only by a shadow build"

    @property
    def commands(self) -> tuple[str, ...]:
        """One command."""
        return (shell_words(alter_arguments(self.serves.physical, self.fields, self.serves.definition.storage)),)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, "INFO", "ROLE", "FT.ALTER")

    def effect(self, catalog: Catalog) -> Catalog:
        """The index has the fields."""
        index = catalog.index(self.serves.physical)
        synonyms = index.synonyms if index else ()
        return catalog.with_index(
            LiveIndex(name=self.serves.physical, definition=mask(self.serves.definition), synonyms=synonyms)
        )

    def intend(self, state: State) -> State:
        """The fields with what FT.INFO will hide of them."""
        return state.with_intent(
            Intent(physical=self.serves.physical, name=self.serves.name, definition=self.serves.definition)
        )

    def record(self, state: State) -> State:
        """The index has the fields, defined just so."""
        return state.served(self.serves)

    def flow(self) -> Flow:
        """Add those that are not there; FT.ALTER adds all or none."""
        seen = yield from look(self.serves.physical)
        if seen is None or seen.name != self.serves.physical:
            raise StepFailedError(
                self.summary, why=f"{self.serves.physical} is gone: somebody dropped it.", next_step="run plan again."
            )
        present = {field.name for field in seen.definition.fields}
        missing = tuple(field for field in self.fields if field.name not in present)
        if missing:
            yield from send(*alter_arguments(self.serves.physical, missing, self.serves.definition.storage))
        yield from AwaitBuild(name=self.serves.name, physical=self.serves.physical).flow()
        after = yield from look(self.serves.physical)
        if after is not None:
            self._refuse_losses(seen.statistics, after.statistics)

    def _refuse_losses(self, before: Statistics, after: Statistics) -> None:
        if after.failures > before.failures and after.documents < before.documents:
            raise StepFailedError(
                self.summary,
                why=f"{before.documents - after.documents:,} documents dropped out of {self.serves.physical}: "
                "their values do not fit the new fields.\n"
                f"The last, {after.last_error_key or 'unknown key'}: {after.last_error}",
                next_step="mend these documents, or declare the field with a type that fits (a shadow build then).",
            )
