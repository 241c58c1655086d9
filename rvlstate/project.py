"""A project: declared files on one side, a server on the other. Everything that the command line does, it does here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rvlstate import __version__
from rvlstate.checked import checked
from rvlstate.errors import PlannerBugError, UsageError
from rvlstate.events import OnEvent
from rvlstate.executing import Workplace, carry_out
from rvlstate.model.state import State
from rvlstate.plan.drift import Drift, declared_from, find_drift
from rvlstate.plan.operations import HoldCutover, SettleDocuments
from rvlstate.plan.plan import Plan, Step
from rvlstate.plan.planned_again import Inputs, refuse_other_plan
from rvlstate.plan.repair import Repair, make_repair, repairing
from rvlstate.plan.rewriting import wanted_rewrites
from rvlstate.plan.rollback_plan import Proposal, Retreat
from rvlstate.plan.situation import World
from rvlstate.plan.standing import standings_of
from rvlstate.plan.steering import Errand, applying, completing, cutting_over
from rvlstate.runtime.admit import ApplyOptions, admit, refuse_missing_permissions
from rvlstate.runtime.clock import from_iso, now_iso
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.outcome import Report
from rvlstate.runtime.status import Status, make_status, read_work
from rvlstate.runtime.stop import stoppable
from rvlstate.runtime.watch_notes import read_notes
from rvlstate.runtime.world import inspect_world
from rvlstate.session import Session, ignore

if TYPE_CHECKING:
    from rvlstate.watching import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One index taken into management: where its schema is, and what the server does not reveal about it.

    `differs`: it was declared already, otherwise than it is live.
    """

    name: str
    physical: str
    file: str
    written: bool
    unrevealed: tuple[str, ...]
    settings: Mapping[str, object]
    differs: bool = False


