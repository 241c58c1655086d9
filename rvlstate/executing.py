"""Executing: a plan with everything around it that a run needs, held together for as long as the run lasts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from rvlstate.events import OnEvent
from rvlstate.model.state import State
from rvlstate.plan.plan import Plan
from rvlstate.runtime.apply import Execution
from rvlstate.runtime.drive import Driver
from rvlstate.runtime.fence import Fence
from rvlstate.runtime.hooks import HookRunner
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.listen import Listener
from rvlstate.runtime.live_journal import LiveJournal
from rvlstate.runtime.outcome import Report
from rvlstate.runtime.replicas import Replicas
from rvlstate.runtime.stop import StopRequest
from rvlstate.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a run works: its project, the lease that it holds, who may stop it, and who listens."""

    session: Session
    lease: Lease
    stop: StopRequest
    on_event: OnEvent


def carry_out(work: Workplace, plan: Plan, state: State, *, plan_id: str = "", operation: str = "apply") -> Report:
    """Walk the steps of a plan that was admitted; `plan_id` names the plan that was given, where this one goes on.

    Raises what `Execution.carry_out` does.
    """
    from rvlstate.runtime.desk import Desk, Whose  # brings numpy along, which plan can do without

    session, lease, stop = work.session, work.lease, work.stop
    connection, folder, run = session.connection, session.path.parent, uuid.uuid4().hex[:12]
    told = LiveJournal(session.journal, run, work.on_event)
    listener = Listener(connection.keys, session.name, lease=lease, stop=stop, on_event=told)
    records = {record.name: record for record in state.records}
    desk = Desk(
        connection=connection,
        whose=Whose(project=session.name, lineage=state.lineage, folder=folder, records=records),
        lease=lease,
        stop=stop,
        on_event=told,
        throttle=listener,
    )
    replicas = Replicas(connection, stop=stop, on_event=told)
    with listener, desk, replicas:
        execution = Execution(
            plan=plan,
            plan_id=plan_id or plan.id,
            url=connection.url,
            state=state,
            store=session.store,
            journal=session.journal,
            lease=lease,
            driver=Driver(
                connection,
                guard=lease.check,
                stop=stop,
                on_event=told,
                desk=desk,
                fence=Fence(lease, session.name) if "atomic_takeover" in plan.server.capabilities else None,
                hooks=HookRunner(project=session.name, folder=folder, stop=stop, guard=lease.check),
                replicas=replicas if session.desired.policy.await_replicas else None,
            ),
            stop=stop,
            on_event=told,
            run=run,
            operation=operation,
        )
        desk.note_settled = execution.note_settled
        report = execution.carry_out(identify(), tuple(hazard.code for hazard in plan.hazards))
        return replace(report, warnings=tuple(replicas.warnings))
