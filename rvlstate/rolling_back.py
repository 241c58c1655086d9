"""Rolling back: a plan that takes a change back, by its phases, or from a folder with original values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rvlstate import __version__
from rvlstate.errors import ChangeRefusedError
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.build import candidate_names
from rvlstate.plan.effects import Pace
from rvlstate.plan.operations import CreateIndex
from rvlstate.plan.phases import companions, lost_words, present
from rvlstate.plan.rights import change_needs
from rvlstate.plan.rollback import Rollback, rollback_refusals
from rvlstate.plan.rollback_plan import Proposal, Retreat, retreat_plan, rollback_plan
from rvlstate.plan.situation import World
from rvlstate.plan.steering import require_managed
from rvlstate.runtime.backup.folder import Backup, find_backups
from rvlstate.runtime.backup.reader import verify
from rvlstate.runtime.clock import now_iso, now_ms
from rvlstate.runtime.documents.restore import sample_restoration
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.permissions import refuse_lacking
from rvlstate.runtime.profile import inspect_server
from rvlstate.runtime.sampling import take_samples

if TYPE_CHECKING:
    from rvlstate.project import Project

SAMPLED_ROWS = 1000


def propose(project: Project, name: str, backup: str | Path | None = None) -> Proposal | Retreat:
    """What a rollback of `name` would do: by the phases of its change, or from a backup, which is read as a whole.

    `backup` is the folder, by default the declared one. Nothing is written. Raises UsageError for a name that is not
    managed, ChangeRefusedError where there is no backup, one of something else, or nothing to take back.
    """
    state = project.store.load()
    require_managed(name, state)
    begun = state.rewrite(name)
    if begun is not None and begun.phased:
        world = _world_of(project, begun, state)
        if present(begun, world).phase != "promoting":
            return _retreat(project, begun, world)
        _refuse_without_backup(project, begun, backup)
    found = _backup(project, name, backup, state)
    rollback = _rollback(project, found, state)
    world = _world_of(project, rollback.rewrite, state)
    refusals = rollback_refusals(rollback, world)
    if refusals:
        raise ChangeRefusedError(refusals)
    return _proposal(project, found, rollback, world)


def refuse_missing_rights(project: Project, name: str) -> None:
    """Raise PermissionMissingError before there is a lock, as far as the change under way tells what will be needed."""
    with project.translated():
        begun = project.store.load().rewrite(name)
        if begun is not None:
            refuse_lacking(project.connection, change_needs(project.name, begun, phases=True, backup=not begun.phased))


def _retreat(project: Project, begun: Rewrite, world: World) -> Retreat:
    """The way back while no document was touched."""
    plan = retreat_plan(begun, world, project=project.name, created_at=now_iso(), version=__version__)
    rewrite, (index,) = present(begun, world), plan.indexes
    rebuilds = any(isinstance(step.operation, CreateIndex) for step in plan.steps)
    return Retreat(
        rewrite=rewrite,
        plan=plan,
        world=world,
        newer=_newer(project, rewrite),
        rebuilds=rebuilds,
        seconds=index.impact.estimated_seconds if rebuilds else 0.0,
    )


def _newer(project: Project, rewrite: Rewrite) -> int | None:
    """About how many documents are in the new layout, by a look at some; None where they do not tell."""
    if not rewrite.touches_documents:
        return None if rewrite.is_lost else 0
    if rewrite.strategy != "staged" or not rewrite.told_by_content or rewrite.moves:
        return None
    sample = take_samples(project.connection, project.name, {rewrite.name: rewrite})[rewrite.name]
    done = max(sample.documents - sample.todo, 0)
    return round(max(rewrite.documents, sample.documents) * done / sample.documents) if sample.documents else 0


def _refuse_without_backup(project: Project, begun: Rewrite, named: str | Path | None) -> None:
    """Raise ChangeRefusedError for a change whose documents are being put in place, with nothing to restore from."""
    name, declared = begun.name, project.desired.index(begun.name)
    if named or (declared is not None and declared.backup):
        return
    if begun.is_lost:
        raise ChangeRefusedError((f"{name}: {lost_words(begun)}.",), what="there is no way back from here")
    raise ChangeRefusedError(
        (
            (
                f"{name}: its documents are being put in place, and the original values of {begun.documents:,} of them "
                f"are gone, or will be; indexes.{name}.backup keeps them next time."
            ),
        ),
        what="there is no way back from here",
        next_step=f"finish it with rvlstate complete {name}; then declare the old definition and apply, which converts "
        "back where that is possible.",
    )


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
    begun = state.rewrite(manifest.rewrite.name)
    rewrite = begun if begun is not None and not begun.is_lost else manifest.rewrite
    if rewrite.phased:
        # From here on its phases say nothing any more: documents are restored one by one, with the new index gone.
        rewrite = replace(rewrite, strategy="recreate")
    declared = project.desired.index(rewrite.name)
    pace = Pace()
    if declared is not None:
        pace = Pace(batch_size=declared.batch_size, max_docs_per_second=declared.max_docs_per_second)
    return Rollback(rewrite=rewrite, backup=str(backup.folder), record=manifest.record, pace=pace)


def _world_of(project: Project, rewrite: Rewrite, state: State) -> World:
    profile = inspect_server(project.connection)
    names = candidate_names(project.desired, state) | {rewrite.name, rewrite.physical, *companions(rewrite.name)}
    catalog = inspect_catalog(project.connection, names | set(rewrite.aliases), profile)
    return World(
        catalog=catalog,
        state=state,
        server=profile,
        foreign=project.store.foreign(),
        address=project.connection.url,
        project=project.name,
        now=now_ms(),
    )
