"""What was last applied: the recorded state of a project. It is a hint; the live server is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One managed index: the name, the physical index that serves it, and exactly what was sent to create it.

    `aliases` are the further names that were declared for it.
    `build_rate` is the last measured background build, in documents a second, 0 if there was none; `rewrite_rate` the
    same of documents that were rewritten with no index on them. `scales` are those by which integer vectors were made:
    field, value of a step. `versions` are those of transforms that were carried out: field, version. `layout`
    is the last change of its documents, if a document itself tells that it was written in the layout from before;
    `failures` are so many as the server counted on its index for such documents while their copies were in it;
    `counted` are all that it had counted when the index was built or taken over: those that came since are drift.
    """

    name: str
    physical: str
    definition: IndexDefinition
    depends_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    build_rate: float = 0.0
    rewrite_rate: float = 0.0
    scales: tuple[tuple[str, float], ...] = ()
    versions: tuple[tuple[str, int], ...] = ()
    layout: Rewrite | None = None
    failures: int = 0
    counted: int = 0

    def learned_by(self, record: Record) -> Record:
        """A later record of the same or a new name with what was measured, and what is about this physical index."""
        rates = replace(record, build_rate=self.build_rate, rewrite_rate=self.rewrite_rate)
        if self.physical != record.physical:
            return rates
        counted = max(self.counted, record.counted)
        layout = replace(self.layout, name=record.name) if self.layout is not None else None
        return replace(rates, layout=layout, failures=self.failures, counted=counted)

    def own_failures(self, counted: int) -> int:
        """How many failures of those that an index counts now say something; a server that restarts counts anew."""
        return own_failures(counted, self.failures)

    def new_failures(self, counted: int) -> int:
        """How many failures came since the index was built or taken over, as far as that can be told.

        Its documents may have been in two layouts: then those of the old one were refused as they had to be. A server
        that restarts counts anew.
        """
        return 0 if self.layout is not None else max(counted - max(self.counted, self.failures), 0)


def own_failures(counted: int, known: int) -> int:
    """How many failures of those that an index counts say something, where `known` ones do not."""
    return counted - known if counted >= known else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A physical index that rvlstate is about to create or alter, or has done so; written before the command is sent.

    It makes an index that an interrupted run left behind recognisable as ours, with what FT.INFO hides.
    """

    physical: str
    name: str
    definition: IndexDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run that holds or last held the state: `finished` tells whether it carried out its whole plan.

    `plan_id` names its plan, `desired_fingerprint` what it led to, `allowed` the hazard codes that were agreed to.
    """

    id: str
    plan_id: str
    desired_fingerprint: str = ""
    who: str = ""
    started: str = ""
    finished: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of one project. `lineage` is "" and `serial` 0 until something was applied or imported.

    `rewrites` are changes of documents that were begun and are not complete.
    """

    lineage: str = ""
    serial: int = 0
    records: tuple[Record, ...] = ()
    intents: tuple[Intent, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    run: Run | None = None

    @cached_property
    def _by_name(self) -> Mapping[str, Record]:
        return {record.name: record for record in self.records}

    def record(self, name: str) -> Record | None:
        """The record of a managed index, or None."""
        return self._by_name.get(name)

    def rewrite(self, name: str) -> Rewrite | None:
        """The change of the documents of `name` that was begun and is not complete, or None."""
        return next((rewrite for rewrite in self.rewrites if rewrite.name == name), None)

    def with_rewrite(self, rewrite: Rewrite) -> State:
        """This state with a change of documents begun."""
        others = [other for other in self.rewrites if other.name != rewrite.name]
        return replace(self, rewrites=tuple(sorted([*others, rewrite], key=lambda item: item.name)))

    def without_rewrite(self, name: str) -> State:
        """This state without the change of the documents of `name`, which is complete or was given up."""
        return replace(self, rewrites=tuple(other for other in self.rewrites if other.name != name))

    def build_rate(self, name: str) -> float:
        """The last measured background build of `name`, in documents a second; 0 if there was none."""
        record = self.record(name)
        return record.build_rate if record else 0.0

    def rewrite_rate(self, name: str) -> float:
        """The last measured rewrite of the documents of `name`, in documents a second; 0 if there was none."""
        record = self.record(name)
        return record.rewrite_rate if record else 0.0

    def intent(self, physical: str) -> Intent | None:
        """The intent about a physical index, or None."""
        return next((intent for intent in self.intents if intent.physical == physical), None)

    def known_definitions(self, physical: str) -> tuple[IndexDefinition, ...]:
        """Every definition that rvlstate recorded for a physical index, the intended one first."""
        intents = [intent.definition for intent in self.intents if intent.physical == physical]
        return (*intents, *(record.definition for record in self.records if record.physical == physical))

    def with_record(self, record: Record) -> State:
        """This state with a record added or replaced.

        Intents about its physical index are fulfilled and go; the physical index that served before stays known as
        ours by an intent, until it is dropped. One of the record's own name can only be somebody else's from then on:
        it would hide the alias.
        """
        others = [other for other in self.records if other.name != record.name]
        before = self.record(record.name)
        state = self.without_intent(record.physical).without_intent(record.name)
        if before is not None and before.physical not in (record.physical, record.name):
            retired = Intent(physical=before.physical, name=before.name, definition=before.definition)
            state = state.with_intent(retired)
        return replace(state, records=tuple(sorted([*others, record], key=lambda item: item.name)))

    def served(self, record: Record) -> State:
        """This state with a record added or replaced, keeping the measured rates, and the layout of the same index.

        Where the name is led to the new index of a change that goes through phases, that was its cutover.
        """
        renamed = (other for other in self.records if other.physical == record.physical)
        before = self.record(record.name) or next(renamed, None)
        state = self.with_record(before.learned_by(record) if before else record)
        begun = state.rewrite(record.name)
        if begun is None or not begun.phased or record.physical != begun.serves_first:
            return state
        return state.with_rewrite(replace(begun, phase="serving")) if begun.phase in ("staging", "ready") else state

    def laid_out(self, rewrite: Rewrite) -> State:
        """This state with a complete change of documents noted on its record, if late writes can be told by it."""
        record = self.record(rewrite.name)
        if record is None or not rewrite.tells_late_writes:
            return self
        return self.with_record(replace(record, layout=rewrite.kept))

    def without_record(self, name: str) -> State:
        """This state without the record of `name`."""
        return replace(self, records=tuple(record for record in self.records if record.name != name))

    def with_intent(self, intent: Intent) -> State:
        """This state with an intent added or replaced."""
        others = [other for other in self.intents if other.physical != intent.physical]
        return replace(self, intents=tuple(sorted([*others, intent], key=lambda item: item.physical)))

    def without_intent(self, physical: str) -> State:
        """This state without intents about `physical`."""
        return replace(self, intents=tuple(intent for intent in self.intents if intent.physical != physical))
