"""Where the staged copy of a document is, and whose copy a key is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import Blueprint


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The staged copies of one rewrite: each in the slot of its document, or under the document's new prefix."""

    blueprint: Blueprint
    beside: Beside

    @cached_property
    def moved(self) -> bool:
        """Whether copies are under a new prefix, as the documents that they are to be."""
        return self.blueprint.rewrite.promotion == "new_prefix"

    def of(self, key: bytes) -> bytes | None:
        """The copy of a document; None for one that is under its new prefix already."""
        if self.moved:
            return self.blueprint.destination(key)
        return b"%s{%s}:%s" % (self._stage, self.beside.tag(self.beside.slot(key)).encode(), key)

    def documents(self, copy: bytes) -> Iterator[bytes]:
        """The documents that a key may be the copy of: one where copies have a prefix of their own."""
        if not self.moved:
            yield copy[copy.index(b"}:", len(self._stage)) + 2 :]
            return
        for old, new in self.blueprint.rewrite.moves:
            before, after = (prefix.encode("utf-8", "surrogateescape") for prefix in (old, new))
            key = before + copy[len(after) :]
            if copy.startswith(after) and self.of(key) == copy:
                yield key

    def prefixes(self) -> tuple[bytes, ...]:
        """What copies begin with; none covers another."""
        if not self.moved:
            return (self._stage,)
        new = sorted({after.encode("utf-8", "surrogateescape") for _, after in self.blueprint.rewrite.moves})
        return tuple(prefix for at, prefix in enumerate(new) if not prefix.startswith(tuple(new[:at])))

    @cached_property
    def _stage(self) -> bytes:
        return self.blueprint.rewrite.stage.encode("utf-8", "surrogateescape")
