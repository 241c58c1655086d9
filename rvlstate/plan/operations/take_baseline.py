"""Measure the checks on the index that serves now, before it goes: what the new one is compared with later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.check import Check, KnnCheck, QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.commands import INSPECTING, checking
from rvlstate.plan.effects import Asking, Findings, Flow, Probe, Recall, Report, look
from rvlstate.plan.gates import check_words, recall, remembered_name
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.reading import looks_like


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBaseline(Defaults):
    """Carry out `checks` on `physical` and keep what they find under the name `baseline`, for seven days.

    `definition` is that of the index that serves now. `renamed` are fields (declared name, name in that index). Once
    that index is gone, what was kept stays as it is.
    """

    operation: Literal["take_baseline"] = "take_baseline"
    name: str
    physical: str
    definition: IndexDefinition
    checks: tuple[Check, ...]
    baseline: str
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def summary(self) -> str:
        """What it does."""
        return f"measure {len(self.checks)} check{'' if len(self.checks) == 1 else 's'} on {self.physical}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, "GET", "SET", *check_commands(self.checks, self.definition))

    def flow(self) -> Flow:
        """Measure while the index is there; a query that the server refuses fails the gate before anything is lost."""
        seen = yield from look(self.physical)
        if seen is None or seen.name != self.physical or not looks_like(seen.definition, self.definition):
            yield from self._gone()
            return
        notes: list[str] = []
        figures: dict[str, float] = {}
        for check in self.checks:
            found = yield from self._measure(check)
            notes.append(_words(check, found))
            figures |= _figures(check, found)
        yield Report("; ".join(notes), figures=figures)

    def _measure(self, check: Check) -> Asking:
        return (
            yield Probe(
                check=renamed_check(check, self.renamed),
                index=self.physical,
                definition=self.definition,
                remember=remembered_name(self.baseline, check),
            )
        )

    def _gone(self) -> Flow:
        kept = 0
        for check in self.checks:
            found = yield Recall(remembered=remembered_name(self.baseline, check))
            kept += found is not None
        yield Report(f"{self.physical} is gone already; {kept} of {len(self.checks)} checks were measured before that")


def renamed_check(check: Check, renamed: tuple[tuple[str, str], ...]) -> Check:
    """The check for an index in which the field has another name."""
    former = dict(renamed).get(check.knn) if isinstance(check, KnnCheck) else None
    return replace(check, knn=former) if isinstance(check, KnnCheck) and former is not None else check


def check_commands(checks: tuple[Check, ...], definition: IndexDefinition) -> tuple[str, ...]:
    """The names of the commands that checks send to an index."""
    neighbours = any(isinstance(check, KnnCheck) for check in checks)
    return checking(definition.storage, neighbours=neighbours) if checks else ()


def _words(check: Check, found: Findings) -> str:
    match check:
        case QueryCheck():
            return f"{check_words(check)}: {found.count:,}"
        case KnnCheck():
            value = recall(found, check.k)
            told = f", recall {value:.3f}" if value is not None else ""
            return f"{check_words(check)}: {found.note or f'{len(found.samples)} documents{told}'}"


def _figures(check: Check, found: Findings) -> dict[str, float]:
    match check:
        case QueryCheck():
            return {f"found before by {check.query}": float(found.count)}
        case KnnCheck():
            value = recall(found, check.k)
            return {} if value is None else {f"{check.knn} recall@{check.k} before": round(value, 4)}
