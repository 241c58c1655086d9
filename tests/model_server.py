"""What the facts say about names on a server, as a value that flows can be run against, and killed at any write.

It stands for rules that were measured (`facts/redisearch.md`): which name answers from which index, what FT.DROPINDEX
takes along, and that an alias may be hidden. The stories hold the same laws on real servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from rvlstate.errors import CommandRefusedError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.state import State
from rvlstate.plan.effects import (
    Batch,
    Effect,
    Findings,
    Gauge,
    HookEnded,
    Look,
    Memory,
    Pause,
    Probe,
    Recall,
    Report,
    Restore,
    RunHook,
    Sweep,
    Tally,
    Tidy,
)
from rvlstate.plan.members import members_definition
from rvlstate.plan.operations import (
    AddFields,
    AnyOperation,
    CreateIndex,
    KeepOld,
    PromoteDocuments,
    RehearseRewrite,
    RewriteDocuments,
    SettleDocuments,
    StageDocuments,
)
from rvlstate.plan.operations.drop_index import DROP_INDEX
from rvlstate.plan.operations.take_name import TAKE_NAME
from rvlstate.plan.plan import Plan, Step
from rvlstate.plan.replicas import Lag

DOCUMENTS = 7
"""Documents that every index holds once it is built."""


class KilledError(Exception):
    """The process was killed before its next write."""


class ModelServer:
    """Physical indexes and aliases; an alias that a physical index of its name hides is there and does not answer.

    `fresh` are the indexes that were created and that the background scan has not built yet; `rewritten` are the
    changes of documents that a pass has carried out, `staged` those that have copies.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.indexes = {index.name: index for index in catalog.indexes}
        self.aliases = dict(catalog.aliases)
        self.fresh = set[str]()
        self.rewritten = set[str]()
        self.staged = set[str]()

    def copy(self) -> ModelServer:
        """A server of its own with the same content."""
        other = ModelServer(Catalog())
        other.indexes, other.aliases, other.fresh = dict(self.indexes), dict(self.aliases), set(self.fresh)
        other.rewritten, other.staged = set(self.rewritten), set(self.staged)
        return other

    @property
    def catalog(self) -> Catalog:
        """What can be seen: all indexes, and the aliases that answer."""
        seen = {alias: target for alias, target in self.aliases.items() if alias not in self.indexes}
        indexes = tuple(self.indexes[name] for name in sorted(self.indexes))
        return Catalog(indexes=indexes, aliases=tuple(sorted(seen.items())))

    @property
    def hidden(self) -> tuple[tuple[str, str], ...]:
        """The aliases that a physical index of their name hides."""
        return tuple(pair for pair in sorted(self.aliases.items()) if pair[0] in self.indexes)

    @property
    def names(self) -> dict[str, str]:
        """Every name that answers, with the physical index behind it."""
        return {**self.aliases, **{name: name for name in self.indexes}}

    def look(self, name: str) -> LiveIndex | None:
        """The index that answers to a name."""
        physical = self.names.get(name)
        return self.indexes[physical] if physical else None

    def create(self, index: LiveIndex) -> None:
        """FT.CREATE: the scan begins, and nothing is found yet."""
        if index.name in self.indexes:
            raise CommandRefusedError("FT.CREATE", "Index already exists")
        self.indexes[index.name] = index
        self.fresh.add(index.name)
        self.scan(index.name)

    def scan(self, physical: str) -> None:
        """A background scan begins, as FT.CREATE, FT.ALTER and FT.SYNUPDATE start one."""
        documents = 0 if physical in self.fresh else DOCUMENTS
        figures = Statistics(indexing=1, percent=0.0, documents=documents)
        self.indexes[physical] = replace(self.indexes[physical], statistics=figures)

    def finish_scans(self) -> None:
        """Time passes: every scan ends, and every index holds all documents."""
        self.fresh.clear()
        for name, index in self.indexes.items():
            figures = replace(index.statistics, indexing=0, percent=1.0, documents=DOCUMENTS)
            self.indexes[name] = replace(index, statistics=figures)

    def sweep(self, effect: Sweep) -> Tally:
        """A pass over the documents, which are all in the old layout until one has written them."""
        staging = effect.mode == "stage"
        passes = self.staged if staging else self.rewritten
        done = effect.rewrite.id in passes
        if effect.mode != "rehearse":
            passes.add(effect.rewrite.id)
        return Tally(seen=DOCUMENTS, written=0 if done else DOCUMENTS, done=DOCUMENTS if done else 0)

    def drop(self, name: str) -> None:
        """FT.DROPINDEX: follows aliases, and takes the aliases of the index with it."""
        physical = self.names.get(name)
        if physical is None:
            raise CommandRefusedError("FT.DROPINDEX", "Unknown Index name")
        del self.indexes[physical]
        self.fresh.discard(physical)
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != physical}

    def point(self, alias: str, physical: str) -> None:
        """FT.ALIASUPDATE: to a physical index only."""
        if physical not in self.indexes:
            raise CommandRefusedError("FT.ALIASUPDATE", "Unknown index name (or name is an alias itself)")
        self.aliases[alias] = physical

    def remove_alias(self, alias: str) -> None:
        """FT.ALIASDEL: not one that is hidden."""
        if alias in self.indexes or alias not in self.aliases:
            raise CommandRefusedError("FT.ALIASDEL", "Alias does not belong to provided spec")
        del self.aliases[alias]

    def command(self, command: tuple[str, ...], operation: AnyOperation | None = None) -> Any:
        """Carry out one command; `operation` says what FT.CREATE and FT.ALTER lead to."""
        match command:
            case ("FT.CREATE", physical, *_):
                self.create(LiveIndex(name=physical, definition=mask(_created(operation))))
            case ("FT.SYNUPDATE", physical, group, *terms):
                self._synonyms(physical, group, terms)
            case ("FT.ALTER", name, *_) if isinstance(operation, AddFields):
                physical = self.names[name]
                self.indexes[physical] = replace(self.indexes[physical], definition=mask(operation.serves.definition))
                self.scan(physical)
            case ("FT.ALIASUPDATE" | "FT.ALIASADD", alias, physical):
                self.point(alias, physical)
            case ("FT.ALIASDEL", alias):
                self.remove_alias(alias)
            case ("FT.DROPINDEX", name):
                self.drop(name)
            case ("EVAL", script, "0", name, *rest):
                return self._script(script, name, rest)
            case _:
                raise AssertionError(f"the model does not know {command}")
        return "OK"

    def _synonyms(self, physical: str, group: str, terms: list[str]) -> None:
        index = self.indexes[physical]
        known = {term: set(groups) for term, groups in index.synonyms}
        for term in terms:
            if term != "SKIPINITIALSCAN":
                known.setdefault(term, set()).add(group)
        synonyms = tuple((term, tuple(sorted(groups))) for term, groups in sorted(known.items()))
        self.indexes[physical] = replace(index, synonyms=synonyms)
        self.scan(physical)

    def _script(self, script: str, name: str, rest: list[str]) -> str:
        seen = self.names.get(name)
        if seen is None:
            raise CommandRefusedError("EVAL", "Unknown index name")
        if seen != name:
            return seen
        self.drop(name)
        if script == TAKE_NAME:
            self.point(name, rest[0])
            return "taken"
        assert script == DROP_INDEX
        return "dropped"


