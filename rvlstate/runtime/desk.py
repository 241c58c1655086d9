"""The desk: answers what a flow asks about documents and checks, with the workers that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rvlstate.events import OnEvent
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record
from rvlstate.model.transform import user_functions as functions_of
from rvlstate.plan.effects import Findings, Mode, Pace, Probe, Restore, Restored, Sweep, Tally
from rvlstate.runtime.backup.folder import prepare
from rvlstate.runtime.backup.manifest import Manifest
from rvlstate.runtime.backup.writer import BackupWriter
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.hints import Hints
from rvlstate.runtime.documents.restore import Restoring, forget_notes
from rvlstate.runtime.documents.sweep import Tell
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.documents.worker import DocumentWorker
from rvlstate.runtime.gates.keeper import GateKeeper
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.meter import Meter
from rvlstate.runtime.pace import Pacer, Throttle
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.user_code import user_functions

if TYPE_CHECKING:
    from typing_extensions import Self

PHASES: Mapping[Mode, str] = {
    "rehearse": "rehearsing",
    "write": "rewriting",
    "stage": "staging",
    "promote": "promoting",
    "retire": "retiring",
    "unstage": "removing copies",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose documents these are: project and lineage of the state, the folder of the project, records of before."""

    project: str
    lineage: str
    folder: Path
    records: Mapping[str, Record]