@checked
class Project(Session):
    """A loaded project: plan, apply, and everything else that may change what is on the server."""

    def plan(self, targets: tuple[str, ...] = (), *, postpone: bool = False) -> Plan:
        """Compare declared, applied and live, and plan what leads from live to declared. Writes nothing.

        `postpone`: a new index is built and verified, and waits for its cutover.
        """
        return self._proposed(applying(self.desired, postpone=postpone), targets)

    def plan_against(self, saved: str | Path, targets: tuple[str, ...] = ()) -> Plan:
        """The plan that leads from a saved state, or from what a plan file was made for, to the declared set.

        No server is asked; the plan can be read, not applied. Raises PlanFileError, StateError.
        """
        from rvlstate.offline import plan_against

        return plan_against(self.desired, Path(saved), targets)

    def apply(
        self,
        plan: Plan | Literal["now"] = "now",
        *,
        options: ApplyOptions | None = None,
        on_event: OnEvent = ignore,
        postpone: bool = False,
    ) -> Report:
        """Carry out a plan ("now": that of this moment) under the lock, and see that nothing is left to do.

        `postpone` holds also where the plan was made without it. Raises UsageError for None, as a repair is that comes
        to nothing; PlanStaleError, PlanDiffersError, ChangeRefusedError, HazardsNotAllowedError, LockHeldError,
        PermissionMissingError before anything is written; StepFailedError, GateFailedError, LockLostError,
        InterruptedRunError, ServerUnreachableError on the way.
        """
        if not isinstance(plan, Plan) and plan != "now":
            raise UsageError(
                f"there is no plan to apply: this is {type(plan).__name__}",
                why="What was proposed came to nothing, or is no plan.",
                next_step="look at it before; apply() without a plan carries out that of this moment.",
            )
        errand = applying(self.desired, postpone=postpone)
        if isinstance(plan, Plan) and plan.basis == "recorded":
            errand = self._repairing()
        chosen = plan if isinstance(plan, Plan) else None
        return self._carry_out(errand, chosen, options or ApplyOptions(), on_event)

    def propose_cutover(self, name: str) -> Plan:
        """What leads the name to the new index that is ready for it. Writes nothing.

        Raises UsageError for a name that is not managed, ChangeRefusedError where there is no cutover to be made.
        """
        return self._proposed(cutting_over(self.desired, name))

    def cutover(
        self, name: str, plan: Plan | None = None, *, options: ApplyOptions | None = None, on_event: OnEvent = ignore
    ) -> Report:
        """Catch up, verify again, lead the name to the new index, and go on as declared. Raises what `apply` does."""
        return self._carry_out(cutting_over(self.desired, name), plan, options or ApplyOptions(), on_event)

    def propose_complete(self, name: str) -> Plan:
        """What brings a change that is cut over to its end. Writes nothing. Raises what `propose_cutover` does."""
        return self._proposed(completing(self.desired, name))

    def complete(
        self, name: str, plan: Plan | None = None, *, options: ApplyOptions | None = None, on_event: OnEvent = ignore
    ) -> Report:
        """Give the old index up, put documents in place, settle. Raises what `apply` does."""
        return self._carry_out(completing(self.desired, name), plan, options or ApplyOptions(), on_event)

    def watch(self, name: str, *, on_event: OnEvent = ignore) -> Watched:
        """Go on bringing what is written in the old layout into the new one, until SIGINT or SIGTERM asks to stop.

        Raises UsageError, ChangeRefusedError where there is nothing to be watched, and when that ends.
        """
        from rvlstate.watching import watch

        with self.translated(), stoppable() as stop:
            return watch(self, name, stop, on_event)

    def _proposed(self, errand: Errand, targets: tuple[str, ...] = ()) -> Plan:
        with self.translated():
            return _planned(errand, self._sampled(errand, self._world()), targets)

    def _carry_out(self, errand: Errand, plan: Plan | None, agreed: ApplyOptions, on_event: OnEvent) -> Report:
        """Plan again under the lock, see whether that may be done, do it, and say what is left."""
        if plan is not None:
            with self.translated():  # before there is a lock; a plan that is made under it is asked about there
                refuse_missing_permissions(self.connection, plan)
        with (
            self.translated(),
            stoppable() as stop,
            self.lease(errand.command, agreed.lock_timeout, stop, on_event) as lease,
        ):
            world = self.recorded_world() if errand.basis == "recorded" else self._sampled(errand, self._world())
            targets = plan.targets if plan else ()
            fresh = _planned(errand, world, targets, begun=True)
            given = None if agreed.replan else plan
            chosen = admit(given or fresh, fresh, world.state, agreed, self.desired.policy.allow)
            if chosen is given:
                made_at = from_iso(chosen.created_at)
                refuse_other_plan(chosen, fresh, Inputs(errand=errand, world=world, made_at=made_at))
            if chosen.empty and not _unfinished(world.state):
                return self._ended(errand, Report(run="", result="nothing"), targets, world)
            refuse_missing_permissions(self.connection, chosen)
            plan_id = given.id if given else chosen.id
            work = Workplace(session=self, lease=lease, stop=stop, on_event=on_event)
            report = carry_out(work, chosen, world.remembered, plan_id=plan_id, operation=errand.command)
            held = frozenset(step.index for step in chosen.steps if isinstance(step.operation, HoldCutover))
            settled = tuple(step.index for step in chosen.steps if _is_settling(step))
            after = self.recorded_world() if errand.basis == "recorded" else self._world()
            ended = self._ended(errand.holding(held), report, targets, after)
            return replace(ended, late_writers=settled)

    def propose_rollback(self, name: str, *, backup: str | Path | None = None) -> Proposal | Retreat:
        """What a rollback of an index would do, with figures; `backup` instead of the declared folder. Writes nothing.

        Raises UsageError for a name that is not managed, ChangeRefusedError where nothing can be taken back.
        """
        from rvlstate.rolling_back import propose

        with self.translated():
            return propose(self, name, backup)

    def rollback(
        self, name: str, *, backup: str | Path | None = None, lock_timeout: float = 0.0, on_event: OnEvent = ignore
    ) -> Report:
        """Take a change back, by its phases or from its backup, under the lock; run again, it goes on.

        Raises what `propose_rollback` and `apply` raise.
        """
        from rvlstate.rolling_back import propose, refuse_missing_rights

        refuse_missing_rights(self, name)
        with self.translated(), stoppable() as stop, self.lease("rollback", lock_timeout, stop, on_event) as lease:
            proposal = propose(self, name, backup)
            refuse_missing_permissions(self.connection, proposal.plan)
            work = Workplace(session=self, lease=lease, stop=stop, on_event=on_event)
            return carry_out(work, proposal.plan, proposal.world.remembered, operation="rollback")

    def _ended(self, errand: Errand, report: Report, targets: tuple[str, ...], world: World) -> Report:
        """The report with what is left: nothing but what waits. Raises PlannerBugError for anything else.

        An old index whose time ran out meanwhile is left to the next run.
        """
        left = errand.left(replace(world, now=0), targets)
        if left.steps and report.result != "nothing":
            raise PlannerBugError(
                "every step was carried out, and the server is still not as declared",
                why="\n".join(f"left: {step.operation.summary}" for step in left.steps),
                next_step="run rvlstate plan: somebody else may have changed indexes meanwhile. If not, report it.",
            )
        about = {index.name for index in left.indexes}
        waits = standings_of(world, self.desired.policy.retain_old)
        return replace(report, plan_empty=left.empty, waits=tuple(one for one in waits if one.name in about))

    def drift(self) -> Drift:
        """What others changed on the server since it was last applied, and what went wrong there by itself.

        An apply in progress is not drift, nor is a change that waits for somebody. Raises StateError where nothing was
        ever recorded.
        """
        from rvlstate.drifting import look

        with self.translated():
            return look(self)

    def propose_repair(self, drift: Drift) -> Repair:
        """The plan that leads back to what was last applied, for `apply`, as far as a plan can. Writes nothing."""
        with self.translated():
            errand, world = self._repairing(), self.recorded_world()
            return make_repair(drift, world.state, lambda names: _planned(errand, world, names))

    def _repairing(self) -> Errand:
        with self.translated():
            return repairing(self.name, self.store.load(), self.desired.policy)

    def status(self) -> Status:
        """Where every managed index stands, who is at work, and what to do next."""
        with self.translated():
            world = self.recorded_world()
            lock = read_lock(self.connection.keys, self.name)
            journal = self.journal
            interrupted = journal.interrupted() if lock is None else None
            last = journal.last_walk()
            work = read_work(self.connection.keys, self.name, lock, interrupted)
            notes = read_notes(self.connection.keys, self.name, world.state)
        retain_old = self.desired.policy.retain_old
        drift = find_drift(world, self.name, retain_old)
        if lock is not None:  # what is at work is no drift
            drift = replace(drift, indexes=())
        return make_status(world, drift, lock, interrupted, last, work=work, watched=notes, retain_old=retain_old)

    def import_indexes(self, names: tuple[str, ...], *, everything: bool = False) -> tuple[Imported, ...]:
        """Write schema files for live indexes and take them into the state, so that the next plan is empty."""
        from rvlstate.importing import import_indexes

        with self.translated(), stoppable() as stop, self.lease("import", 0.0, stop, ignore) as lease:
            return import_indexes(self, names, lease, everything=everything)

    def rebuild_state(self) -> State:
        """Write the state anew from the live server and the declared set; for a state that was lost or damaged.

        Of changes in phases that were under way it knows so much that they can be taken back.
        """
        from rvlstate.rebuilding import rebuild

        with self.translated(), stoppable() as stop, self.lease("state rebuild", 0.0, stop, ignore) as lease:
            return self.store.replace(rebuild(self), lease)

    def _world(self) -> World:
        return inspect_world(self.connection, self.store, self.desired)

    def _sampled(self, errand: Errand, world: World) -> World:
        """The world with what a look at some documents tells, where documents are to be rewritten."""
        rewrites = wanted_rewrites(errand.desired, world)
        if not rewrites:
            return world
        from rvlstate.runtime.sampling import take_samples

        return replace(world, samples=take_samples(self.connection, self.name, rewrites))

    def recorded_world(self) -> World:
        """The world as the state alone asks for it: declarations play no part in drift and status."""
        declared = declared_from(self.name, self.store.load())
        return inspect_world(self.connection, self.store, declared)


def _planned(errand: Errand, world: World, targets: tuple[str, ...], *, begun: bool = False) -> Plan:
    return errand.plan(world, targets, begun=begun, created_at=now_iso(), version=__version__)


def _is_settling(step: Step) -> bool:
    """Whether documents are in another layout when a step is done."""
    operation = step.operation
    return isinstance(operation, SettleDocuments) and operation.rewrite.touches_documents


def _unfinished(state: State) -> bool:
    return state.run is not None and not state.run.finished
