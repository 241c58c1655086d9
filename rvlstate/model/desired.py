"""The declared set: definitions with the settings that redisvl's schema has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from rvlstate.model.check import Check
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.transform import TransformStep

Strategy: TypeAlias = Literal["auto", "shadow", "recreate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """How the values of one field come about: the steps of its transform, and which fields they read.

    `version` is raised by the user to have values computed anew though nothing else about the field changes.
    """

    transform: tuple[TransformStep, ...] = ()
    reads: tuple[str, ...] = ()
    renamed_from: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Commands of the user's around a cutover, each as a list of arguments; () for none.

    Variables (`${NAME}`) are in them as they are written: what they stand for may be secret.
    """

    before_cutover: tuple[str, ...] = ()
    after_cutover: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredIndex:
    """One declared index: its name, definition and settings; `source` is "file:line" for messages.

    `aliases` are further names that must lead to the index, and move with it at a cutover. `backup` is the folder, from
    that of the project file, that gets the original values of documents which are rewritten, "" for none;
    `max_bad_rows` how many documents may be left as they are since they cannot be transformed; `max_docs_per_second` 0
    means as fast as the server bears. With `cutover` "manual" a new index is built and verified, and its name moves
    when somebody asks for it.
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
    batch_size: int = 500
    max_docs_per_second: int = 0
    max_bad_rows: int = 0
    backup: str = ""
    checks: tuple[Check, ...] = ()
    cutover: Literal["auto", "manual"] = "auto"
    hooks: Hooks = Hooks()

    def field_settings(self, name: str) -> FieldSettings:
        """The settings of a field; empty ones if none were declared."""
        return dict(self.fields).get(name, FieldSettings())


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The project's own rules: hazard codes that need no flag, how new indexes are named, how much memory is ours.

    `settle`: seconds without a write in the old layout before a change of documents counts as complete. `retain_old`:
    seconds for which the index that was replaced is kept after its cutover. `await_replicas`: an index is built when
    replicas have built it too.
    """

    allow: tuple[str, ...] = ()
    naming: Literal["alias", "plain"] = "alias"
    max_memory_ratio: float = 0.9
    settle: float = 5.0
    retain_old: float = 0.0
    await_replicas: bool = True


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
