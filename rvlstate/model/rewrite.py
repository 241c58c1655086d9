"""What is done to the documents of an index: which values are written, from which, and how a done one is told.

| layout   | a document is in the desired layout when                                                           |
|----------|----------------------------------------------------------------------------------------------------|
| length   | the vector at `target` has the new number of bytes (it differs from the old one)                   |
| presence | there is a value at `target`                                                                       |
| absence  | there is none at any of `removes` (rename, drop)                                                   |
| marker   | the digest of the value at `target` is the one that was noted beside the document when it was written |
| type     | the key is of the new storage type                                                                 |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import BYTES_PER_VALUE
from rvlstate.model.transform import TransformStep

Layout: TypeAlias = Literal["length", "presence", "absence", "marker"]
Kind: TypeAlias = Literal["text", "tag", "numeric", "geo", "geoshape", "vector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorShape:
    """How a vector is stored: `dims` values of `datatype`."""

    datatype: str
    dims: int

    @property
    def nbytes(self) -> int:
        """The length of its blob in a hash."""
        return self.dims * BYTES_PER_VALUE[self.datatype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One value that is read: where it is (hash field or JSON path), of what kind, and how a vector is stored."""

    identifier: str
    kind: Kind = "text"
    shape: VectorShape | None = None
    separator: str = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRewrite:
    """How one value of each document comes about.

    `field` is the declared field; `reads` are the columns that `steps` get, `writes` where the outcome goes (None for
    a field that is only dropped), `removes` what goes once it is written.
    """

    field: str
    reads: tuple[Source, ...] = ()
    steps: tuple[TransformStep, ...] = ()
    writes: Source | None = None
    removes: tuple[str, ...] = ()
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """All that is done to the documents of one index, and what was there before; kept in the state until it is done.

    `id` names the digests beside the documents and the progress of the pass; it is the same for every run that goes
    on with it. `before` is how the documents were laid out, `after` how they are to be. `moves` are prefixes, old and
    new, of documents that get another key. `physical`, `aliases` and `synonyms` are those of the index that served
    when it began, and `documents` is how many it held; `target` is the physical index that is to serve in the end, and
    `dropped` tells that the old one is gone (recreate), `settled` that nothing is left to do but to remove what was
    kept beside the documents: without it no pass can tell what was transformed before. `versions` are those of the
    transforms that were carried out before.
    """

    id: str
    name: str
    strategy: Literal["backfill", "recreate"]
    before: IndexDefinition
    after: IndexDefinition
    fields: tuple[FieldRewrite, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    physical: str = ""
    target: str = ""
    dropped: bool = False
    settled: bool = False
    versions: tuple[tuple[str, int], ...] = ()
    aliases: tuple[str, ...] = ()
    synonyms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    documents: int = 0

    @property
    def members(self) -> str:
        """The index that tells which documents the filter of `before` lets in, while no other index can."""
        return f"{self.target}~members"

    @property
    def scratch(self) -> str:
        """The index that a rehearsal creates, over no documents, to see that the server accepts `after`."""
        return f"{self.target}~rehearsal"

    @property
    def changes_storage(self) -> bool:
        """Whether each document turns from a hash into JSON or back."""
        return self.before.storage != self.after.storage

    @property
    def touches_documents(self) -> bool:
        """Whether anything is written into documents at all."""
        return bool(self.fields or self.moves or self.changes_storage)
