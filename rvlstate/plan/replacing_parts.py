"""What the steps of an index that is replaced in phases are made of: its names, its definitions, its passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from rvlstate.model.canonical import canonicalise
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.plan.document_steps import known_failures, pace_of, renamed_fields, write
from rvlstate.plan.effects import Pace
from rvlstate.plan.operations import PromoteDocuments, RewriteDocuments, StageDocuments, VerifyIndex
from rvlstate.plan.phases import companions
from rvlstate.plan.remedies import covers
from rvlstate.plan.task import Task


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One index that is replaced by `rewrite`; `outcome` is the record of what serves once a physical index does."""

    task: Task
    rewrite: Rewrite
    outcome: Callable[[str], Record]

    @property
    def name(self) -> str:
        """The declared name."""
        return self.task.name

    @property
    def first(self) -> str:
        """The index to which the cutover leads."""
        return self.rewrite.serves_first

    @property
    def staged(self) -> bool:
        """Whether documents have copies."""
        return self.rewrite.strategy == "staged"

    @property
    def next(self) -> str:
        """The alias to the new index before its cutover."""
        return companions(self.name)[0]

    @property
    def previous(self) -> str:
        """The alias to the old index behind it."""
        return companions(self.name)[1]

    @cached_property
    def definition(self) -> IndexDefinition:
        """What is declared."""
        return self.task.situation.wanted.definition

    @property
    def old(self) -> str | None:
        """The index that served when it began, if it is there."""
        there = self.task.world.catalog.index(self.rewrite.physical)
        return self.rewrite.physical if there is not None and self.rewrite.physical != self.name else None

    @property
    def members(self) -> str:
        """The index that knows the filter; none where the filter changes, since others may be let in then."""
        return self.rewrite.members if self.rewrite.is_filtered else ""

    @property
    def pace(self) -> Pace:
        """How documents are gone through."""
        return pace_of(self.task)

    @cached_property
    def first_definition(self) -> IndexDefinition:
        """Of the index that holds the copies: with documents in the new layout where the old one fails to index."""
        declared = self.definition.prefixes
        if not self.rewrite.stage:
            return self.definition
        beside = () if self.rewrite.promotion == "write_back" else declared
        return replace(self.definition, prefixes=(self.rewrite.stage, *beside))

    def stage(self, *, again: bool) -> StageDocuments:
        """Make the copies, or bring them up to what was written since."""
        wanted = self.task.situation.wanted
        return StageDocuments(
            name=self.name,
            rewrite=self.rewrite,
            pace=self.pace,
            backup=wanted.backup,
            max_bad_rows=wanted.max_bad_rows,
            members=self.members,
            begun=self.task.begun and not again,
            again=again,
        )

    def write_in_place(self) -> RewriteDocuments:
        """New fields under an index that does not know them."""
        members = self.rewrite.physical if self.rewrite.before.filter else ""
        return write(self.task, self.rewrite, members)

    def promote(self, *, again: bool = False) -> PromoteDocuments:
        """Copies to documents, or what was written since."""
        return PromoteDocuments(
            name=self.name,
            rewrite=self.rewrite,
            pace=self.pace,
            backup=self.task.situation.wanted.backup,
            members=self.members,
            again=again,
        )

    def verify(self, physical: str, against: str | None, *, behind: bool = False) -> VerifyIndex:
        """The gate in front of the cutover, or once more behind it."""
        before = self.rewrite.before
        same = before.filter == self.definition.filter
        if not self.staged:
            same = same or self.definition.filter is None
            same = same and covers(self.definition.prefixes, before.prefixes)
        return VerifyIndex(
            name=self.name,
            physical=physical,
            definition=canonicalise(self.first_definition),
            against=against,
            same_documents=same,
            known_failures=known_failures(self.task, against) if against else 0,
            checks=self.task.situation.wanted.checks if against else (),
            renamed=renamed_fields(self.task),
            moves=self.rewrite.moves,
            after_cutover=behind,
            staged=self.rewrite if self.staged else None,
            pace=self.pace,
            members=self.members,
        )
