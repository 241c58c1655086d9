"""Rewrites that are carried out and taken back on a real server, without plan, lock and command line."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from document_kit import Unlocked

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import TagField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.model.transform import Cast, Copy, TransformStep
from rvlstate.plan.effects import Restored, Sweep, Tally
from rvlstate.runtime.backup.folder import prepare
from rvlstate.runtime.backup.manifest import Manifest
from rvlstate.runtime.backup.writer import BackupWriter
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.documents.restore import Restoring
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.documents.worker import DocumentWorker

PROJECT = "shop"
WIDE, NARROW = VectorShape(datatype="float32", dims=4), VectorShape(datatype="float16", dims=4)


class StoppedError(Exception):
    """A run that was stopped by a test."""


@dataclass
class Pace:
    """Lets so many batches go, then stops the run; None: all."""

    batches: int | None = None
    reason: str = ""

    def admit(self, _documents: int) -> None:
        """Count a batch."""
        if self.batches is not None:
            if not self.batches:
                raise StoppedError
            self.batches -= 1

    def note(self, _documents: int, _seconds: float) -> None:
        """Nothing is learnt."""


@dataclass(kw_only=True)
class Bench:
    """A server, a rewrite, and the folder of its backup."""

    connection: Connection
    client: Any
    rewrite: Rewrite
    parent: Path
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        """What the backup says of itself."""
        return Manifest(project=PROJECT, lineage="lineage", server="redis://server", rewrite=self.rewrite)

    @property
    def folder(self) -> Path:
        """The folder of the backup, made ready."""
        return prepare(self.parent, self.manifest)

    def sweep(self) -> Tally:
        """One pass forward, with its originals kept."""
        with BackupWriter(self.folder) as originals:
            worker = DocumentWorker(
                self.connection,
                PROJECT,
                lease=Unlocked(),
                guard=lambda: None,
                pacer=Pace(),
                functions=self.functions,
                tell=lambda *_told: None,
                originals=originals,
            )
            return worker.sweep(Sweep(rewrite=self.rewrite, mode="write"))

    def restoring(self, *, batch_size: int = 500, batches: int | None = None) -> Restoring:
        """What takes it back; it is stopped after so many batches."""
        return Restoring(
            connection=self.connection,
            project=PROJECT,
            rewrite=self.rewrite,
            folder=self.folder,
            clustered=is_clustered(self.connection),
            batch_size=batch_size,
            pacer=Pace(batches),
            lease=Unlocked(),
            before_write=lambda: None,
            tell=lambda _restored: None,
        )

    def restore(self, **options: Any) -> Restored:
        """All taken back."""
        return self.restoring(**options).put_back()


def open_bench(url: str, client: Any, parent: Path, rewrite: Rewrite) -> Bench:
    """A bench on a server."""
    return Bench(connection=connect(url), client=client, rewrite=rewrite, parent=parent)


def rewrite_of(*fields: FieldRewrite, storage: str = "hash", **changes: Any) -> Rewrite:
    """A recreate over documents `doc:`."""
    before = IndexDefinition(storage=storage, prefixes=("doc:",), fields=(TagField(name="t", identifier="t"),))  # type: ignore[arg-type]
    given: dict[str, Any] = {"before": before, "after": before, **changes}
    return Rewrite(id="products-3", name="products", strategy="recreate", fields=fields, **given)


def vector_cast(name: str = "v") -> FieldRewrite:
    """float32 to float16 in the same field."""
    return FieldRewrite(
        field=name,
        reads=(Source(identifier=name, kind="vector", shape=WIDE),),
        steps=(Cast(),),
        writes=Source(identifier=name, kind="vector", shape=NARROW),
        layout="length",
    )


def renamed(old: str, new: str, *, kind: str = "text", steps: tuple[TransformStep, ...] = (Copy(),)) -> FieldRewrite:
    """A value that moves to another place in its document."""
    return FieldRewrite(
        field=new,
        reads=(Source(identifier=old, kind=kind),),  # type: ignore[arg-type]
        steps=steps,
        writes=Source(identifier=new, kind=kind),  # type: ignore[arg-type]
        removes=(old,),
        layout="absence",
    )


def wide(number: float) -> bytes:
    """A vector in the old layout."""
    return struct.pack("<4f", number, number + 1, number + 2, number + 3)


def narrow(number: float) -> bytes:
    """The same in the new one."""
    return struct.pack("<4e", number, number + 1, number + 2, number + 3)
