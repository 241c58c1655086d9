"""Lessons: what a run measured that later plans and looks should know, kept on the record of an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rvlstate.model.state import Record
from rvlstate.plan.operations import (
    AddFields,
    AwaitBuild,
    GiveUpRewrite,
    RewriteDocuments,
    SettleDocuments,
    VerifyIndex,
)
from rvlstate.plan.plan import Step

LEAST_SECONDS, LEAST_DOCUMENTS = 0.5, 1000
"""A build shorter or smaller than this tells nothing about the rate of a larger one."""


@dataclass(slots=True)
class Lessons:
    """What the steps of one run told about each declared index."""

    _learned: dict[str, dict[str, float | int]] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)

    def take(self, step: Step, figures: Mapping[str, float], seconds: float) -> None:
        """Note the rate of a build or of a rewrite, and failures, of the old layout and of a build."""
        own = self._learned.setdefault(step.index, {})
        self._count(step, figures)
        match step.operation:
            case AwaitBuild():
                _note_rate(own, "build_rate", figures.get("documents", 0.0), seconds)
            case RewriteDocuments(rewrite=rewrite) if rewrite.strategy == "recreate":
                spent = figures.get("seconds_rewriting", 0.0)
                _note_rate(own, "rewrite_rate", figures.get("documents_written", 0.0), spent)
            case SettleDocuments(rewrite=rewrite) | GiveUpRewrite(rewrite=rewrite) if rewrite.strategy == "staged":
                own["failures"] = int(figures.get("old_layout_failures", 0))
            case _:
                pass

    def applied(self, record: Record) -> Record:
        """The record with what was learnt about its index."""
        known: dict[str, float | int] = dict(self._learned.get(record.name, {}))
        if record.physical in self._counted:
            known["counted"] = self._counted[record.physical]
        return replace(record, **known)  # type: ignore[arg-type]

    def _count(self, step: Step, figures: Mapping[str, float]) -> None:
        match step.operation:
            case AwaitBuild(physical=physical) | VerifyIndex(physical=physical):
                pass
            case AddFields(serves=serves):
                physical = serves.physical
            case _:
                return
        if "indexing_failures" in figures:
            self._counted[physical] = int(figures["indexing_failures"])


def _note_rate(own: dict[str, float | int], name: str, documents: float, seconds: float) -> None:
    if seconds >= LEAST_SECONDS and documents >= LEAST_DOCUMENTS:
        own[name] = round(documents / seconds, 1)
