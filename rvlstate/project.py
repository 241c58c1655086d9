"""A project: declared files on one side, a server on the other. Everything that the command line does, it does here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from rvlstate import __version__
from rvlstate.errors import NoSchemasError, PlannerBugError
from rvlstate.events import Event, LockAwaited, OnEvent
from rvlstate.files.project_file import ProjectFile, load_project, load_settings, schema_folder
from rvlstate.files.redis_url import resolve_url
from rvlstate.model.state import Record, State
from rvlstate.plan.build import build_plan
from rvlstate.plan.drift import Drift, declared_from, find_drift
from rvlstate.plan.plan import Plan
from rvlstate.plan.situation import World
from rvlstate.runtime.admit import ApplyOptions, admit, refuse_missing_permissions
from rvlstate.runtime.apply import Execution, Report
from rvlstate.runtime.clock import now_iso
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.drive import Driver
from rvlstate.runtime.identity import identify
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.lock import acquire, chosen_lease, unlock
from rvlstate.runtime.lock_info import LockInfo, read_lock
from rvlstate.runtime.run_report import RunReport, RunSummary
from rvlstate.runtime.state_store import StateStore
from rvlstate.runtime.status import Status, make_status, nothing_recorded
from rvlstate.runtime.stop import StopRequest, stoppable
from rvlstate.runtime.translate import translated
from rvlstate.runtime.world import inspect_world

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on


def ignore(_event: Event) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One index taken into management: where its schema is, and what the server does not reveal about it."""

    name: str
    physical: str
    file: str
    written: bool
    unrevealed: tuple[str, ...]
    settings: Mapping[str, object]


