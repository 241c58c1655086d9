"""Restore documents: the original values of a backup go back, guarded; and the end of a rollback."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.catalog import Catalog
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.commands import INSPECTING, putting_back, tidying
from rvlstate.plan.effects import Flow, Pace, Report, Restore, Restored, Tidy
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations.base import Defaults, shell_words
from rvlstate.plan.operations.drop_index import DropIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreDocuments(Defaults):
    """Drop `drops`, then write the original values in the folder `backup` into the documents that still hold ours.

    From its first moment on the change of documents counts as begun and not complete: whoever is killed here goes back
    by another rollback, or forward by an apply. `searchable` tells that the old index serves all the while.
    """

    operation: Literal["restore_documents"] = "restore_documents"
    name: str
    rewrite: Rewrite
    backup: str
    pace: Pace
    drops: tuple[str, ...] = ()
    atomic: bool = True
    searchable: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        drop = f"drop {', '.join(self.drops)} and " if self.drops else ""
        return f"{drop}restore the documents of {self.name}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "declare the change again and apply: the documents are transformed anew"

    @property
    def reversible(self) -> bool:
        """The transform would have to run again."""
        return False

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """Documents are written, and search stops unless the old index serves."""
        rewrites = Hazard(
            code="REWRITES_DOCUMENTS",
            message=f"documents of {self.name} get the values that they had before; newer writes stay as they are.",
        )
        downtime = Hazard(
            code="SEARCH_DOWNTIME",
            message=f"{self.name} answers nothing from the drop until the old index is built again.",
        )
        return (rewrites,) if self.searchable else (rewrites, downtime)

    @property
    def commands(self) -> tuple[str, ...]:
        """The drops; for documents in words, since the keys are in the backup."""
        drops = tuple(shell_words(("FT.DROPINDEX", physical)) for physical in self.drops)
        return (*drops, "EVALSHA ... for each document of the backup that still holds what was written")

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        script = ("EVAL",) if self.atomic else ()
        return (*INSPECTING, "FT.DROPINDEX", *script, *putting_back(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """What was dropped is gone, and its aliases with it."""
        for physical in self.drops:
            catalog = catalog.without_index(physical)
        return catalog

    def intend(self, state: State) -> State:
        """The documents are in both layouts from here on, and the index that serves may be gone."""
        dropped = self.rewrite.dropped or not self.searchable
        return state.with_rewrite(replace(self.rewrite, dropped=dropped))

    def record(self, state: State) -> State:
        """Nothing of ours has the names of what was dropped."""
        for physical in self.drops:
            state = state.without_intent(physical)
        return state

    def flow(self) -> Flow:
        """Drop first: rewriting under a vector index would build it document by document."""
        for physical in self.drops:
            yield from DropIndex(physical=physical, because="recreated", atomic=self.atomic).flow()
        restored: Restored = yield Restore(rewrite=self.rewrite, backup=self.backup, pace=self.pace)
        yield Report(_note(restored), done=restored.rows, total=restored.rows, figures=figures_of_restored(restored))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRollback(Defaults):
    """The change of documents is taken back: what was kept beside the documents goes, and nothing is begun any more."""

    operation: Literal["finish_rollback"] = "finish_rollback"
    name: str
    rewrite: Rewrite

    @property
    def summary(self) -> str:
        """What it does."""
        return f"complete the rollback of {self.name}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return tidying()

    def record(self, state: State) -> State:
        """No change of documents is begun, what was dropped for it is nobody's, and late writes are none by it."""
        state = state.without_rewrite(self.name)
        record = state.record(self.name)
        serves = record.physical if record else ""
        for physical in sorted({self.rewrite.physical, self.rewrite.target, self.rewrite.interim} - {serves}):
            state = state.without_intent(physical)
        if record is None or record.layout is None or record.layout.id != self.rewrite.id:
            return state
        return state.with_record(replace(record, layout=None))

    def flow(self) -> Flow:
        """Remove what only the change needed."""
        yield Tidy(rewrite=self.rewrite)


def figures_of_restored(restored: Restored) -> dict[str, float]:
    """What a restoration did as figures of the run report."""
    return {
        "documents_restored": float(restored.restored),
        "documents_as_before": float(restored.as_before),
        "documents_written_since": float(restored.newer),
        "documents_gone": float(restored.gone),
        "backup_rows": float(restored.rows),
        "backup_rows_damaged": float(restored.damaged),
        "seconds_restoring": round(restored.seconds, 3),
    }


def _note(restored: Restored) -> str:
    parts = [f"{restored.restored:,} documents restored"]
    parts += [f"{restored.as_before:,} as before already"] if restored.as_before else []
    keys = ", ".join(restored.newer_keys[:3])
    parts += [f"{restored.newer:,} left with newer writes ({keys})"] if restored.newer else []
    parts += [f"{restored.gone:,} gone"] if restored.gone else []
    parts += [f"{restored.damaged:,} rows of the backup damaged"] if restored.damaged else []
    return "; ".join(parts)
