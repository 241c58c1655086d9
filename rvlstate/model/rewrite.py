"""What is done to the documents of an index: which values are written, from which, and how a done one is told.

| layout   | a document is in the desired layout when                                                           |
|----------|----------------------------------------------------------------------------------------------------|
| length   | the vector at `target` has the new number of bytes (it differs from the old one)                   |
| presence | there is a value at `target`                                                                       |
| absence  | there is none at any of `removes` (rename, drop)                                                   |
| marker   | the digest of the value at `target` is the one that was noted beside the document when it was written |
| type     | the key is of the new storage type                                                                 |

A staged change (strategy `staged`) writes into copies beside the documents first, which a new index holds:

| promotion  | copies are under        | and take the documents' place                                                |
|------------|-------------------------|------------------------------------------------------------------------------|
| rename     | `rvlstate:stage:...`    | by RENAME; the index covers both prefixes, and the old layout fails to index |
| write_back | `rvlstate:stage:...`    | by COPY, since the old layout would answer too; a second index is built then |
| new_prefix | the declared new prefix | not at all: they are the documents; the old keys go at completion            |

| phase     | name answers from | documents                                   | way back                        |
|-----------|-------------------|---------------------------------------------|---------------------------------|
| staging   | the old index     | untouched; copies are made                  | drop the new index, the copies  |
| ready     | the old index     | the same; the new index is verified         | the same                        |
| serving   | the new index     | untouched, the old index is kept            | the alias, in an instant        |
| promoting | the new index     | copies take their place; the old index goes | from a backup only              |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import BYTES_PER_VALUE
from rvlstate.model.transform import TransformStep

Layout: TypeAlias = Literal["length", "presence", "absence", "marker"]
Strategy: TypeAlias = Literal["backfill", "recreate", "staged", "shadow"]
Promotion: TypeAlias = Literal["", "rename", "write_back", "new_prefix"]
Phase: TypeAlias = Literal["staging", "ready", "serving", "promoting"]
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

    Of a staged change, and of one of an index alone (`shadow`) that stops at its cutover or keeps the old index for a
    while: `phase` is how far it is, and `cutover_at` when its cutover was made (ms since 1970, 0: not yet). Only a
    staged one has a `promotion`, the prefix `stage` of the
    copies ("" where they are under a new prefix of their own), and `interim`, the index over the copies alone that
    serves until the second one is built ("" but for write_back).
    """

    id: str
    name: str
    strategy: Strategy
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
    phase: Phase = "staging"
    promotion: Promotion = ""
    stage: str = ""
    interim: str = ""
    cutover_at: int = 0

    @property
    def phased(self) -> bool:
        """Whether it goes through phases that can be stepped through by hand."""
        return self.strategy in ("staged", "shadow")

    @property
    def is_lost(self) -> bool:
        """Whether it was found by its copies alone, its state being lost: it can be taken back, not gone on with."""
        return self.strategy == "staged" and not self.touches_documents

    @property
    def serves_first(self) -> str:
        """The index to which the cutover leads."""
        return self.interim or self.target

    @property
    def told_by_content(self) -> bool:
        """Whether a document itself tells in which layout it is, so that late writes are found ever after.

        Not where a field was renamed: of two values, under the old name and the new one, nothing tells the later one
        once the digests are gone.
        """
        return all(
            item.layout in ("length", "presence") or (item.layout == "absence" and item.writes is None)
            for item in self.fields
        )

    @property
    def tells_late_writes(self) -> bool:
        """Whether documents that are written in the old layout once all is complete are known to be such.

        With a filter nobody knows which of them it lets in: the index that told is gone.
        """
        unfiltered = not self.before.filter and not self.after.filter
        return self.touches_documents and self.told_by_content and unfiltered

    @property
    def kept(self) -> Rewrite:
        """What is remembered of it when it is complete: enough to convert late writes where they are."""
        return Rewrite(
            id=self.id,
            name=self.name,
            strategy="recreate",
            before=self.before,
            after=self.after,
            fields=self.fields,
            moves=self.moves,
            physical=self.physical,
            target=self.target,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether a filter, the same before and after, tells which documents are left alone.

        Where it changes others may be let in by the new one, and all documents are gone through.
        """
        return bool(self.before.filter) and self.before.filter == self.after.filter

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