class Project:
    """A loaded project; connects when it is first asked about the server. A context manager that closes its sockets."""

    def __init__(self, spec: ProjectFile, redis_url: str) -> None:
        self.path = spec.path
        self.redis_url = redis_url
        self.desired = spec.desired
        self.warnings = spec.warnings
        self.schema_folder = schema_folder(spec)
        self._connection: Connection | None = None

    @classmethod
    def load(
        cls,
        path: str | Path = "rvlstate.yaml",
        *,
        redis_url: str | None = None,
        environ: Mapping[str, str] | None = None,
        schemas: Literal["required", "optional", "ignored"] = "required",
    ) -> Self:
        """Read and check the project file and all schema files. Raises SpecError; does not connect.

        `schemas`: "optional" accepts a set that is still empty (import fills it); "ignored" reads the project file
        alone, for commands that must work while a schema is broken (status, unlock).
        """
        variables = os.environ if environ is None else environ
        if schemas == "ignored":
            spec = load_settings(Path(path), variables)
        else:
            try:
                spec = load_project(Path(path), variables)
            except NoSchemasError:
                if schemas == "required":
                    raise
                spec = load_settings(Path(path), variables)
        return cls(spec, resolve_url(redis_url, Path()) if redis_url else spec.redis_url)

    @property
    def name(self) -> str:
        """The name of the project, which also names its state in Redis."""
        return self.desired.project

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def plan(self, targets: tuple[str, ...] = ()) -> Plan:
        """Compare declared, applied and live, and plan what leads from live to declared. Writes nothing."""
        with self._translated():
            return self._planned(self._world(), targets)

    def apply(
        self, plan: Plan | None = None, *, options: ApplyOptions | None = None, on_event: OnEvent = ignore
    ) -> Report:
        """Carry out a plan (None: the plan of this moment) under the lock, and see that nothing is left to do.

        Raises PlanStaleError, ChangeRefusedError, HazardsNotAllowedError, LockHeldError, PermissionMissingError before
        anything is written; StepFailedError, GateFailedError, LockLostError, InterruptedRunError,
        ServerUnreachableError on the way.
        """
        agreed = options or ApplyOptions()
        with (
            self._translated(),
            stoppable() as stop,
            self._lease("apply", agreed.lock_timeout, stop, on_event) as lease,
        ):
            world = self._world()
            fresh = self._planned(world, plan.targets if plan else ())
            given = None if agreed.replan else plan
            chosen = admit(given or fresh, fresh, world.state, agreed, self.desired.policy.allow)
            if chosen.empty and not _unfinished(world.state):
                return Report(run="", result="nothing", plan_empty=True)
            refuse_missing_permissions(self.connection, chosen)
            plan_id = given.id if given else chosen.id
            report = self._execute(chosen, plan_id, world.remembered, lease=lease, stop=stop, on_event=on_event)
            return replace(report, plan_empty=self._confirm_settled(chosen.targets))

    def _execute(
        self, plan: Plan, plan_id: str, state: State, *, lease: Lease, stop: StopRequest, on_event: OnEvent
    ) -> Report:
        execution = Execution(
            plan=plan,
            plan_id=plan_id,
            url=self.connection.url,
            state=state,
            store=self._store,
            journal=self._journal,
            lease=lease,
            driver=Driver(self.connection, guard=lease.check, stop=stop, on_event=on_event),
            stop=stop,
            on_event=on_event,
        )
        codes = tuple(hazard.code for hazard in plan.hazards)
        return execution.carry_out(identify(), codes)

    def _confirm_settled(self, targets: tuple[str, ...]) -> bool:
        left = self._planned(self._world(), targets)
        if left.steps:
            raise PlannerBugError(
                "every step was carried out, and the server is still not as declared",
                why="\n".join(f"left: {step.operation.summary}" for step in left.steps),
                next_step="run rvlstate plan: somebody else may have changed indexes meanwhile. If not, report it.",
            )
        return left.empty

    def drift(self) -> Drift:
        """What others changed on the server since it was last applied; an apply in progress is not drift."""
        with self._translated():
            lock = read_lock(self.connection.keys, self.name)
            world = self._recorded_world()
            if not world.state.lineage and lock is None:
                raise nothing_recorded(self.name)
            drift = find_drift(world, self.name)
        if lock is not None:
            return replace(drift, indexes=(), in_progress=lock.describe())
        return drift

    def status(self) -> Status:
        """Where every managed index stands, who is at work, and what to do next."""
        with self._translated():
            world = self._recorded_world()
            lock = read_lock(self.connection.keys, self.name)
            journal = self._journal
            interrupted = journal.interrupted() if lock is None else None
            last = next(iter(journal.list_runs(1)), None)
        return make_status(world, find_drift(world, self.name), lock, interrupted, last)

    def import_indexes(self, names: tuple[str, ...], *, everything: bool = False) -> tuple[Imported, ...]:
        """Write schema files for live indexes and take them into the state, so that the next plan is empty."""
        from rvlstate.importing import import_indexes

        with self._translated(), stoppable() as stop, self._lease("import", 0.0, stop, ignore) as lease:
            return import_indexes(self, names, lease, everything=everything)

    def state(self) -> State:
        """The recorded state. Raises StateError if it cannot be trusted."""
        with self._translated():
            return self._store.load()

    def pull_state(self) -> str:
        """What is stored as the state, as JSON text, damaged or not."""
        with self._translated():
            return self._store.pull()

    def rebuild_state(self) -> State:
        """Write the state anew from the live server and the declared set; for a state that was lost or damaged."""
        with self._translated(), stoppable() as stop, self._lease("state rebuild", 0.0, stop, ignore) as lease:
            world = self._stateless_world()
            records = tuple(
                Record(name=wanted.name, physical=index.name, definition=world.definition(index))
                for wanted in self.desired.indexes
                for index in (world.catalog.index(world.catalog.resolve(wanted.name) or ""),)
                if index is not None
            )
            return self._store.replace(State(records=records), lease)

    def unlock(self, lock_id: str) -> LockInfo:
        """Take the lock away from a holder that is known to be dead; a living one stops at its next step."""
        with self._translated():
            return unlock(self.connection.keys, self.name, lock_id)

    def history(self, limit: int = 20) -> tuple[RunSummary, ...]:
        """The latest runs, newest first."""
        with self._translated():
            return self._journal.list_runs(limit)

    def run(self, run_id: str) -> RunReport | None:
        """The report of one run; None if it is not kept."""
        with self._translated():
            return self._journal.read_run(run_id)

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.connection)

    @property
    def connection(self) -> Connection:
        """The connection, made when first needed. Raises ServerUnreachableError, EmbeddedServerError."""
        if self._connection is None:
            self._connection = connect(self.redis_url)
        return self._connection

    @property
    def store(self) -> StateStore:
        """Where the state is kept."""
        return self._store

    @property
    def _store(self) -> StateStore:
        return StateStore(self.connection.keys, self.name)

    @property
    def _journal(self) -> Journal:
        return Journal(self.connection.keys, self.name)

    def _world(self) -> World:
        return inspect_world(self.connection, self._store, self.desired)

    def _recorded_world(self) -> World:
        """The world as the state alone asks for it: declarations play no part in drift and status."""
        declared = declared_from(self.name, self._store.load())
        return inspect_world(self.connection, self._store, declared)

    def _stateless_world(self) -> World:
        from rvlstate.plan.build import candidate_names
        from rvlstate.runtime.inspect import inspect_catalog
        from rvlstate.runtime.profile import inspect_server

        profile = inspect_server(self.connection)
        names = candidate_names(self.desired, State())
        return World(catalog=inspect_catalog(self.connection, names, profile), state=State(), server=profile)

    def _planned(self, world: World, targets: tuple[str, ...]) -> Plan:
        return build_plan(self.desired, world, targets=targets, created_at=now_iso(), version=__version__)

    def _lease(self, operation: str, timeout: float, stop: StopRequest, on_event: OnEvent) -> Lease:
        return acquire(
            self.connection.keys,
            self.name,
            operation=operation,
            identity=identify(),
            timeout=timeout,
            lease_seconds=chosen_lease(os.environ),
            on_wait=lambda info: on_event(LockAwaited(holder=info.describe())),
            sleep=stop.pause,
        )


def _unfinished(state: State) -> bool:
    return state.run is not None and not state.run.finished
