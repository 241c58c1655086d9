"""Admission: may this plan be carried out now, on what the server is at this moment, with what was agreed to?"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from rvlstate.errors import (
    ChangeRefusedError,
    HazardsNotAllowedError,
    PlanStaleError,
)
from rvlstate.model.state import State
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations import GiveUpRewrite
from rvlstate.plan.plan import Plan
from rvlstate.plan.rights import plan_needs
from rvlstate.plan.stale import differences
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.permissions import refuse_lacking

_USER = re.compile(r"(?<=://)[^/]*@")
OF_A_CHANGE = frozenset(
    {"LOSES_PRECISION", "QUERY_ENCODING_CHANGES", "RESULT_KEYS_CHANGE", "REWRITES_DOCUMENTS", "RUNS_USER_CODE"}
)
"""Hazards that follow from what is changed alone: who began a change in phases has agreed to them to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """What the user agreed to: hazard codes, seconds to wait for the lock; `reviewed`: all hazards of a saved plan.

    `replan`: nobody read the plan; if the world moved since, while the lock was waited for, that of now is as good.
    `command` is what was called, to be called again with more flags.
    """

    allow: tuple[str, ...] = ()
    lock_timeout: float = 0.0
    reviewed: bool = False
    replan: bool = False
    command: str = "apply"


def admit(plan: Plan, fresh: Plan, state: State, options: ApplyOptions, policy: tuple[str, ...]) -> Plan:
    """The plan to carry out: `plan` if the world is still what it was made for, `fresh` if its own run was interrupted.

    `fresh` is the plan made again under the lock. Raises PlanStaleError, ChangeRefusedError, HazardsNotAllowedError.
    """
    if not plan.lineage and _server_of(plan.address) != _server_of(fresh.address):
        # A server that holds no state cannot be told from another such one by what is on it.
        raise PlanStaleError((f"it was made for {plan.address or 'an unnamed server'}, this is {fresh.address}",))
    chosen = plan if plan.id == fresh.id and plan.server == fresh.server else _resumed_or_stale(plan, fresh, state)
    _refuse_blocked(chosen)
    _refuse_blocked(fresh)  # what speaks against it may have come since: memory, for instance
    allowed = {*options.allow, *policy, *_agreed_before(chosen, state), *_reviewed(plan, options)}
    _refuse_hazards(not_agreed(chosen, state, allowed), options.command)
    return chosen


def _server_of(address: str) -> str:
    """An address without the user: who may only read makes the plan, and who may write carries it out."""
    return _USER.sub("", address)


def _resumed_or_stale(plan: Plan, fresh: Plan, state: State) -> Plan:
    run = state.run
    if plan.project != fresh.project:
        raise PlanStaleError((f"it was made for project {plan.project}, this is {fresh.project}",))
    if run is not None and run.plan_id == plan.id:
        if run.finished:
            raise PlanStaleError((f"it was applied already, by run {run.id} of {run.who}, started {run.started}",))
        if fresh.desired_fingerprint == plan.desired_fingerprint:
            return fresh
    raise PlanStaleError(tuple(_what_moved(plan, fresh)))


def _what_moved(plan: Plan, fresh: Plan) -> list[str]:
    lines = []
    if plan.lineage != fresh.lineage:
        known = fresh.lineage or "none"
        lines.append(f"it was made for the state of lineage {plan.lineage or 'none'}, the server has {known}")
    elif plan.serial != fresh.serial:
        lines.append(f"the state moved from serial {plan.serial} to {fresh.serial}: something was applied since")
    lines += differences(plan.live, fresh.live)
    if plan.server != fresh.server:
        lines.append(
            f"the server was Redis {plan.server.redis} with search {plan.server.search}, "
            f"and is Redis {fresh.server.redis} with search {fresh.server.search}"
        )
    if plan.desired_fingerprint != fresh.desired_fingerprint:
        lines.append("the schema files or settings changed")
    return lines or ["it was limited to other targets"]


def _refuse_blocked(plan: Plan) -> None:
    refused = [reason for index in plan.indexes for reason in index.refused]
    if refused:
        names = sorted({index.name for index in plan.indexes if index.refused})
        others = [index.name for index in plan.indexes if index.name not in names and index.action != "no-op"]
        rest = f"apply the rest with {' '.join(f'--target {name}' for name in others)}" if others else "change them"
        raise ChangeRefusedError(tuple(refused), next_step=f"{rest}; nothing was written.")


def _agreed_before(plan: Plan, state: State) -> tuple[str, ...]:
    """What was agreed to for the run that was interrupted on the way to the same declared set."""
    run = state.run
    if run is None or run.finished or run.desired_fingerprint != plan.desired_fingerprint:
        return ()
    return run.allowed


def _reviewed(plan: Plan, options: ApplyOptions) -> tuple[str, ...]:
    return tuple(hazard.code for hazard in plan.hazards) if options.reviewed else ()


def not_agreed(plan: Plan, state: State, allowed: Container[str]) -> tuple[Hazard, ...]:
    """The hazards of a plan that nobody has agreed to: neither by their codes nor when their change was begun."""
    going_on = _going_on(plan, state)
    return tuple(
        sorted(
            {
                hazard
                for index in plan.indexes
                for hazard in index.hazards
                if hazard.code not in allowed and not (hazard.code in OF_A_CHANGE and index.name in going_on)
            }
        )
    )


def _going_on(plan: Plan, state: State) -> frozenset[str]:
    """The indexes whose change in phases was begun by an admitted run, and is not given up for another one."""
    given_up = {step.operation.name for step in plan.steps if isinstance(step.operation, GiveUpRewrite)}
    return frozenset(rewrite.name for rewrite in state.rewrites if rewrite.phased) - given_up


def _refuse_hazards(missing: tuple[Hazard, ...], command: str) -> None:
    if missing:
        codes = tuple(sorted({hazard.code for hazard in missing}))
        lines = tuple(f"! {hazard.code}: {hazard.message}" for hazard in missing)
        raise HazardsNotAllowedError(codes, lines, command=command)


def refuse_missing_permissions(connection: Connection, plan: Plan) -> None:
    """Raise PermissionMissingError, before anything is written, if the user may not do all that the plan leads to."""
    refuse_lacking(connection, plan_needs(plan))
