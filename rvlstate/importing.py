"""Import: take live indexes into management, with schema files that plan as empty."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rvlstate.diff.compare import compare
from rvlstate.errors import SpecError, UsageError
from rvlstate.files.atomic import write_atomically
from rvlstate.files.names import name_fault, shown
from rvlstate.files.schema_dump import dump_schema
from rvlstate.files.settings_edit import add_index_settings
from rvlstate.model.address import REVISION
from rvlstate.model.catalog import Catalog, LiveIndex
from rvlstate.model.state import Record, State
from rvlstate.plan.build import candidate_names
from rvlstate.plan.recovery import forgotten
from rvlstate.plan.situation import World
from rvlstate.runtime.identity import identify
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.profile import inspect_server
from rvlstate.runtime.world import with_copies

if TYPE_CHECKING:
    from rvlstate.project import Imported, Project

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def import_indexes(project: Project, names: tuple[str, ...], lease: Lease, *, everything: bool) -> tuple[Imported, ...]:
    """Write schema files for `names` (or all that is not managed) and record them, all or none.

    Raises UsageError for a name that nothing answers to or that cannot be declared, SpecError where a file is in the
    way.
    """
    world = _world(project, names)
    chosen = {**_unmanaged(world), **_asked(names, world)} if everything else _asked(names, world)
    _refuse_undeclarable(chosen)
    files = _files(project, [name for name in sorted(chosen) if project.desired.index(name) is None])
    _refuse_overwriting(files)
    imported = tuple(_write(project, world, name, chosen[name], files.get(name)) for name in sorted(chosen))
    state = world.state
    for name in sorted(chosen):
        index = chosen[name]
        definition, counted = world.definition(index), index.statistics.failures
        state = state.with_record(Record(name=name, physical=index.name, definition=definition, counted=counted))
    project.store.save(state, lease)
    if imported:
        done = {item.name: f"take {item.physical} into the state as {item.name}" for item in imported}
        project.journal.note_done(
            uuid.uuid4().hex[:12], operation="import", lock_id=lease.id, identity=identify(), steps=done
        )
    return imported


def _world(project: Project, names: tuple[str, ...]) -> World:
    state: State = project.store.load()
    profile = inspect_server(project.connection)
    asked = candidate_names(project.desired, state) | set(names)
    catalog = inspect_catalog(project.connection, asked, profile)
    # Servers before 8.10 cannot list aliases: a name like products@3 suggests one to ask for.
    bases = {match["name"].strip("{}") for index in catalog.indexes for match in (REVISION.match(index.name),) if match}
    if bases - asked:
        catalog = inspect_catalog(project.connection, asked | bases, profile)
    foreign = project.store.foreign()
    world = World(catalog=catalog, state=state, server=profile, foreign=foreign, project=project.name)
    return with_copies(project.connection, world, project.store.projects)


def _asked(names: tuple[str, ...], world: World) -> dict[str, LiveIndex]:
    found = {}
    for name in names:
        index = world.catalog.index(world.catalog.resolve(name) or "")
        if index is None:
            known = sorted({index.name for index in world.catalog.indexes} | {a for a, _ in world.catalog.aliases})
            raise UsageError(
                f"no index and no alias answers to {name}",
                next_step=f"the server has: {', '.join(known[:20]) or 'no index at all'}",
            )
        if REVISION.match(name):
            raise UsageError(
                f"{name} is the name of a revision, not one to declare",
                next_step=f"import it by its alias, or give it one first: FT.ALIASADD <name> {name}",
            )
        if index.name in world.foreign:
            raise UsageError(
                f"{index.name} is managed by project {world.foreign[index.name]} on this server",
                next_step="leave it there: two projects that manage one index undo each other's work.",
            )
        if index.name in forgotten(world):
            raise UsageError(
                f"{name} answers from {index.name}, which is over staged copies of a change, and no index to declare",
                next_step="rvlstate status says what is under way; where the state was lost, rvlstate state rebuild "
                "takes the change up again.",
            )
        found[name] = index
    return found


def _unmanaged(world: World) -> dict[str, LiveIndex]:
    """Everything that no record names, by the name that applications use."""
    managed = {record.physical for record in world.state.records} | {i.physical for i in world.state.intents}
    managed |= {*world.foreign, *forgotten(world), *(record.name for record in world.state.records)}
    return {
        _public_name(index, world.catalog): index
        for index in world.catalog.indexes
        if index.name not in managed and not _is_bare_revision(index, world.catalog)
    }


def _public_name(index: LiveIndex, catalog: Catalog) -> str:
    aliases = [alias for alias, target in catalog.aliases if target == index.name]
    return aliases[0] if aliases and REVISION.match(index.name) else index.name


def _is_bare_revision(index: LiveIndex, catalog: Catalog) -> bool:
    """A revision that no known alias leads to cannot be declared under its own name."""
    return REVISION.match(index.name) is not None and index.name not in {target for _, target in catalog.aliases}


def _files(project: Project, names: list[str]) -> dict[str, Path]:
    """A schema file for each name; names that differ only in what a file name cannot hold get numbers."""
    files: dict[str, Path] = {}
    for name in names:
        stem = UNSAFE.sub("_", name).strip(".") or "index"
        numbered = (f"{stem}-{number}" if number > 1 else stem for number in itertools.count(1))
        paths = (project.schema_folder / f"{part}.yaml" for part in numbered)
        files[name] = next(path for path in paths if path not in files.values())
    return files


def _refuse_undeclarable(names: Iterable[str]) -> None:
    """A name that no schema file may have would stop every command once its file was there."""
    for name in sorted(names):
        if fault := name_fault(name):
            raise UsageError(
                f"the index name {shown(name)} {fault}, so that it cannot be declared",
                why="Nothing was written.",
                next_step="give it an alias (FT.ALIASADD) or another name, or import the other indexes by their names.",
            )


def _refuse_overwriting(files: dict[str, Path]) -> None:
    for name, path in files.items():
        if path.exists():
            raise SpecError(
                f"this file is in the way of the schema of {name}",
                file=path.as_posix(),
                next_step="rename it, or declare the index in it and import again; nothing was written.",
            )


def _write(project: Project, world: World, name: str, index: LiveIndex, path: Path | None) -> Imported:
    from rvlstate.project import Imported

    dumped = dump_schema(name, world.definition(index))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, dumped.text)
        if dumped.settings:
            text = project.path.read_text(encoding="utf-8")
            write_atomically(project.path, add_index_settings(text, name, dumped.settings))
    declared = project.desired.index(name)
    return Imported(
        name=name,
        physical=index.name,
        file=str(path) if path else (declared.source if declared else ""),
        written=path is not None,
        unrevealed=dumped.unrevealed,
        settings=dumped.settings,
        differs=declared is not None and bool(compare(name, world.definition(index), declared.definition).facts),
    )
