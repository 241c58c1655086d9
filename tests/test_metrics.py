"""Metrics as they are kept from events: what is counted, when, and under which names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from metrics_kit import Clock, progressed, started, told, value
from prometheus_client import generate_latest

from rvlstate.events import (
    CommandRetried,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepSkipped,
)
from rvlstate.plan.deviations import KINDS, Finding, Kind
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.runtime.metrics import RUN_RESULTS, Metrics
from rvlstate.runtime.metrics_drift import LABELS, drift_kinds

PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_documents_are_counted_once_though_figures_are_sums() -> None:
    """Progress tells sums so far, and the end tells them again; staged copies are not written documents."""
    metrics = Metrics("shop")
    metrics(RunStarted(run="r", project="shop", plan="p", steps=2))
    metrics(started("a/1", "stage_documents"))
    metrics(progressed("a/1", written=40, bad_rows=1))
    metrics(progressed("a/1", written=70, bad_rows=1))
    metrics(
        StepFinished(step="a/1", seconds=1, figures={"documents_written": 90, "documents_bad": 2, "documents_seen": 95})
    )
    metrics(started("a/0", "rehearse_rewrite"))
    metrics(progressed("a/0", written=1000, bad_rows=7))
    metrics(started("a/2", "promote_documents"))
    metrics(StepFinished(step="a/2", seconds=1, figures={"documents_promoted": 88, "documents_written": 4}))
    samples = told(metrics)
    assert value(samples, "documents_total", index="a", result="staged") == 90
    assert value(samples, "documents_total", index="a", result="bad") == 2
    assert value(samples, "documents_total", index="a", result="seen") == 95
    assert value(samples, "documents_total", index="a", result="promoted") == 88
    assert value(samples, "documents_total", index="a", result="written") == 4


def test_the_phase_at_work_its_seconds_and_its_rate() -> None:
    """One phase is active; its time counts while it goes on, and its rate is that of this moment."""
    clock = Clock()
    metrics = Metrics("shop", clock=clock)
    metrics(RunStarted(run="r", project="shop", plan="p", steps=2))
    metrics(started("a/1", "await_build"))
    clock.now += 3
    metrics(progressed("a/1"))
    samples = told(metrics)
    assert value(samples, "phase_active", index="a", phase="await_build") == 1
    assert value(samples, "phase_seconds_total", index="a", phase="await_build") == 3
    assert value(samples, "documents_per_second", index="a") == 12.5
    assert value(samples, "step_progress_ratio", index="a") == 0.5
    assert value(samples, "run_in_progress") == value(samples, "lock_held") == 1
    clock.now += 2
    metrics(StepFinished(step="a/1", seconds=5))
    metrics(RunFinished(run="r", result="done", seconds=5.5))
    samples = told(metrics)
    assert value(samples, "phase_active", index="a", phase="await_build") == 0
    assert value(samples, "phase_seconds_total", index="a", phase="await_build") == 5
    assert value(samples, "documents_per_second", index="a") == 0
    assert value(samples, "steps_total", index="a", result="done") == 1
    assert value(samples, "run_in_progress") == value(samples, "lock_held") == 0


@pytest.mark.parametrize("result", ["done", "failed", "interrupted"])
def test_the_result_of_the_last_run_is_one_of_all(result: str) -> None:
    """1 for it, 0 for the others, so that an alert can be written for each; with the time and the duration."""
    metrics = Metrics("shop", now=lambda: 1700.0)
    metrics(RunFinished(run="r", result=result, seconds=7))
    samples = told(metrics)
    assert {known: value(samples, "last_run_result", result=known) for known in RUN_RESULTS} == {
        known: float(known == result) for known in RUN_RESULTS
    }
    assert (value(samples, "last_run_timestamp_seconds"), value(samples, "last_run_duration_seconds")) == (1700, 7)


def test_failed_gates_and_checks_are_counted() -> None:
    """A gate that fails without a check of the project's own is one too; other failures are none."""
    metrics = Metrics("shop")
    for step, operation, checks in (("a/1", "verify_index", 2), ("a/2", "verify_index", 0), ("a/3", "create_index", 0)):
        metrics(started(step, operation))
        metrics(StepFailed(step=step, error="no", failed_checks=checks))
    metrics(StepSkipped(step="a/4", because="a/3"))
    samples = told(metrics)
    assert value(samples, "failed_gates_total", index="a") == 2
    assert value(samples, "failed_checks_total", index="a") == 2
    assert value(samples, "steps_total", index="a", result="failed") == 3
    assert value(samples, "steps_total", index="a", result="skipped") == 1


