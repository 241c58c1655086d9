"""The history of a project's runs, and the stream of what they told: hints for people, never read to decide a step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis

from rvlstate.events import StepProgressed
from rvlstate.plan.effects import BadRow
from rvlstate.runtime.identity import Identity, redact
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.run_report import (
    Event,
    FinalResult,
    RunReport,
    RunSummary,
    StepResult,
    parse_comparisons,
    parse_event,
    parse_steps,
    parse_summary,
)
from rvlstate.runtime.scripts import KeysClient, parse_record, run_script
from rvlstate.runtime.state_keys import StateKeys

__all__ = ["Event", "Journal", "RunReport", "RunSummary"]

RUNS_KEPT = 1_000
RUNS_LOOKED_AT = 100
"""Runs among which one that is to be gone on with is looked for."""

EVENTS_KEPT = 10_000
LONGEST_ERROR = 4_000
BAD_ROWS_KEPT = 20
"""Documents that could not be transformed, of each step: the first ones show what is wrong with the others."""

LONGEST_REASON = 300

WALKS = ("apply", "cutover", "complete", "rollback")
"""Operations that walk the steps of a plan: each goes on, or takes back, what the one before left."""


class Journal:
    """Records runs and their steps, by the server's clock, and tells about past ones.

    A run writes nothing but its own report, so its writes need no fencing; a report that was deleted meanwhile is left
    deleted, since a journal must not stop a run.
    """

    def __init__(self, client: KeysClient, project: str) -> None:
        self.keys = StateKeys(project)
        self._client = client

    def start(
        self,
        run_id: str,
        *,
        operation: str,
        lock_id: str,
        identity: Identity,
        plan_id: str = "",
        steps: int = 0,
        estimates: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Open the report of a run that holds the lock `lock_id` and has so many steps before it.

        `estimates` has what the plan expects of each index; see `estimate_figures`.
        """
        fields: dict[str, str | int] = {
            "operation": operation,
            "plan_id": plan_id,
            "lock_id": lock_id,
            "who": identity.who,
            "host": identity.host,
            "pid": identity.pid,
            "ci_url": identity.ci_url,
            "version": identity.version,
            "steps_total": steps,
            "estimates": json.dumps({name: dict(figures) for name, figures in sorted((estimates or {}).items())}),
        }
        keys = [self.keys.run(run_id), self.keys.history, self.keys.events]
        run_script(self._client, "run_start", keys, run_id, RUNS_KEPT, EVENTS_KEPT, self.keys.run(""), *_pairs(fields))

    def step_started(self, run_id: str, step_id: str, *, summary: str, index: str = "", operation: str = "") -> None:
        """Note that a step begins, or begins again."""
        fields: dict[str, str | int] = {"summary": summary, "index": index, "operation": operation, "error": ""}
        self._step(run_id, step_id, "running", fields)

    def step_finished(
        self,
        run_id: str,
        step_id: str,
        result: StepResult = "done",
        *,
        figures: Mapping[str, float] | None = None,
        error: str = "",
        bad_rows: Sequence[BadRow] = (),
    ) -> None:
        """Note how a step ended, with what was counted and measured on the way, and what could not be transformed."""
        fields: dict[str, str | int] = {
            "figures": json.dumps(dict(figures or {}), sort_keys=True),
            "error": _safe(error),
        }
        if bad_rows:
            fields["bad_rows"] = json.dumps([_bad_row(row) for row in bad_rows[:BAD_ROWS_KEPT]])
        self._step(run_id, step_id, result, fields)

    def step_progressed(self, run_id: str, event: StepProgressed, *, stream: bool) -> None:
        """Note how far a step is, for whoever follows it; if `stream`, tell it in the stream of events as well."""
        progress: dict[str, Any] = {
            "note": _safe(event.note),
            "done": event.done,
            "total": event.total,
            "phase": event.phase,
            "documents_per_second": event.documents_per_second,
            "eta_seconds": event.eta_seconds,
            "why": event.why,
        }
        latency = event.figures.get("latency_ms")
        told = [(name, "" if value is None else value) for name, value in {**progress, "latency_ms": latency}.items()]
        run_script(
            self._client,
            "run_progress",
            [self.keys.run(run_id), self.keys.events],
            *(run_id, event.step, json.dumps(progress), EVENTS_KEPT, int(stream)),
            *(part for pair in told for part in pair),
        )

    def finish(self, run_id: str, result: FinalResult, *, error: str = "") -> None:
        """Close the report of a run."""
        keys = [self.keys.run(run_id), self.keys.events]
        run_script(self._client, "run_finish", keys, run_id, result, _safe(error), EVENTS_KEPT)

    def note_done(
        self, run_id: str, *, operation: str, lock_id: str, identity: Identity, steps: Mapping[str, str]
    ) -> None:
        """Write down a run that is done already, with a summary for each index; nothing, where that cannot be."""
        with suppress(redis.RedisError):
            self.start(run_id, operation=operation, lock_id=lock_id, identity=identity, steps=len(steps))
            for number, (index, summary) in enumerate(steps.items(), start=1):
                step = f"{index}/{number}"
                self.step_started(run_id, step, summary=summary, index=index, operation=operation)
                self.step_finished(run_id, step)
            self.finish(run_id, "done")

    def list_runs(self, limit: int = 20) -> tuple[RunSummary, ...]:
        """The latest runs, newest first; one that still runs and has lost its lock is shown as interrupted."""
        ids: Any = self._client.lrange(self.keys.history, 0, limit - 1)
        if not ids:
            return ()
        pipeline = self._client.pipeline(transaction=False)
        for run_id in ids:
            pipeline.get(self.keys.run(run_id))
        texts = pipeline.execute()
        lock_id = self._lock_id()
        found = ((run_id, _report(text)) for run_id, text in zip(ids, texts, strict=True))
        return tuple(parse_summary(run_id, fields, lock_id) for run_id, fields in found if fields.get("result"))

    def last_walk(self) -> RunSummary | None:
        """The latest run that walked the steps of a plan, however it ended."""
        return next((run for run in self.list_runs(RUNS_LOOKED_AT) if run.operation in WALKS), None)

    def read_run(self, run_id: str) -> RunReport | None:
        """The report of one run with its steps in the order in which they began; None if it is not kept."""
        text: Any = self._client.get(self.keys.run(run_id))
        fields = _report(text)
        if not fields:
            return None
        steps = parse_steps(fields)
        return RunReport(
            run=parse_summary(run_id, fields, self._lock_id()),
            steps=steps,
            indexes=parse_comparisons(fields, steps),
        )

    def run_events(self, run_id: str) -> tuple[Event, ...]:
        """What one run told, oldest first, as far as the stream of all runs still has it."""
        report: Any = self._client.get(self.keys.run(run_id))
        fields = _report(report)
        if not fields:
            return ()
        entries: Any = self._client.xrange(
            self.keys.events, min=fields.get("started") or "-", max=fields.get("finished") or "+"
        )
        events = (parse_event(event_id, told) for event_id, told in entries)
        return tuple(event for event in events if event.run == run_id)

    def interrupted(self) -> RunSummary | None:
        """The latest run that was interrupted and after which none came that could have gone on with it."""
        seen = {"import"}  # it writes all or nothing, and is not gone on with
        for run in self.list_runs(RUNS_LOOKED_AT):
            if run.result == "interrupted" and run.operation not in seen:
                return run
            seen |= {*WALKS, run.operation} if run.operation in WALKS else {run.operation}
        return None

    def read_events(self, after: str = "", limit: int = 100) -> tuple[Event, ...]:
        """Up to `limit` events that came after the one with the id `after`, oldest first."""
        entries: Any = self._client.xrange(self.keys.events, min=f"({after}" if after else "-", count=limit)
        return tuple(parse_event(event_id, fields) for event_id, fields in entries)

    def _step(self, run_id: str, step_id: str, result: StepResult, fields: Mapping[str, str | int]) -> None:
        keys = [self.keys.run(run_id), self.keys.events]
        run_script(self._client, "run_step", keys, run_id, step_id, result, EVENTS_KEPT, *_pairs(fields))

    def _lock_id(self) -> str:
        lock = read_lock(self._client, self.keys.project)
        return lock.id if lock else ""


def _report(text: str | None) -> dict[str, str]:
    """The fields of a report; a journal is a hint, so one that cannot be read counts as gone."""
    try:
        return parse_record(text)
    except (ValueError, TypeError):
        return {}


def _bad_row(row: BadRow) -> dict[str, str]:
    reason = row.reason if not row.detail else f"{row.reason}: {row.detail.strip().splitlines()[-1]}"
    return {
        "key": row.key[:LONGEST_REASON],
        "field": row.field[:LONGEST_REASON],
        "reason": _safe(reason)[:LONGEST_REASON],
    }


def _safe(error: str) -> str:
    return redact(error)[:LONGEST_ERROR]


def _pairs(fields: Mapping[str, str | int]) -> list[str | int]:
    return [part for pair in fields.items() for part in pair]
