"""One side of a comparison as a whole: all indexes of a server with their aliases, and what the server itself is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from rvlstate.model.definition import IndexDefinition

Capability: TypeAlias = Literal[
    "float16_vectors",
    "bfloat16_vectors",
    "int8_vectors",
    "svs_vamana",
    "index_missing",
    "index_all",
    "json",
    "alias_list",
    "cross_slot_aliases",
    "atomic_takeover",
]
"""What a server can do. `cross_slot_aliases`: an alias may name an index of another hash slot (false on a
cluster-enabled server without a search coordinator, where both count as keys; measured). `atomic_takeover`: FT.* may
run in one script, so that a physical index can be replaced by an alias of its name with no instant in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProfile:
    """What the server is, as far as plans depend on it. Sizes are bytes, `maxmemory` 0 means no limit."""

    redis: str
    search: str
    cluster: bool = False
    capabilities: tuple[Capability, ...] = ()
    used_memory: int = 0
    maxmemory: int = 0
    maxmemory_policy: str = "noeviction"
    keys: int = 0

    def can(self, capability: Capability) -> bool:
        """Whether the server has a capability."""
        return capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The figures of FT.INFO. `failures` counts events, not documents; `percent` is of keys scanned, 0 to 1.

    `scan_error` is the text of a background scan that was aborted (for memory), "" if none was reported.
    `indexing_ms` is the time that the server spent on indexing, `index_bytes` the memory of the index with its vectors,
    as far as the server counts it, `terms` how many different ones its text has.
    """

    documents: int = 0
    max_document_id: int = 0
    indexing: int = 0
    percent: float = 1.0
    failures: int = 0
    last_error: str = ""
    last_error_key: str = ""
    scan_error: str = ""
    index_bytes: int = 0
    terms: int = 0
    indexing_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveIndex:
    """A physical index as the server shows it; unrevealed attributes are UNREVEALED. Synonyms: term -> groups."""

    name: str
    definition: IndexDefinition
    statistics: Statistics = Statistics()
    synonyms: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All physical indexes of a server, by name, and the known aliases (alias, physical); both sorted.

    An alias that a physical index of the same name hides cannot be seen and is not listed. `unreadable` names the
    indexes that the server lists but does not show to the user of the connection.
    """

    indexes: tuple[LiveIndex, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    unreadable: tuple[str, ...] = ()

    @cached_property
    def targets(self) -> Mapping[str, str]:
        """Alias -> physical index."""
        return dict(self.aliases)

    @cached_property
    def _by_name(self) -> Mapping[str, LiveIndex]:
        return {index.name: index for index in self.indexes}

    def index(self, physical: str) -> LiveIndex | None:
        """The physical index of that very name, or None."""
        return self._by_name.get(physical)

    def resolve(self, name: str) -> str | None:
        """The physical index that answers to `name`: itself, or through an alias; None if nothing answers."""
        if self.index(name) is not None:
            return name
        return self.targets.get(name)

    def with_index(self, index: LiveIndex) -> Catalog:
        """This catalog with `index` added or replaced."""
        others = [other for other in self.indexes if other.name != index.name]
        return replace(self, indexes=tuple(sorted([*others, index], key=lambda item: item.name)))

    def without_index(self, physical: str) -> Catalog:
        """This catalog without an index; the server drops its aliases with it (measured)."""
        return replace(
            self,
            indexes=tuple(index for index in self.indexes if index.name != physical),
            aliases=tuple(pair for pair in self.aliases if pair[1] != physical),
        )

    def with_alias(self, alias: str, physical: str) -> Catalog:
        """This catalog with `alias` pointing to `physical`."""
        pairs = {**dict(self.aliases), alias: physical}
        return replace(self, aliases=tuple(sorted(pairs.items())))

    def without_alias(self, alias: str) -> Catalog:
        """This catalog without an alias."""
        return replace(self, aliases=tuple(pair for pair in self.aliases if pair[0] != alias))