def test_waiting_retries_and_late_writes_are_told() -> None:
    """What else events hold; an order changes nothing."""
    metrics = Metrics("shop")
    metrics(LockAwaited(holder="ann"))
    samples = told(metrics)
    assert value(samples, "lock_waiting") == value(samples, "lock_held") == 1
    metrics(RunStarted(run="r", project="shop", plan="p", steps=1))
    metrics(CommandRetried(step="a/1", reason="lost", delay=1))
    metrics(OrderReceived(order="pause", by="ann", text="paused"))
    metrics(LateWritesFound(index="a", converted=3, removed=1, bad=1, seconds=1))
    samples = told(metrics)
    assert (value(samples, "lock_waiting"), value(samples, "command_retries_total")) == (0, 1)
    assert value(samples, "documents_total", index="a", result="written") == 3


@pytest.mark.parametrize(
    ("told_before", "end", "result"),
    [
        ("", "", "nothing"),
        ("", "refused", "refused"),
        ("done", "", "done"),
        ("done", "failed", "failed"),
        ("failed", "failed", "failed"),
        ("interrupted", "failed", "interrupted"),
    ],
)
def test_a_command_that_told_of_no_run_ended_too(told_before: str, end: str, result: str) -> None:
    """Nothing to do, or refused; what the run itself told stays unless it was done and something failed after it."""
    metrics = Metrics("shop")
    if told_before:
        metrics(RunFinished(run="r", result=told_before, seconds=1))
    metrics.tell_end(end)
    assert value(told(metrics), "last_run_result", result=result) == 1


def test_the_kinds_of_drift_are_bounded() -> None:
    """Each index counts once, under the gravest; a kind that there is none of is 0, and unmanaged ones are no kind."""

    def drifted(name: str, *kinds: Kind) -> IndexDrift:
        change = Change(address=name, before="x", after="y", classification=None, reason="")
        return IndexDrift(
            name=name, physical=f"{name}@1", findings=tuple(Finding(kind=kind, change=change) for kind in kinds)
        )

    drift = Drift(
        project="shop",
        indexes=(drifted("a", "missing"), drifted("b", "changed", "hijacked"), drifted("c", "changed")),
        unmanaged=("stray",),
    )
    assert drift_kinds(drift) == {**dict.fromkeys(LABELS, 0), "missing": 1, "hijacked": 1, "changed": 1}
    assert set(drift_kinds(Drift(project="shop"))) == set(LABELS) == set(KINDS) - {"unmanaged"}


def test_names_follow_the_conventions_and_the_page_has_them_all() -> None:
    """A prefix, base units, _total for counters; HELP for each; docs/metrics.md is complete."""
    metrics = Metrics("shop")
    families = {family.name: family for family in metrics.registry.collect()}
    assert all(re.fullmatch(r"rvlstate_[a-z_]+", name) for name in families)
    assert all(family.documentation.endswith(".") for family in families.values())
    assert not [name for name in families if re.search(r"_(ms|minutes|percent|kb|count)\b", name)]
    shown = {f"{name}_total" if family.type == "counter" else name for name, family in families.items()}
    assert set(re.findall(r"^\| `(rvlstate_\w+)`", PAGE, re.MULTILINE)) == shown


def test_what_is_counted_begins_at_zero() -> None:
    """A series that begins with its first count looks as if nothing had happened; those of documents only where due."""
    metrics = Metrics("shop")
    metrics.expect_run()
    samples = told(metrics)
    assert value(samples, "run_in_progress") == value(samples, "lock_waiting") == 0
    assert value(samples, "command_retries_total") == 0
    metrics(started("a/1", "rewrite_documents"))
    metrics(started("b/1", "create_index", "b"))
    samples = told(metrics)
    assert {
        value(samples, "documents_total", index="a", result=result)
        for result in ("seen", "staged", "written", "promoted", "bad", "restored")
    } == {0}
    assert value(samples, "documents_total", index="b", result="bad") is None
    for name in ("failed_checks_total", "failed_gates_total"):
        assert value(samples, name, index="a") == value(samples, name, index="b") == 0
    assert value(samples, "steps_total", index="b", result="failed") == 0


def test_commands_of_a_project_tell_no_series_twice() -> None:
    """One exporter reads the files of all of them, and drops a series that it has seen already."""

    def series(command: str) -> set[str]:
        metrics = Metrics("shop", command)
        metrics.expect_run()
        metrics(RunFinished(run="r", result="done", seconds=1))
        return set(re.findall(r"^rvlstate_.*(?= )", generate_latest(metrics.registry).decode(), re.MULTILINE))

    assert series("apply")
    assert not series("apply") & series("drift")