@dataclass(slots=True, kw_only=True)
class Desk:
    """A context manager: pacers, the user's own code and backups that were opened are closed at its end.

    `throttle` knows the limit that was ordered from elsewhere; `note_settled` is called before what was kept beside
    documents goes, and writes down that no pass may follow.
    """

    connection: Connection
    whose: Whose
    lease: Lease
    stop: StopRequest
    on_event: OnEvent
    throttle: Throttle | None = None
    note_settled: Callable[[Rewrite], None] = lambda _: None
    _settled: set[str] = field(default_factory=set)
    _open: ExitStack = field(default_factory=ExitStack)
    _pacers: dict[tuple[int, bool], Pacer] = field(default_factory=dict)
    _functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    _hints: dict[str, Hints] = field(default_factory=dict)
    _meters: dict[tuple[str, str], Meter] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that a node was seen to use while documents were gone through."""
        return max((pacer.peak_memory_bytes for pacer in self._pacers.values()), default=0)

    def sweep(self, step: str, effect: Sweep) -> Tally:
        """One pass over the documents; a backup is made ready by the rehearsal, before anything is written.

        A step that is begun again after a connection was lost while it tidied up finds nothing to do.
        """
        if effect.rewrite.id in self._settled:
            return Tally()
        folder = None
        if effect.backup:
            folder = prepare(
                self.whose.folder / effect.backup, self._manifest(effect.rewrite), begun=self._has_begun(effect)
            )
        writes = folder is not None and effect.mode != "rehearse"
        with BackupWriter(folder) if writes and folder else nullcontext() as originals:
            pacer = self._pacer(effect.pace, frees=_frees_memory(effect))
            tell = _silent if effect.aside else self._teller(step, PHASES[effect.mode], pacer)
            worker = self._worker(effect.rewrite, pacer, tell, originals)
            return worker.sweep(effect, self._hints_about(effect))

    def _has_begun(self, effect: Sweep) -> bool:
        """Whether documents may have been written, so that their original values must be there."""
        if effect.rewrite.strategy != "staged":
            return effect.mode != "rehearse"
        return bool(self.connection.keys.exists(StateKeys(self.whose.project).run(effect.rewrite.id)))

    def _hints_about(self, effect: Sweep) -> Hints | None:
        """Notifications about the documents of a staged change, listened to from its first pass on."""
        rewrite = effect.rewrite
        if effect.mode != "stage":
            return None
        if rewrite.id not in self._hints:
            prefixes = tuple(prefix.encode("utf-8", "surrogateescape") for prefix in rewrite.before.prefixes)
            hints = Hints(nodes=self.connection.node_clients, prefixes=prefixes)
            self._hints[rewrite.id] = self._open.enter_context(hints)
        return self._hints[rewrite.id]

    def tidy(self, step: str, rewrite: Rewrite) -> None:
        """Remove what a rewrite kept beside the documents; from here on no pass could tell what is done."""
        self.note_settled(rewrite)
        self._settled.add(rewrite.id)
        pacer = self._pacer(Pace(), frees=True)
        self._worker(rewrite, pacer, self._teller(step, "tidying up", pacer), None).tidy(rewrite)
        forget_notes(self.connection, self.whose.project, rewrite)
        self._keeper.forget(f"{rewrite.id}:baseline")

    def probe(self, effect: Probe) -> Findings:
        """Carry out a check on one index."""
        return self._keeper.probe(effect)

    def recall(self, name: str) -> Findings | None:
        """What a check found on an index that is gone."""
        return self._keeper.recall(name)

    def restore(self, step: str, effect: Restore) -> Restored:
        """Put the original values of a backup back into the documents that still hold what was written."""
        pacer, meter = self._pacer(effect.pace), self._meters.setdefault((step, "restoring"), Meter())

        def tell(restored: Restored) -> None:
            if meter.due("restoring", pacer.reason):
                note = f"{restored.restored:,} documents restored"
                figures = {"documents_restored": float(restored.restored)}
                self.on_event(
                    meter.tell(
                        step, note, done=restored.rows, total=0, phase="restoring", why=pacer.reason, figures=figures
                    )
                )

        return Restoring(
            connection=self.connection,
            project=self.whose.project,
            rewrite=effect.rewrite,
            folder=Path(effect.backup),
            clustered=is_clustered(self.connection),
            batch_size=effect.pace.batch_size,
            pacer=pacer,
            lease=self.lease,
            before_write=self.lease.check,
            tell=tell,
        ).put_back()

    def _manifest(self, rewrite: Rewrite) -> Manifest:
        return Manifest(
            project=self.whose.project,
            lineage=self.whose.lineage,
            server=self.connection.url,
            rewrite=rewrite,
            record=self.whose.records.get(rewrite.name),
        )

    @property
    def _keeper(self) -> GateKeeper:
        return GateKeeper(self.connection, self.whose.project, stop=self.stop)

    def _teller(self, step: str, phase: str, pacer: Pacer) -> Tell:
        """What tells how far a pass is, now and then."""
        meter = self._meters.setdefault((step, phase), Meter())

        def tell(note: str, done: int, total: int, figures: dict[str, float]) -> None:
            if meter.due(phase, pacer.reason):
                told = {**figures, **pacer.figures}
                self.on_event(
                    meter.tell(step, note, done=done, total=total, phase=phase, why=pacer.reason, figures=told)
                )

        return tell

    def _worker(self, rewrite: Rewrite, pacer: Pacer, tell: Tell, originals: BackupWriter | None) -> DocumentWorker:
        return DocumentWorker(
            self.connection,
            self.whose.project,
            lease=self.lease,
            guard=self.lease.check,
            pacer=pacer,
            functions=self._functions_for(rewrite),
            tell=tell,
            originals=originals,
        )

    def _pacer(self, pace: Pace, *, frees: bool = False) -> Pacer:
        """One for each limit, and one that goes on where memory is full for what gives memory back."""
        limit = pace.max_docs_per_second
        if (limit, frees) not in self._pacers:
            self._pacers[limit, frees] = self._open.enter_context(
                Pacer(
                    stop=self.stop,
                    nodes=self.connection.node_clients,
                    throttle=self.throttle,
                    max_docs_per_second=float(limit),
                    heeds_memory=not frees,
                )
            )
        return self._pacers[limit, frees]

    def _functions_for(self, rewrite: Rewrite) -> Mapping[str, Callable[..., Any]]:
        wanted = {name for item in rewrite.fields for name in functions_of(item.steps)} - self._functions.keys()
        if wanted:
            self._functions |= self._open.enter_context(user_functions(self.whose.folder, sorted(wanted)))
        return self._functions


def _frees_memory(effect: Sweep) -> bool:
    """Whether a pass gives memory back: copies go, or take the place of documents that were there beside them."""
    renames = effect.mode == "promote" and effect.rewrite.promotion == "rename"
    return renames or effect.mode in ("retire", "unstage")


def _silent(_note: str, _done: int, _total: int, _figures: dict[str, float]) -> None:
    """Tell nothing."""