Watcher = Callable[[ModelServer], None]


@dataclass
class Runner:
    """Carries out plans on a model server as apply does: intend, flow, record; killed before write number `writes`.

    `writes` None never kills. A write is a change of the state or one command; `written` counts them. `watch` is
    called after each.
    """

    server: ModelServer
    state: State
    writes: int | None = None
    watch: Watcher | None = None
    written: int = 0

    def run(self, plan: Plan | Iterable[Step]) -> None:
        """Carry out all steps; KilledError when the writes are used up, errors of flows as they come."""
        for step in plan.steps if isinstance(plan, Plan) else plan:
            self._remember(step.operation.intend(self.state))
            self._drive(step.operation)
            self._remember(step.operation.record(self.state))

    def _remember(self, state: State) -> None:
        if state != self.state:
            self._count()
            self.state = state
            self._seen()

    def _drive(self, operation: AnyOperation) -> None:
        flow, answer = operation.flow(), None
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration:
                return
            answer = self._answer(effect, operation)

    def _answer(self, effect: Effect, operation: AnyOperation) -> Any:
        match effect:
            case Look():
                return self.server.look(effect.name)
            case Gauge():
                return Memory(used=0, limit=0)
            case Pause():
                return self.server.finish_scans()
            case Batch():
                return [self._write(command, operation) for command in effect.commands]
            case Sweep():
                self._count()
                return self.server.sweep(effect)
            case Restore():
                raise AssertionError("a plan restores nothing by itself")
            case Probe():
                return Findings(count=DOCUMENTS)
            case RunHook():
                return HookEnded(code=0)
            case Lag() | Recall() | Report() | Tidy():
                return None

    def _write(self, command: tuple[str, ...], operation: AnyOperation) -> Any:
        self._count()
        reply = self.server.command(command, operation)
        self._seen()
        return reply

    def _count(self) -> None:
        if self.writes is not None and self.written == self.writes:
            raise KilledError
        self.written += 1

    def _seen(self) -> None:
        if self.watch is not None:
            self.watch(self.server)


def _created(operation: AnyOperation | None) -> IndexDefinition:
    """What FT.CREATE of an operation makes."""
    match operation:
        case CreateIndex():
            return operation.definition
        case RehearseRewrite():
            return operation.rewrite.after
        case RewriteDocuments() | StageDocuments() | KeepOld() | PromoteDocuments() | SettleDocuments():
            return members_definition(operation.rewrite.before)
        case _:
            raise AssertionError(f"the model does not know what {operation} creates")
