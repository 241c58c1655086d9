"""The journal: what ran, how it ended, and what was cut short."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from keys_clients import ADA, KINDS, open_keys, open_kind
from records import edit_record

from rvlstate.events import Event, RunFinished, StepProgressed
from rvlstate.plan.effects import BadRow
from rvlstate.plan.plan import Impact
from rvlstate.runtime import journal as journal_module
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.live_journal import LiveJournal
from rvlstate.runtime.lock import Lease, acquire
from rvlstate.runtime.run_report import StepProgress, estimate_figures
from rvlstate.runtime.scripts import KeysClient
from rvlstate.views.history import write_run
from rvlstate.views.paper import Paper, plain_text


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[KeysClient]:
    """A client of the emptied server, of every kind."""
    with open_kind(request.param, request) as opened:
        yield opened


@pytest.fixture
def plain(redis_url: str) -> Iterator[KeysClient]:
    """A client of the emptied standalone server, where the kind of server cannot matter."""
    with open_keys(redis_url) as opened:
        yield opened


def take(client: KeysClient) -> Lease:
    """The lock of the project."""
    return acquire(client, "shop", operation="apply", identity=ADA)


def start(journal: Journal, run_id: str, lock_id: str = "gone", operation: str = "apply") -> None:
    """Open the report of a run of two steps."""
    journal.start(run_id, operation=operation, lock_id=lock_id, identity=ADA, plan_id="sha256:1", steps=2)


def test_a_run_is_reported_with_its_steps(client: KeysClient) -> None:
    """A finished run tells who, when, what came out, and each step with its figures in the order of beginning."""
    journal = Journal(client, "shop")
    with take(client) as lease:
        start(journal, "run-1", lease.id)
        journal.step_started("run-1", "products/2", summary="create products@2", index="products")
        time.sleep(0.02)
        journal.step_finished("run-1", "products/2", figures={"documents": 500, "build_seconds": 1.25})
        journal.step_started("run-1", "blog/1", summary="drop blog@1", index="blog")
        journal.step_finished("run-1", "blog/1", "failed", error="timeout")
        journal.finish("run-1", "failed", error="step 2 of 2 failed")
    report = journal.read_run("run-1")
    assert report is not None
    run, (first, second) = report.run, report.steps
    assert (run.id, run.operation, run.plan_id, run.result) == ("run-1", "apply", "sha256:1", "failed")
    assert (run.who, run.host, run.pid, run.ci_url) == (ADA.who, ADA.host, ADA.pid, ADA.ci_url)
    assert (run.steps_done, run.steps_total, run.error) == (1, 2, "step 2 of 2 failed")
    assert run.started <= run.finished
    assert (first.id, first.index, first.summary, first.result) == (
        "products/2",
        "products",
        "create products@2",
        "done",
    )
    assert first.figures == {"documents": 500, "build_seconds": 1.25}
    assert 0.015 < first.seconds < 5
    assert (second.id, second.result, second.error) == ("blog/1", "failed", "timeout")


def test_a_report_is_json(plain: KeysClient) -> None:
    """A report becomes JSON-like data with its steps."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="create", index="a")
    report = journal.read_run("run-1")
    assert report is not None
    data = json.loads(json.dumps(report.to_dict()))
    assert data["id"] == "run-1"
    assert data["steps"][0]["result"] == "running"
    assert data["steps"][0]["seconds"] == 0.0


def test_a_run_is_interrupted_once_its_lock_is_gone(client: KeysClient) -> None:
    """A run that holds its lock is running; when the lock is gone, or somebody else's, it was interrupted."""
    journal = Journal(client, "shop")
    with take(client) as lease:
        start(journal, "run-1", lease.id)
        assert [run.result for run in journal.list_runs()] == ["running"]
        assert journal.interrupted() is None
    assert [run.result for run in journal.list_runs()] == ["interrupted"]
    with take(client):
        interrupted = journal.interrupted()
    assert interrupted is not None
    assert interrupted.id == "run-1"


