"""The gate in front of a cutover: the new index must have the declared definition and hold what the old one holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.errors import GateFailedError
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.effects import Flow, Pause, Report, look
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.reading import looks_like

ROUNDS, PAUSE = 50, 0.1
"""How often the counts are compared before a difference is believed, and the seconds between: writers are at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyIndex(Defaults):
    """Compare `physical` with `definition`, and with the index that serves the name now (`against`, None if none).

    `same_documents` tells that both cover the same documents, so that their counts must agree; otherwise no
    document may have failed that did not fail before.
    """

    operation: Literal["verify_index"] = "verify_index"
    name: str
    physical: str
    definition: IndexDefinition
    against: str | None = None
    same_documents: bool = True

    @property
    def summary(self) -> str:
        """What it does."""
        return f"verify {self.physical}" + (f" against {self.against}" if self.against else "")

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    def flow(self) -> Flow:
        """Check the definition, then the counts; a difference fails the gate with its figures."""
        new = yield from look(self.physical)
        if new is None or new.name != self.physical or not looks_like(new.definition, self.definition):
            raise GateFailedError(
                f"{self.physical} is not what the plan created",
                why="Its definition was changed, or it was dropped, while it was built.",
                next_step="find out who changes indexes meanwhile, then run apply again.",
            )
        if self.against is None:
            yield self._report(new, None)
            return
        yield from self._compare(new)

    def _compare(self, new: LiveIndex | None) -> Flow:
        old = None
        for _ in range(ROUNDS):
            # The old index is read before and after the new one: with writers at work, the count of the new one
            # must lie between the two, or reach the second.
            before = yield from look(self.against or "")
            new = yield from look(self.physical)
            old = yield from look(self.against or "")
            if before is None or old is None or new is None:
                break
            if self._holds(before, new, old):
                yield self._report(new, old)
                return
            yield Pause(PAUSE)
        raise self._failure(new, old)

    def _holds(self, before: LiveIndex, new: LiveIndex, old: LiveIndex) -> bool:
        if not self.same_documents:
            return new.statistics.failures <= old.statistics.failures
        return new.statistics.documents >= min(before.statistics.documents, old.statistics.documents)

    def _report(self, new: LiveIndex, old: LiveIndex | None) -> Report:
        figures = {"documents": float(new.statistics.documents), "indexing_failures": float(new.statistics.failures)}
        note = f"{new.statistics.documents:,} documents"
        if old is not None:
            figures["documents_before"] = float(old.statistics.documents)
            note += f", {old.statistics.documents:,} in the index that serves now"
        if new.statistics.failures:
            note += f"; {new.statistics.failures:,} indexing failures, last: {new.statistics.last_error}"
        return Report(note, figures=figures)

    def _failure(self, new: LiveIndex | None, old: LiveIndex | None) -> GateFailedError:
        if new is None or old is None:
            return GateFailedError(
                f"{self.physical} cannot be compared with {self.against}",
                why="One of them is gone: somebody dropped it meanwhile.",
                next_step="run plan again.",
            )
        figures = new.statistics
        why = f"It holds {figures.documents:,} documents, {self.against} holds {old.statistics.documents:,}."
        if figures.failures:
            key = figures.last_error_key or "unknown key"
            why += f"\n{figures.failures:,} indexing failures; the last, on {key}: {figures.last_error}"
        return GateFailedError(
            f"{self.physical} would lose documents from search",
            why=why,
            next_step="mend those documents, or declare the field so that they fit, then run apply again.",
        )
