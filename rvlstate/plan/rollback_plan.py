"""A rollback as a plan of its own, and as what is told about it before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.effects import Restored
from rvlstate.plan.impact import Costs, estimate_build
from rvlstate.plan.operations import CreateIndex, RestoreDocuments
from rvlstate.plan.plan import Impact, IndexPlan, Plan, Server, Step
from rvlstate.plan.rollback import Rollback, rollback_steps
from rvlstate.plan.situation import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a rollback would do, told before anything is done.

    `rows` are in the backup, of which `damaged` cannot be read, in `bytes` on the disk; `created_at` says since when.
    `sample` is what would come of some of them now. `seconds` is an estimate, in which nothing answers unless
    `searchable`.
    """

    rollback: Rollback
    plan: Plan
    world: World
    created_at: str
    rows: int
    bytes: int
    damaged: int
    sample: Restored
    seconds: float
    searchable: bool


RESTORE_SECONDS = 100e-6
"""Seconds a document for reading it from the backup and putting it back (measured: 108 us at 768 dims, 44 at 8)."""


def rollback_plan(rollback: Rollback, world: World, *, project: str, rows: int, created_at: str, version: str) -> Plan:
    """The rollback as a plan, to be carried out as any other; `rows` are in the backup."""
    name, operations = rollback.name, rollback_steps(rollback, world)
    steps = tuple(
        Step(
            id=f"{name}/{number}",
            index=name,
            operation=operation,
            needs=(f"{name}/{number - 1}",) if number > 1 else (),
        )
        for number, operation in enumerate(operations, start=1)
    )
    restore, create = operations[:2]
    impact = _impact(rollback, world, rows, searchable=isinstance(restore, RestoreDocuments) and restore.searchable)
    index = IndexPlan(
        name=name,
        action="update",
        classification="recreate",
        physical_before=world.catalog.resolve(name),
        physical_after=create.physical if isinstance(create, CreateIndex) else None,
        hazards=tuple(sorted({hazard for operation in operations for hazard in operation.hazards})),
        impact=impact,
    )
    server = world.server
    return Plan(
        project=project,
        lineage=world.state.lineage,
        serial=world.state.serial,
        server=Server(
            redis=server.redis,
            search=server.search,
            cluster=server.cluster,
            capabilities=tuple(sorted(server.capabilities)),
        ),
        live_fingerprint=fingerprint(["rollback", rollback.rewrite.id]),
        desired_fingerprint=fingerprint(["rollback", name, rollback.rewrite.id]),
        live={},
        indexes=(index,),
        steps=steps,
        targets=(name,),
        address=world.address,
        created_at=created_at,
        rvlstate_version=version,
    )


def _impact(rollback: Rollback, world: World, rows: int, *, searchable: bool) -> Impact:
    """Restoring, then building the old index, as far as an index over the same documents tells."""
    current = world.catalog.index(world.catalog.resolve(rollback.name) or "")
    costs = Costs(server=world.server, build_rate=world.state.build_rate(rollback.name))
    build = estimate_build(rollback.rewrite.before, current, costs, replaces=True)
    seconds = round(rows * RESTORE_SECONDS + (0.0 if searchable else build.estimated_seconds), 3)
    return replace(
        build,
        documents=rollback.rewrite.documents,
        documents_written=rows,
        estimated_seconds=seconds,
        search_downtime_seconds=0.0 if searchable else seconds,
    )