def test_an_interrupted_run_is_told_until_its_operation_ran_again(plain: KeysClient) -> None:
    """Runs of other operations do not hide an interrupted apply; the next apply does."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.finish("run-1", "interrupted", error="SIGTERM")
    start(journal, "run-2", operation="import")
    journal.finish("run-2", "done")
    interrupted = journal.interrupted()
    assert interrupted is not None
    assert (interrupted.id, interrupted.error) == ("run-1", "SIGTERM")
    start(journal, "run-3")
    journal.finish("run-3", "done")
    assert journal.interrupted() is None


@pytest.mark.parametrize("operation", ["cutover", "complete", "rollback"])
def test_an_interrupted_run_is_over_when_another_command_ended_its_work(plain: KeysClient, operation: str) -> None:
    """What an apply began is completed or taken back by a command of its own."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.finish("run-1", "interrupted", error="SIGTERM")
    start(journal, "run-2", operation=operation)
    journal.finish("run-2", "done")
    assert journal.interrupted() is None


def test_runs_are_listed_newest_first(client: KeysClient) -> None:
    """The list begins with the latest run and holds no more than asked for; a project without runs has none."""
    journal = Journal(client, "shop")
    assert journal.list_runs() == ()
    for number in range(4):
        start(journal, f"run-{number}")
        journal.finish(f"run-{number}", "done")
    assert [run.id for run in journal.list_runs(3)] == ["run-3", "run-2", "run-1"]
    assert journal.read_run("run-9") is None


def test_starting_twice_is_one_run(plain: KeysClient) -> None:
    """A client that repeats the start after a broken connection makes no second run."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    start(journal, "run-1")
    assert [run.id for run in journal.list_runs()] == ["run-1"]
    assert len(journal.read_events()) == 1


def test_old_runs_go_with_their_reports(client: KeysClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many runs are kept, and the reports of older ones are deleted."""
    monkeypatch.setattr(journal_module, "RUNS_KEPT", 3)
    journal = Journal(client, "shop")
    for number in range(5):
        start(journal, f"run-{number}")
    assert [run.id for run in journal.list_runs()] == ["run-4", "run-3", "run-2"]
    assert journal.read_run("run-1") is None
    assert client.exists(journal.keys.run("run-1")) == 0


