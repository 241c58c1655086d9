"""A project: declared files on one side, a server on the other. Everything that the command line does, it does here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rvlstate import __version__
from rvlstate.errors import PlannerBugError
from rvlstate.events import OnEvent
from rvlstate.model.state import Record, State
from rvlstate.plan.build import build_plan
from rvlstate.plan.drift import Drift, declared_from, find_drift
from rvlstate.plan.plan import Plan
from rvlstate.plan.rewriting import wanted_rewrites
from rvlstate.plan.rollback_plan import Proposal
from rvlstate.plan.situation import World
from rvlstate.runtime.admit import ApplyOptions, admit, refuse_missing_permissions
from rvlstate.runtime.apply import Execution
from rvlstate.runtime.clock import now_iso
from rvlstate.runtime.drive import Driver
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.listen import Listener
from rvlstate.runtime.live_journal import LiveJournal
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.outcome import Report
from rvlstate.runtime.status import Status, make_status, nothing_recorded, read_work
from rvlstate.runtime.stop import StopRequest, stoppable
from rvlstate.runtime.world import inspect_world
from rvlstate.session import Session, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One index taken into management: where its schema is, and what the server does not reveal about it."""

    name: str
    physical: str
    file: str
    written: bool
    unrevealed: tuple[str, ...]
    settings: Mapping[str, object]


class Project(Session):
    """A loaded project: plan, apply, and everything else that may change what is on the server."""

    def plan(self, targets: tuple[str, ...] = ()) -> Plan:
        """Compare declared, applied and live, and plan what leads from live to declared. Writes nothing."""
        with self._translated():
            return self._planned(self._sampled(self._world()), targets)

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
            world = self._sampled(self._world())
            fresh = self._planned(world, plan.targets if plan else ())
            given = None if agreed.replan else plan
            chosen = admit(given or fresh, fresh, world.state, agreed, self.desired.policy.allow)
            if chosen.empty and not _unfinished(world.state):
                return Report(run="", result="nothing", plan_empty=True)
            refuse_missing_permissions(self.connection, chosen)
            plan_id = given.id if given else chosen.id
            report = self._execute(chosen, plan_id, world.remembered, lease=lease, stop=stop, on_event=on_event)
            return replace(report, plan_empty=self._confirm_settled(chosen.targets))

    def propose_rollback(self, name: str, *, backup: str | Path | None = None) -> Proposal:
        """What a rollback of an index would do, with figures; `backup` instead of the declared folder. Writes nothing.

        Raises UsageError for a name that is not managed, ChangeRefusedError where nothing can be taken back.
        """
        from rvlstate.rolling_back import propose

        with self._translated():
            return propose(self, name, backup)

    def rollback(
        self, name: str, *, backup: str | Path | None = None, lock_timeout: float = 0.0, on_event: OnEvent = ignore
    ) -> Report:
        """Take a change of documents back from its backup, under the lock; run again, it goes on with what is left.

        Raises what `propose_rollback` and `apply` raise.
        """
        from rvlstate.rolling_back import propose

        with self._translated(), stoppable() as stop, self._lease("rollback", lock_timeout, stop, on_event) as lease:
            proposal = propose(self, name, backup)
            refuse_missing_permissions(self.connection, proposal.plan)
            state = proposal.world.remembered
            plan = proposal.plan
            return self._execute(plan, plan.id, state, lease=lease, stop=stop, on_event=on_event, operation="rollback")

    def _execute(
        self,
        plan: Plan,
        plan_id: str,
        state: State,
        *,
        lease: Lease,
        stop: StopRequest,
        on_event: OnEvent,
        operation: str = "apply",
    ) -> Report:
        from rvlstate.runtime.desk import Desk, Whose  # brings numpy along, which plan can do without

        run = uuid.uuid4().hex[:12]
        told = LiveJournal(self._journal, run, on_event)
        listener = Listener(self.connection.keys, self.name, lease=lease, stop=stop, on_event=told)
        desk = Desk(
            connection=self.connection,
            whose=Whose(
                project=self.name,
                lineage=state.lineage,
                folder=self.path.parent,
                records={record.name: record for record in state.records},
            ),
            lease=lease,
            stop=stop,
            on_event=told,
            throttle=listener,
        )
        with listener, desk:
            execution = Execution(
                plan=plan,
                plan_id=plan_id,
                url=self.connection.url,
                state=state,
                store=self._store,
                journal=self._journal,
                lease=lease,
                driver=Driver(self.connection, guard=lease.check, stop=stop, on_event=told, desk=desk),
                stop=stop,
                on_event=told,
                run=run,
                operation=operation,
            )
            desk.note_settled = execution.note_settled
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
            work = read_work(self.connection.keys, self.name, lock, interrupted)
        return make_status(world, find_drift(world, self.name), lock, interrupted, last, work=work)

    def import_indexes(self, names: tuple[str, ...], *, everything: bool = False) -> tuple[Imported, ...]:
        """Write schema files for live indexes and take them into the state, so that the next plan is empty."""
        from rvlstate.importing import import_indexes

        with self._translated(), stoppable() as stop, self._lease("import", 0.0, stop, ignore) as lease:
            return import_indexes(self, names, lease, everything=everything)

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

    def _world(self) -> World:
        return inspect_world(self.connection, self._store, self.desired)

    def _sampled(self, world: World) -> World:
        """The world with what a look at some documents tells, where documents are to be rewritten."""
        rewrites = wanted_rewrites(self.desired, world)
        if not rewrites:
            return world
        from rvlstate.runtime.sampling import take_samples

        return replace(world, samples=take_samples(self.connection, self.name, rewrites))

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


def _unfinished(state: State) -> bool:
    return state.run is not None and not state.run.finished
