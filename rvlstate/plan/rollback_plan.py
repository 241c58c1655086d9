"""A rollback as a plan of its own, and as what is told about it before anything is done.

There are two: from a backup, which restores documents, and from a change in phases that touched none of them yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.fingerprint import fingerprint
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.effects import Restored
from rvlstate.plan.impact import Costs, estimate_build
from rvlstate.plan.operations import AnyOperation, CreateIndex, RestoreDocuments
from rvlstate.plan.phases import present
from rvlstate.plan.plan import Impact, IndexPlan, Plan, Server, Step
from rvlstate.plan.rollback import Rollback, rollback_steps
from rvlstate.plan.situation import World
from rvlstate.plan.way_back import way_back


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Retreat:
    """What leads back from a change in phases before its documents are put in place; told before anything is done.

    `rewrite` is the change as it stands. `newer` is how many documents are in the new layout, 0 for none, None where
    nobody can tell: the old index does not find them. `rebuilds` tells that the old index is gone and is built again,
    in about `seconds`, while the new one goes on answering.
    """

    rewrite: Rewrite
    plan: Plan
    world: World
    newer: int | None
    rebuilds: bool
    seconds: float


RESTORE_SECONDS = 100e-6
"""Seconds a document for reading it from the backup and putting it back (measured: 108 us at 768 dims, 44 at 8)."""


def rollback_plan(rollback: Rollback, world: World, *, project: str, rows: int, created_at: str, version: str) -> Plan:
    """The rollback as a plan, to be carried out as any other; `rows` are in the backup."""
    name, operations = rollback.name, rollback_steps(rollback, world)
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
    told = Told(project=project, created_at=created_at, version=version)
    return _as_plan(rollback.rewrite, index, operations, world, told)


def retreat_plan(begun: Rewrite, world: World, *, project: str, created_at: str, version: str) -> Plan:
    """The way back from a change in phases as a plan; without steps where only a backup leads back."""
    rewrite, operations = present(begun, world), way_back(begun, world)
    builds = next((item for item in operations if isinstance(item, CreateIndex)), None)
    current = world.catalog.index(world.catalog.resolve(rewrite.name) or "")
    costs = Costs(server=world.server, build_rate=world.state.build_rate(rewrite.name))
    index = IndexPlan(
        name=rewrite.name,
        action="update",
        classification="shadow",
        physical_before=current.name if current else None,
        physical_after=builds.physical if builds else rewrite.physical,
        hazards=tuple(sorted({hazard for operation in operations for hazard in operation.hazards})),
        impact=estimate_build(rewrite.before, current, costs) if builds else Impact(documents=rewrite.documents),
    )
    told = Told(project=project, created_at=created_at, version=version)
    return _as_plan(rewrite, index, operations, world, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a plan says about itself."""

    project: str
    created_at: str
    version: str


def _as_plan(
    rewrite: Rewrite, index: IndexPlan, operations: tuple[AnyOperation, ...], world: World, told: Told
) -> Plan:
    """One operation after the other."""
    name, server = rewrite.name, world.server
    steps = tuple(
        Step(
            id=f"{name}/{number}",
            index=name,
            operation=operation,
            needs=(f"{name}/{number - 1}",) if number > 1 else (),
        )
        for number, operation in enumerate(operations, start=1)
    )
    return Plan(
        project=told.project,
        lineage=world.state.lineage,
        serial=world.state.serial,
        server=Server(
            redis=server.redis,
            search=server.search,
            cluster=server.cluster,
            capabilities=tuple(sorted(server.capabilities)),
        ),
        live_fingerprint=fingerprint(["rollback", rewrite.id]),
        desired_fingerprint=fingerprint(["rollback", name, rewrite.id]),
        live={},
        indexes=(index,),
        steps=steps,
        targets=(name,),
        address=world.address,
        created_at=told.created_at,
        rvlstate_version=told.version,
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
