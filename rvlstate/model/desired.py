"""The declared set: definitions with the settings that redisvl's schema has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from rvlstate.model.definition import IndexDefinition

Strategy: TypeAlias = Literal["auto", "shadow", "recreate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """How the values of one field come about: `transform` "cast" or "module:callable", which fields it reads."""

    transform: str | None = None
    reads: tuple[str, ...] = ()
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredIndex:
    """One declared index: its name, definition and settings; `source` is "file:line" for messages.

    `aliases` are further names that must lead to the index, and move with it at a cutover.
    """

    name: str
    definition: IndexDefinition
    source: str = ""
    depends_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    renamed_from: str | None = None
    fields: tuple[tuple[str, FieldSettings], ...] = ()
    strategy: Strategy = "auto"
    prevent_destroy: bool = False

    def field_settings(self, name: str) -> FieldSettings:
        """The settings of a field; empty ones if none were declared."""
        return dict(self.fields).get(name, FieldSettings())


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The project's own rules: hazard codes that need no flag, how new indexes are named, how much memory is ours."""

    allow: tuple[str, ...] = ()
    naming: Literal["alias", "plain"] = "alias"
    max_memory_ratio: float = 0.9


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The whole declared set of a project, sorted by name.

    `protected` names indexes that settings protect from deletion though no schema declares them any more; `released`
    is None unless the defaults protect every index, and then names those that may be deleted all the same.
    """

    project: str
    indexes: tuple[DesiredIndex, ...] = ()
    policy: Policy = Policy()
    protected: tuple[str, ...] = ()
    released: tuple[str, ...] | None = None

    def index(self, name: str) -> DesiredIndex | None:
        """The declared index called `name`, or None."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, DesiredIndex]:
        return {index.name: index for index in self.indexes}

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Every declared name and further alias -> the name of the index that declares it."""
        return {name: index.name for index in self.indexes for name in (*index.aliases, index.name)}

    def protects(self, name: str) -> bool:
        """Whether settings forbid the deletion of an index that no schema declares."""
        return name in self.protected or (self.released is not None and name not in self.released)
