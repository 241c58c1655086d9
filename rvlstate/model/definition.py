"""The definition of one index: everything that FT.CREATE fixes, fields included."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from rvlstate.model.field import Field, Unrevealed, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDefinition:
    """What FT.CREATE fixes about an index, in the order declared; see `canonical.canonicalise` for comparisons.

    `stopwords` None is the server's own list, () is none at all. `temporary` counts seconds.
    """

    storage: Literal["hash", "json"] = "hash"
    prefixes: tuple[str, ...] = ("",)
    filter: str | None = None
    language: str | None = None
    language_field: str | None = None
    score: float = 1.0
    score_field: str | None = None
    payload_field: str | None = None
    stopwords: tuple[str, ...] | None = None
    no_offsets: bool = False
    no_highlight: bool = False
    no_fields: bool = False
    no_frequencies: bool = False
    max_text_fields: bool = False
    index_all: bool = False
    temporary: int | Unrevealed | None = None
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field | None:
        """The field called `name`, or None."""
        return next((field for field in self.fields if field.name == name), None)


def settings_of(definition: IndexDefinition) -> dict[str, Value]:
    """All attributes of the index itself, fields left out, in declaration order."""
    return {item.name: getattr(definition, item.name) for item in fields(definition) if item.name != "fields"}
