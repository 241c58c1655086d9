"""The folder of a backup: made and checked before anything is written to the server, found again for a rollback."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from rvlstate.errors import GateFailedError
from rvlstate.runtime.backup.manifest import Manifest, dump_manifest, load_manifest
from rvlstate.runtime.clock import now_iso

MANIFEST = "manifest.json"
SEGMENT = re.compile(r"(\d{6,})\.segment")

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
"""Documents may be private: nobody but the user may read them."""

LEAST_FREE = 1 << 20
"""Bytes that must be free on the disk even for the smallest backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that is there: its own folder and what its manifest says."""

    folder: Path
    manifest: Manifest


def prepare(parent: str | Path, manifest: Manifest, *, expected_bytes: int = 0, begun: bool = False) -> Path:
    """The folder of the backup below `parent`, made with its manifest, or found as that of the same rewrite.

    Called before anything is written to the server; `begun` tells that documents may have been written since, so that a
    backup must be there. Raises GateFailedError if documents cannot be kept there: no
    folder, not writable, not `expected_bytes` free, a backup of something else.
    """
    folder = Path(parent) / quote(manifest.rewrite.id, safe="")
    try:
        _make_folder(Path(parent))
        _make_folder(folder)
        found = _existing(folder)
        if found is None and begun:
            raise _lost(folder)
        if found is None or not any(segments(folder)):
            _write_manifest(folder, replace(manifest, created_at=manifest.created_at or now_iso()))
        else:
            _refuse_another(folder, manifest.differences(found))
            _try_to_write(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    if free < max(expected_bytes, LEAST_FREE):
        raise _unusable(folder, f"{free:,} bytes are free on this disk, {max(expected_bytes, LEAST_FREE):,} are needed")
    return folder


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a backup with their numbers, in the order in which they were begun."""
    return sorted((int(match[1]), path) for path in folder.iterdir() if (match := SEGMENT.fullmatch(path.name)))


def find_backups(parent: str | Path, project: str, name: str) -> tuple[Backup, ...]:
    """The backups of an index in a folder, or in the folders below it, newest first; () if there is none."""
    found = [backup for backup in _manifests(Path(parent)) if _is_of(backup.manifest, project, name)]
    return tuple(sorted(found, key=lambda backup: (backup.manifest.created_at, backup.folder.name), reverse=True))


def _manifests(parent: Path) -> Iterator[Backup]:
    try:
        folders = [parent, *sorted(path for path in parent.iterdir() if path.is_dir())]
        for folder in folders:
            manifest = _existing(folder)
            if manifest is not None:
                yield Backup(folder=folder, manifest=manifest)
    except FileNotFoundError:
        return
    except OSError as error:
        raise GateFailedError(
            f"the folder of backups cannot be read: {parent}",
            why=f"{error.strerror or error}. Nothing was written.",
            next_step="name the folder with --backup DIR, or run as the user who made the backup.",
        ) from error


def _is_of(manifest: Manifest, project: str, name: str) -> bool:
    return manifest.project == project and manifest.rewrite.name == name


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
    sync_folder(folder.parent)


def _existing(folder: Path) -> Manifest | None:
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return load_manifest(text, str(path))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    temporary = folder / f".{MANIFEST}.{os.getpid()}"
    _write_synced(temporary, dump_manifest(manifest).encode())
    temporary.replace(folder / MANIFEST)
    sync_folder(folder)


def _try_to_write(folder: Path) -> None:
    probe = folder / f".probe.{os.getpid()}"
    _write_synced(probe, b"probe")
    probe.unlink()


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_another(folder: Path, differences: tuple[str, ...]) -> None:
    if differences:
        raise GateFailedError(
            f"there is a backup of something else in {folder}",
            why="\n".join((*differences, "Nothing was written.")),
            next_step="move that folder away, or set backup: to another one.",
        )


def _lost(folder: Path) -> GateFailedError:
    return GateFailedError(
        f"the backup is gone from {folder}, or never was there",
        why="An earlier run began the change, with a backup that may hold the only originals, or with none.\n"
        "A new one would hold the rest, and look whole. Nothing was written.",
        next_step="bring the folder back; or take backup: out of the settings, which gives up the way back, and apply.",
    )


def _unusable(folder: Path, why: str) -> GateFailedError:
    return GateFailedError(
        f"original values cannot be kept in {folder}",
        why=f"{why}. Nothing was written.",
        next_step="mend that, set backup: to another folder, or declare no backup (there is no rollback then).",
    )
