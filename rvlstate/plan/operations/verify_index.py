"""The gate around a cutover: the new index must have the declared definition, hold what the old one holds, and find it.

`checks` are compared with the index `against`, side by side, or with what `TakeBaseline` kept under `baseline`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal

from rvlstate.errors import GateFailedError
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.check import Check, KnnCheck, QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import own_failures
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import (
    FULL_SPEED,
    Effect,
    Findings,
    Flow,
    Pace,
    Pause,
    Probe,
    Recall,
    Report,
    Sweep,
    Tally,
    look,
)
from rvlstate.plan.gates import Verdict, judge, relocated, remembered_name, table
from rvlstate.plan.operations.await_build import await_replicas
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.take_baseline import check_commands, renamed_check
from rvlstate.plan.reading import looks_like

ROUNDS, PAUSE = 50, 0.1
"""How often the counts are compared before a difference is believed, and the seconds between: writers are at work."""

KNN_ROUNDS = 3
"""The same for neighbours, each round of which costs two searches for each sampled document."""

MEND = "mend those documents, or declare the field so that they fit, then run apply again."


@dataclass(slots=True)
class _Told:
    """What is told at the end: a note for people, and figures."""

    notes: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyIndex(Defaults):
    """Compare `physical` with `definition`, and with the index that serves the name now (`against`, None if none).

    `same_documents` tells that both cover the same documents, so that their counts must agree; otherwise no
    document may have failed that did not fail before, where `known_failures` of the old index are of documents whose
    copies were in it. Where no index served before (`against` None), `finds` demands that not every document fails.
    `renamed` are fields (declared name, name in the old index) and
    `moves` are prefixes (old, new) of documents that got another key. With `after_cutover` the name must lead to
    `physical` already, and a failure leaves it there. `staged` is the rewrite whose copies the new index holds: what
    writers do meanwhile is caught up with between two looks.
    """

    operation: Literal["verify_index"] = "verify_index"
    name: str
    physical: str
    definition: IndexDefinition
    against: str | None = None
    same_documents: bool = True
    known_failures: int = 0
    finds: bool = False
    checks: tuple[Check, ...] = ()
    baseline: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    after_cutover: bool = False
    staged: Rewrite | None = None
    catches_up: Literal["stage", "promote"] = "stage"
    pace: Pace = FULL_SPEED
    members: str = ""

    @property
    def summary(self) -> str:
        """What it does."""
        when = " after the cutover" if self.after_cutover else ""
        return f"verify {self.physical}{when}" + (f" against {self.against}" if self.against else "")

    @property
    def undo(self) -> str:
        """How to undo it."""
        return "nothing to undo"

    @property
    def disposable(self) -> bool:
        """Whether the index may be removed when it fails: nothing is served from it yet."""
        return not self.after_cutover

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        recalls = ("GET",) if self.checks and self.baseline else ()
        removes = () if self.after_cutover else ("FT.DROPINDEX", "ROLE")
        staging = rewriting(self.staged) if self.staged else ()
        return (*INSPECTING, *recalls, *removes, *staging, *check_commands(self.checks, self.definition))

    def flow(self) -> Flow:
        """Check the definition, then the counts, then `checks`; a difference fails the gate with its figures."""
        new = yield from look(self.physical)
        if new is None or new.name != self.physical or not looks_like(new.definition, self.definition):
            raise GateFailedError(
                f"{self.physical} is not what the plan created",
                why="Its definition was changed, or it was dropped, while it was built.",
                next_step="find out who changes indexes meanwhile, then run apply again.",
            )
        if self.after_cutover:
            yield from self._assert_serves()
        else:  # what was built a while ago may be on a replica that came since
            yield from await_replicas(self.physical)
        told = _Told()
        old = yield from self._compare(new, told)
        if self.checks:
            yield from self._carry_out_checks(old, told)
        yield Report("; ".join(told.notes), figures=told.figures)

    def _assert_serves(self) -> Flow:
        serving = yield from look(self.name)
        if serving is None or serving.name != self.physical:
            where = f"leads to {serving.name}" if serving else "answers nothing"
            raise GateFailedError(
                f"{self.name} does not lead to {self.physical} after the cutover",
                why=f"It {where}: somebody moved it meanwhile.",
                next_step="find out who moves aliases meanwhile, then run plan again.",
            )

    def _compare(self, new: LiveIndex | None, told: _Told) -> Generator[Effect, Any, LiveIndex | None]:
        """The index that serves now, once both hold the same; None where there is none."""
        if self.against is None:
            if new is not None and self.finds and new.statistics.failures and not new.statistics.documents:
                raise self._finds_nothing(new)
            self._tell(told, new, None)
            return None
        old = None
        for _ in range(ROUNDS):
            # The old index is read before and after the new one: with writers at work, the count of the new one
            # must lie between the two, or reach the second.
            before = yield from look(self.against)
            late = yield from self._catch_up()
            new = yield from look(self.physical)
            old = yield from look(self.against)
            if before is None or old is None or new is None:
                break
            if self._holds(before, new, old, late):
                self._tell(told, new, old)
                return old
            yield Pause(PAUSE)
        raise self._failure(new, old)

    def _catch_up(self) -> Generator[Effect, Any, int]:
        """Bring over what was written since; how many documents moved while that was done, or cannot be transformed."""
        if self.staged is None:
            return 0
        tally: Tally = yield Sweep(rewrite=self.staged, mode=self.catches_up, pace=self.pace, members=self.members)
        return tally.unsettled + tally.gone + tally.dropped + tally.bad

    def _holds(self, before: LiveIndex, new: LiveIndex, old: LiveIndex, late: int) -> bool:
        if not self.same_documents:
            # In an index over both layouts each document in the old one counts as a failure.
            own = own_failures(old.statistics.failures, self.known_failures)
            return self.staged is not None or new.statistics.failures <= own
        return new.statistics.documents >= min(before.statistics.documents, old.statistics.documents) - late

    def _tell(self, told: _Told, new: LiveIndex | None, old: LiveIndex | None) -> None:
        if new is None:
            return
        figures = {"documents": float(new.statistics.documents)}
        if self.staged is None:
            figures["indexing_failures"] = float(new.statistics.failures)
        note = f"{new.statistics.documents:,} documents"
        if old is not None:
            figures["documents_before"] = float(old.statistics.documents)
            note += f", {old.statistics.documents:,} in the index that serves now"
        if new.statistics.failures and self.staged is None:
            note += f"; {new.statistics.failures:,} indexing failures, last: {new.statistics.last_error}"
        told.notes.append(note)
        told.figures |= figures

    def _failure(self, new: LiveIndex | None, old: LiveIndex | None) -> GateFailedError:
        if new is None or old is None:
            return GateFailedError(
                f"{self.physical} cannot be compared with {self.against}",
                why="One of them is gone: somebody dropped it meanwhile.",
                next_step="run plan again.",
            )
        why = f"It holds {new.statistics.documents:,} documents, {self.against} holds {old.statistics.documents:,}."
        return GateFailedError(
            f"{self.physical} would lose documents from search",
            why=why + _failed(new.statistics),
            next_step=MEND,
        )

    def _finds_nothing(self, new: LiveIndex) -> GateFailedError:
        return GateFailedError(
            f"{self.physical} finds nothing: no document fits the declared index",
            why=f"It holds 0 documents.{_failed(new.statistics)}{self._standing()}",
            next_step=MEND,
        )

    def _carry_out_checks(self, old: LiveIndex | None, told: _Told) -> Flow:
        """All checks, also after one that failed: the table of figures is whole."""
        verdicts: list[Verdict] = []
        for number, check in enumerate(self.checks):
            yield Report(f"check {number + 1} of {len(self.checks)}", done=number, total=len(self.checks))
            verdicts.append((yield from self._verdict(check, old)))
        for verdict in verdicts:
            told.notes.append(verdict.line)
            told.figures |= verdict.figures
        failed = [verdict for verdict in verdicts if not verdict.passed]
        if failed:
            yield Report("; ".join(told.notes), figures=told.figures)
            raise GateFailedError(
                f"{self.physical} fails {len(failed)} of {len(verdicts)} checks",
                why=table(verdicts) + self._standing(),
                next_step=self._next_step(),
                failed_checks=len(failed),
            )

    def _verdict(self, check: Check, old: LiveIndex | None) -> Generator[Effect, Any, Verdict]:
        if self.baseline:
            before: Findings | None = yield Recall(remembered=remembered_name(self.baseline, check))
            return (yield from self._against_remembered(check, before))
        if old is None:
            return judge(check, None, (yield self._probe(check)))
        return (yield from self._side_by_side(check, old))

    def _probe(self, check: Check, like: Findings | None = None) -> Probe:
        stage = self.staged.stage if self.staged and self.catches_up == "stage" else ""
        return Probe(check=check, index=self.physical, definition=self.definition, like=like, stage=stage)

    def _against_remembered(self, check: Check, before: Findings | None) -> Generator[Effect, Any, Verdict]:
        like = relocated(before, self.moves) if before is not None else None
        return judge(check, like, (yield self._probe(check, like)))

    def _side_by_side(self, check: Check, old: LiveIndex) -> Generator[Effect, Any, Verdict]:
        """The verdict on two indexes that both follow the writers: a difference must last to be believed."""
        verdict, first = None, None
        for _ in range(_rounds(check)):
            former = renamed_check(check, self.renamed)
            before: Findings = yield Probe(check=former, index=old.name, definition=old.definition, like=first)
            first = first or before
            like = relocated(before, self.moves)
            after: Findings = yield self._probe(check, like)
            # Neighbours are those of the very vectors that were asked for; only counts move between two questions.
            again = before
            if isinstance(check, QueryCheck):
                again = yield Probe(check=former, index=old.name, definition=old.definition)
            verdict = judge(check, like, after, again)
            if verdict.passed:
                return verdict
            yield Pause(PAUSE)
        return verdict if verdict is not None else judge(check, None, (yield self._probe(check)))

    def _standing(self) -> str:
        if not self.after_cutover:
            return ""
        return f"\nThe cutover has been made: {self.name} answers from {self.physical} already, and goes on to."

    def _next_step(self) -> str:
        mend = f"if what it finds is right, change the checks of {self.name} in the project file"
        if not self.after_cutover:
            return f"look at the change and at the checks; {mend}, then run apply again."
        if self.staged:
            return f"to go back: rvlstate rollback {self.name}. Else, {mend} and run apply again."
        back = f"FT.ALIASUPDATE {self.name} {self.against}" if self.against else self._way_back()
        return f"to go back: {back}. Else, {mend} and run apply again."

    def _way_back(self) -> str:
        return f"rvlstate rollback {self.name} where there is a backup, else declare it as it was and run apply"


def _failed(figures: Statistics) -> str:
    """A line about indexing failures; "" if there were none."""
    key = figures.last_error_key or "unknown key"
    told = f"\n{figures.failures:,} indexing failures; the last, on {key}: {figures.last_error}"
    return told if figures.failures else ""


def _rounds(check: Check) -> int:
    match check:
        case KnnCheck():
            return KNN_ROUNDS
        case QueryCheck():
            return ROUNDS