def test_old_events_go(plain: KeysClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of events is capped, about."""
    monkeypatch.setattr(journal_module, "EVENTS_KEPT", 10)
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    for number in range(300):
        journal.step_started("run-1", f"a/{number}", summary="create")
    assert plain.xlen(journal.keys.events) < 150


def test_events_are_read_in_order_from_where_one_stopped(client: KeysClient) -> None:
    """Events come oldest first, and reading on after the last one seen repeats none."""
    journal = Journal(client, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="create a@1", index="a")
    first = journal.read_events()
    assert [event.kind for event in first] == ["run_started", "step_running"]
    assert first[1].data["summary"] == "create a@1"
    assert first[0].at.endswith("Z")
    journal.step_finished("run-1", "a/1", figures={"documents": 3})
    journal.finish("run-1", "done")
    later = journal.read_events(first[-1].id)
    assert [(event.run, event.kind) for event in later] == [("run-1", "step_done"), ("run-1", "run_done")]
    assert journal.read_events(limit=2) == first


def test_a_step_that_is_done_twice_counts_once(plain: KeysClient) -> None:
    """A step that was begun again keeps its place, and its success is counted once."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="create")
    journal.step_started("run-1", "b/1", summary="create")
    journal.step_finished("run-1", "a/1", "failed", error="timeout")
    journal.step_started("run-1", "a/1", summary="create")
    for _ in range(2):
        journal.step_finished("run-1", "a/1")
    report = journal.read_run("run-1")
    assert report is not None
    assert [(step.id, step.result, step.error) for step in report.steps] == [
        ("a/1", "done", ""),
        ("b/1", "running", ""),
    ]
    assert report.run.steps_done == 1


def test_a_lost_report_stays_lost_and_stops_nobody(plain: KeysClient) -> None:
    """When the keys are gone in the middle of a run, its steps and end are told but make no half report."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    plain.flushall()
    journal.step_started("run-1", "a/1", summary="create")
    journal.finish("run-1", "failed", error="the lock was lost")
    assert journal.read_run("run-1") is None
    assert journal.list_runs() == ()
    assert [event.kind for event in journal.read_events()] == ["step_running", "run_failed"]


def test_errors_are_kept_without_passwords(plain: KeysClient) -> None:
    """Credentials in the text of an error reach neither the report nor the events."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="create")
    journal.step_finished("run-1", "a/1", "failed", error="no route to rediss://app:hunter2@db:6379")
    journal.finish("run-1", "failed", error="no route to redis://:hunter2@db")
    report = journal.read_run("run-1")
    assert report is not None
    assert report.run.error == "no route to redis://***@db"
    assert "hunter2" not in json.dumps([report.to_dict(), [dict(event.data) for event in journal.read_events()]])


PROGRESS = StepProgressed(
    step="a/1",
    note="500 documents rewritten",
    done=500,
    total=1000,
    phase="rewriting",
    documents_per_second=120.5,
    eta_seconds=4.1,
    why="memory at 87% of maxmemory",
)


def report_text(journal: Journal, run_id: str = "run-1") -> str:
    """The report of a run as people read it."""
    report = journal.read_run(run_id)
    assert report is not None
    paper = Paper()
    write_run(paper, report)
    return plain_text(paper)


def test_progress_is_kept_with_its_step(client: KeysClient) -> None:
    """Others see how far a step is; in the stream it is told with the same names."""
    journal = Journal(client, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="rewrite a", index="a")
    journal.step_progressed("run-1", PROGRESS, stream=True)
    report = journal.read_run("run-1")
    assert report is not None
    assert report.steps[0].progress == StepProgress(
        note="500 documents rewritten",
        done=500,
        total=1000,
        phase="rewriting",
        documents_per_second=120.5,
        eta_seconds=4.1,
        why="memory at 87% of maxmemory",
    )
    event = journal.read_events()[-1]
    assert (event.run, event.kind, event.data["step"]) == ("run-1", "step_progressed", "a/1")
    assert (event.data["done"], event.data["documents_per_second"], event.data["why"]) == (
        *("500", "120.5", "memory at 87% of maxmemory"),
    )
    assert "50%  rewriting: 500 documents rewritten" in report_text(journal)


def test_progress_of_a_lost_report_makes_no_half_one(plain: KeysClient) -> None:
    """When the report was deleted meanwhile, it stays deleted."""
    journal = Journal(plain, "shop")
    journal.step_progressed("run-1", PROGRESS, stream=False)
    assert journal.read_run("run-1") is None
    assert journal.read_events() == ()


def test_a_live_journal_notes_progress_now_and_then(plain: KeysClient) -> None:
    """Everything is passed on; the report gets one a second, the stream too at first, then one in five seconds.

    A new phase is told at once.
    """
    now = 0.0
    seen: list[Event] = []
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    live = LiveJournal(journal, "run-1", seen.append, clock=lambda: now)
    for tick in range(801):
        now = tick / 10
        live(StepProgressed(step="a/1", note=f"{tick}", phase="rewriting"))
    live(StepProgressed(step="a/1", note="new", phase="settling"))
    live(RunFinished(run="run-1", result="done", seconds=1.0))
    assert len(seen) == 803
    told = [event.data["note"] for event in journal.read_events() if event.kind == "step_progressed"]
    assert told == [*(str(second * 10) for second in (*range(60), 64, 69, 74, 79)), "new"]


def test_a_live_journal_stops_nobody(plain: KeysClient) -> None:
    """A key of another type in the way of the journal is no reason to end a run."""
    journal = Journal(plain, "shop")
    plain.rpush(journal.keys.run("run-1"), "x")
    seen: list[Event] = []
    LiveJournal(journal, "run-1", seen.append)(PROGRESS)
    assert seen == [PROGRESS]


def test_documents_that_were_left_are_shown_safely(client: KeysClient) -> None:
    """The first ones with field and reason, the last line of a traceback, any bytes in keys; no terminal obeys them."""
    journal = Journal(client, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="rewrite a", index="a")
    rows = [
        BadRow(key="doc:\x1b[31m\udcff", field="vec", reason="17 bytes are no vector of 4 float32"),
        BadRow(key="doc:2", field="title", reason="transforms:embed raised", detail="Traceback:\n  x\nValueError: no"),
        *(BadRow(key=f"doc:{number}", field="vec", reason="NaN") for number in range(3, 60)),
    ]
    journal.step_finished("run-1", "a/1", figures={"documents_bad": 59.0, "documents_seen": 100.0}, bad_rows=rows)
    report = journal.read_run("run-1")
    assert report is not None
    (step,) = report.steps
    assert len(step.bad_rows) == journal_module.BAD_ROWS_KEPT
    assert step.bad_rows[0].key == "doc:\x1b[31m\udcff"
    assert step.bad_rows[1].reason == "transforms:embed raised: ValueError: no"
    assert json.loads(json.dumps(report.to_dict()))["steps"][0]["bad_rows"][0]["field"] == "vec"
    text = report_text(journal)
    assert "\x1b" not in text
    assert "doc:\\x1b[31m\\udcff" in text
    assert "Left as they were by: rewrite a, 59 in all" in text


def test_estimates_are_set_against_what_came(client: KeysClient) -> None:
    """Seconds, documents, bytes and memory, by index; what was not measured says so."""
    journal = Journal(client, "shop")
    impact = Impact(
        documents=1000,
        documents_written=900,
        bytes_written=2_000_000,
        peak_memory_bytes=50_000_000,
        estimated_seconds=12.0,
        search_downtime_seconds=3.0,
    )
    estimates = {"a": estimate_figures(impact), "b": estimate_figures(Impact(documents=None))}
    journal.start("run-1", operation="apply", lock_id="l", identity=ADA, steps=2, estimates=estimates)
    for step, figures in (
        ("a/0", {"documents_seen": 1000.0, "documents_written": 900.0, "bytes_written": 2e6}),
        ("a/1", {"documents_seen": 1000.0, "documents_written": 890.0, "bytes_written": 1.9e6}),
        ("a/2", {"documents_written": 7.0, "bytes_written": 1e5, "peak_memory_bytes": 6e7}),
    ):
        operation = "rehearse_rewrite" if step == "a/0" else "rewrite_documents"
        journal.step_started("run-1", step, summary="rewrite", index="a", operation=operation)
        journal.step_finished("run-1", step, figures=figures)
    report = journal.read_run("run-1")
    assert report is not None
    first, second = report.indexes
    assert first.estimated["seconds"] == 12
    assert {name: value for name, value in first.actual.items() if name != "seconds"} == {
        "bytes_written": 2_000_000,
        "documents": 1000,
        "documents_written": 897,
        "peak_memory_bytes": 60_000_000,
    }
    assert (second.index, second.estimated, second.actual) == ("b", {}, {})
    assert [index["index"] for index in report.to_dict()["indexes"]] == ["a", "b"]
    lines = [" ".join(line.split()) for line in report_text(journal).splitlines()]
    assert "documents written 900 897" in lines
    assert "memory at its peak 48 MiB 57 MiB" in lines
    assert "without search 3.0 s not measured" in lines


def test_a_report_of_before_or_damaged_by_hand_is_shown(plain: KeysClient) -> None:
    """Parts that are missing or make no sense count as empty."""
    journal = Journal(plain, "shop")
    start(journal, "run-1")
    journal.step_started("run-1", "a/1", summary="rewrite a", index="a")
    parts = {"estimates": "[1]", "figures:a/1": "{", "progress:a/1": "7", "bad_rows:a/1": '{"key": 1}'}
    edit_record(plain, journal.keys.run("run-1"), **parts)
    report = journal.read_run("run-1")
    assert report is not None
    assert (report.indexes, report.steps[0].progress, report.steps[0].bad_rows) == ((), None, ())
    assert "rewrite a" in report_text(journal)
