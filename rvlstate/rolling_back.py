"""Rolling back: from a folder with original values to a plan that takes a change of documents back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rvlstate import __version__
from rvlstate.errors import ChangeRefusedError, UsageError
from rvlstate.model.state import State
from rvlstate.plan.build import candidate_names
from rvlstate.plan.effects import Pace
from rvlstate.plan.rollback import Rollback, rollback_refusals
from rvlstate.plan.rollback_plan import Proposal, rollback_plan
from rvlstate.plan.situation import World
from rvlstate.runtime.backup.folder import Backup, find_backups
from rvlstate.runtime.backup.reader import verify
from rvlstate.runtime.clock import now_iso
from rvlstate.runtime.documents.restore import sample_restoration
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.profile import inspect_server

if TYPE_CHECKING:
    from rvlstate.project import Project

SAMPLED_ROWS = 1000


def propose(project: Project, name: str, backup: str | Path | None = None) -> Proposal:
    """What a rollback of `name` would do, from `backup` (by default its declared folder); the whole backup is read.

    Nothing is written. Raises UsageError for a name that is not managed, ChangeRefusedError where there is no backup,
    one of something else, or nothing to take back.
    """
    state = project.store.load()
    if state.record(name) is None and state.rewrite(name) is None:
        known = sorted({*(record.name for record in state.records), *(rewrite.name for rewrite in state.rewrites)})
        raise UsageError(
            f"{name} is not managed by this project",
            next_step=f"choose from: {', '.join(known) or 'nothing is managed yet'}",
        )
    found = _backup(project, name, backup, state)
    rollback = _rollback(project, found, state)
    world = _world(project, rollback, state)
    refusals = rollback_refusals(rollback, world)
    if refusals:
        raise ChangeRefusedError(refusals)
    return _proposal(project, found, rollback, world)


def _proposal(project: Project, found: Backup, rollback: Rollback, world: World) -> Proposal:
    """The plan with the figures; everything in the backup is read, since later is too late to find it damaged."""
    verified = verify(found.folder)
    rewrite = rollback.rewrite
    complete = world.state.rewrite(rewrite.name) is None
    if complete and rewrite.strategy == "recreate" and rewrite.documents and not verified.rows + verified.damaged:
        raise ChangeRefusedError(
            (f"{rewrite.name}: there are no original values in {found.folder}: the old index would find nothing",),
            next_step="name the folder with --backup DIR if it was moved, or declare the index as it was, and apply.",
        )
    plan = rollback_plan(
        rollback, world, project=project.name, rows=verified.rows, created_at=now_iso(), version=__version__
    )
    (index,) = plan.indexes
    return Proposal(
        rollback=rollback,
        plan=plan,
        world=world,
        created_at=found.manifest.created_at,
        rows=verified.rows,
        bytes=verified.bytes,
        damaged=verified.damaged,
        sample=sample_restoration(project.connection, project.name, rollback.rewrite, found.folder, rows=SAMPLED_ROWS),
        seconds=index.impact.estimated_seconds,
        searchable=not index.impact.search_downtime_seconds,
    )


def _backup(project: Project, name: str, named: str | Path | None, state: State) -> Backup:
    """The backup of the change that is under way, else the newest one."""
    declared = project.desired.index(name)
    own = project.path.parent / declared.backup if declared and declared.backup else None
    folder = Path(named) if named else own
    if folder is None:
        raise ChangeRefusedError(
            (f"{name}: no folder with original values is declared (indexes.{name}.backup) or named",),
            next_step="name it with --backup DIR. Without a backup what was overwritten cannot be had back.",
        )
    pending = state.rewrite(name)
    backups = find_backups(folder, project.name, name)
    fitting = [one for one in backups if pending is None or one.manifest.rewrite.id == pending.id]
    if not fitting:
        which = f" of the change that was begun ({pending.id})" if pending is not None and backups else ""
        raise ChangeRefusedError(
            (f"{name}: there is no backup{which} in {folder}",),
            next_step="name the folder with --backup DIR. Without a backup what was overwritten cannot be had back.",
        )
    _refuse_elsewhere(project, fitting[0], state)
    return fitting[0]


def _refuse_elsewhere(project: Project, backup: Backup, state: State) -> None:
    """Refuse originals of other documents: those of a state of another lineage, on another server."""
    manifest = backup.manifest
    if manifest.lineage != state.lineage and manifest.server != project.connection.url:
        raise ChangeRefusedError(
            (f"{manifest.rewrite.name}: the backup in {backup.folder} is of other documents ({manifest.server})",),
            next_step="name the backup that was made on this server with --backup DIR.",
        )


def _rollback(project: Project, backup: Backup, state: State) -> Rollback:
    """What is to be taken back; the state knows best how far the change got."""
    manifest = backup.manifest
    rewrite = state.rewrite(manifest.rewrite.name) or manifest.rewrite
    declared = project.desired.index(rewrite.name)
    pace = Pace()
    if declared is not None:
        pace = Pace(batch_size=declared.batch_size, max_docs_per_second=declared.max_docs_per_second)
    return Rollback(rewrite=rewrite, backup=str(backup.folder), record=manifest.record, pace=pace)


def _world(project: Project, rollback: Rollback, state: State) -> World:
    profile = inspect_server(project.connection)
    names = candidate_names(project.desired, state) | {rollback.name, rollback.rewrite.physical}
    catalog = inspect_catalog(project.connection, names | set(rollback.rewrite.aliases), profile)
    return World(
        catalog=catalog,
        state=state,
        server=profile,
        foreign=project.store.foreign(),
        address=project.connection.url,
    )
