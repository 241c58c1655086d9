"""Metrics and traces: what a run tells at its endpoint, in its file and to a collector, read by others' parsers."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Cli
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from rvlstate.errors import RvlstateError
from rvlstate.events import (
    CommandRetried,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
    StepStarted,
)
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.runtime.metrics import RUN_RESULTS, Metrics
from rvlstate.runtime.metrics_drift import KINDS, drift_kinds
from rvlstate.runtime.metrics_output import metrics_endpoint, metrics_file, write_metrics
from rvlstate.runtime.tracing import Traces

pytest_plugins = ("cli_fixtures",)

PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
PATIENCE = 60.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """The samples of a text in Prometheus's format, without the label that all have."""
    return {
        (
            sample.name,
            tuple(sorted((key, value) for key, value in sample.labels.items() if key != "project")),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample; None if there is none."""
    return samples.get((f"rvlstate_{name}", tuple(sorted(labels.items()))))


def told(metrics: Metrics) -> Samples:
    """What metrics tell now."""
    from prometheus_client import generate_latest

    return parsed(generate_latest(metrics.registry).decode())


def started(step: str, operation: str, index: str = "a") -> StepStarted:
    """The beginning of a step."""
    return StepStarted(step=step, index=index, operation=operation, summary="", number=1, total=3)


def progressed(step: str, **figures: float) -> StepProgressed:
    """Progress of a step, half of it done."""
    return StepProgressed(step=step, note="", done=50, total=100, documents_per_second=12.5, figures=figures)


# --- From events


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
    """Each index counts once, under the gravest; a kind that there is none of is 0."""

    def drifted(name: str, *changes: tuple[str, str | None]) -> IndexDrift:
        made = tuple(
            Change(address=f"{name}.{part}", before="x", after=after, classification=None, reason="")
            for part, after in changes
        )
        return IndexDrift(name=name, physical=f"{name}@1", changes=made)

    drift = Drift(
        project="shop",
        indexes=(
            drifted("a", ("physical", None)),
            drifted("b", ("physical", "b"), ("fields.t", None)),
            drifted("c", ("fields.t.weight", "2")),
            drifted("d", ("aliases.dd", "e@1")),
            drifted("e", ("physical", "other")),
        ),
    )
    assert drift_kinds(drift) == {"changed": 1, "missing": 1, "hijacked": 1, "moved": 2}
    assert set(drift_kinds(Drift(project="shop"))) == set(KINDS)


def test_names_follow_the_conventions_and_the_page_has_them_all() -> None:
    """A prefix, base units, _total for counters; HELP for each; docs/metrics.md is complete."""
    metrics = Metrics("shop")
    families = {family.name: family for family in metrics.registry.collect()}
    assert all(re.fullmatch(r"rvlstate_[a-z_]+", name) for name in families)
    assert all(family.documentation.endswith(".") for family in families.values())
    assert not [name for name in families if re.search(r"_(ms|minutes|percent|kb|count)\b", name)]
    shown = {f"{name}_total" if family.type == "counter" else name for name, family in families.items()}
    assert set(re.findall(r"^\| `(rvlstate_\w+)`", PAGE, re.MULTILINE)) == shown


# --- File and endpoint


def test_the_file_is_written_while_the_run_goes_on(tmp_path: Path) -> None:
    """At once, then again and again, then at the end; what a reader finds is always whole."""
    file, metrics = tmp_path / "rvlstate.prom", Metrics("shop")
    with metrics_file(metrics, file, seconds=0.01):
        assert value(parsed(file.read_text()), "run_in_progress") is None
        metrics(RunStarted(run="r", project="shop", plan="p", steps=1))
        wait_until(lambda: value(parsed(file.read_text()), "run_in_progress") == 1)
        metrics(RunFinished(run="r", result="done", seconds=1))
    assert value(parsed(file.read_text()), "last_run_result", result="done") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rvlstate.prom"]


def test_the_file_is_written_though_the_run_fails(tmp_path: Path) -> None:
    """And the failure is what is told, even where the file cannot be written any more."""
    folder = tmp_path / "gone"
    folder.mkdir()
    metrics = Metrics("shop")

    def fail(*, lose: bool) -> None:
        with metrics_file(metrics, folder / "m.prom"):
            metrics(RunFinished(run="r", result="failed", seconds=1))
            if lose:
                (folder / "m.prom").unlink()
                folder.rmdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail(lose=False)
    assert value(parsed((folder / "m.prom").read_text()), "last_run_result", result="failed") == 1
    with pytest.raises(KeyError):
        fail(lose=True)


def test_a_file_that_cannot_be_written_is_told_before_the_run(cli: Cli) -> None:
    """Nothing is applied then."""
    outcome = cli.run("apply", "--yes", "--metrics-file", "nowhere/m.prom")
    assert outcome.code == 1
    assert "the metrics cannot be written" in outcome.err
    assert cli.client.execute_command("FT._LIST") == []


def test_a_taken_port_is_told_before_the_run(cli: Cli) -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = cli.run("apply", "--yes", "--metrics-port", str(taken.getsockname()[1]))
    assert (outcome.code, "--metrics-port; 0 takes a free one" in outcome.err) == (1, True)
    assert cli.client.execute_command("FT._LIST") == []


def test_the_endpoint_is_on_loopback_and_ends_with_the_context() -> None:
    """Whoever wants it elsewhere has to say so."""
    with metrics_endpoint(Metrics("shop"), "127.0.0.1", 0) as url:
        assert url.startswith("http://127.0.0.1:")
        assert "rvlstate_run_in_progress" in scraped(url)
    with pytest.raises(urllib.error.URLError):
        scraped(url)
    with pytest.raises(RvlstateError, match="cannot be served"), metrics_endpoint(Metrics("shop"), "192.0.2.1", 0):
        pass


def scraped(url: str) -> str:
    """What an endpoint answers."""
    assert url.startswith("http://")
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an endpoint of the test's own
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def wait_until(condition: Any) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- A real apply


def test_a_real_apply_is_scraped_while_it_goes_on(cli: Cli) -> None:
    """It is slow until the throttle is off, and the endpoint tells of it; then it ends, and so does the endpoint."""
    for number in range(60):
        cli.client.hset(f"products:{number}", mapping={"title": f"shoe {number}", "price": number})
    cli.declare("products", "title:text", "price:numeric")
    cli.applied()
    (cli.folder / "rvlstate.yaml").write_text(
        (cli.folder / "rvlstate.yaml").read_text()
        + "indexes: {products: {batch_size: 1, max_docs_per_second: 20, strategy: recreate, "
        "fields: {name: {renamed_from: title}}}}\n"
    )
    cli.declare("products", "name:text", "price:numeric")
    words = ["apply", "--yes", "--log-format", "json", "--metrics-port", "0", "--metrics-file", "m.prom"]
    for code in ("SEARCH_DOWNTIME", "REWRITES_DOCUMENTS", "DELETES_INDEX"):
        words += ["--allow", code]
    with cli.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        url = re.search(r"http://[^\"]+/metrics", process.stderr.readline())
        assert url is not None
        samples: Samples = {}

        def at_work() -> bool:
            samples.update(parsed(scraped(url.group())))
            assert process.poll() is None
            return bool(value(samples, "documents_total", index="products", result="written"))

        wait_until(at_work)
        assert value(samples, "run_in_progress") == value(samples, "lock_held") == 1
        assert value(samples, "phase_active", index="products", phase="rewrite_documents") == 1
        assert 0 < (value(samples, "documents_total", index="products", result="written") or 0) < 60
        wait_until(lambda: value(parsed((cli.folder / "m.prom").read_text()), "run_in_progress") == 1)
        assert cli.run("throttle", "off").code == 0
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    samples = parsed((cli.folder / "m.prom").read_text())
    assert value(samples, "documents_total", index="products", result="written") == 60
    assert value(samples, "last_run_result", result="done") == 1
    assert value(samples, "run_in_progress") == value(samples, "lock_held") == 0
    assert (value(samples, "last_run_timestamp_seconds") or 0) > 1_700_000_000
    with pytest.raises(urllib.error.URLError):
        scraped(url.group())


def test_the_file_of_an_apply_that_has_nothing_to_do_or_is_refused(cli: Cli) -> None:
    """A scheduled apply tells of itself whatever it came to."""
    cli.applied()
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom").code == 0
    assert value(parsed((cli.folder / "m.prom").read_text()), "last_run_result", result="nothing") == 1
    (cli.folder / "indexes" / "categories.yaml").unlink()
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom").code == 3
    assert value(parsed((cli.folder / "m.prom").read_text()), "last_run_result", result="refused") == 1


def test_the_file_of_drift(cli: Cli) -> None:
    """The drifted indexes by kind, the lock, and the last run as it is recorded."""
    cli.applied()
    cli.client.execute_command("FT.DROPINDEX", "categories@1")
    cli.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "colour", "TAG")
    cli.client.execute_command("FT.CREATE", "stray", "SCHEMA", "a", "TAG")
    assert cli.run("drift", "--metrics-file", "drift.prom").code == 2
    samples = parsed((cli.folder / "drift.prom").read_text())
    assert {kind: value(samples, "drifted_indexes", kind=kind) for kind in KINDS} == {
        "changed": 1,
        "missing": 1,
        "hijacked": 0,
        "moved": 0,
    }
    assert value(samples, "unmanaged_indexes") == 1
    assert value(samples, "lock_held") == 0
    assert value(samples, "last_run_result", result="done") == 1
    assert abs((value(samples, "last_run_timestamp_seconds") or 0) - time.time()) < 3600
    assert abs((value(samples, "drift_check_timestamp_seconds") or 0) - time.time()) < 3600


def test_without_options_nothing_is_imported() -> None:
    """An apply that nobody watches does not wait for the libraries of metrics and traces.

    redis-py imports OpenTelemetry by itself where that is installed, so its modules alone tell nothing.
    """
    code = (
        "import sys, rvlstate.cli.apply, rvlstate.cli.carrying_out, rvlstate.project;"
        "print({'prometheus_client', 'opentelemetry.exporter.otlp', 'rvlstate.runtime.tracing'} & {*sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_metrics_are_whole_while_they_are_written(tmp_path: Path) -> None:
    """Events come from several threads while the file is written and the endpoint is scraped."""
    metrics, file = Metrics("shop"), tmp_path / "m.prom"
    done = threading.Event()

    def work(number: int) -> None:
        while not done.is_set():
            metrics(started(f"{number}/1", "rewrite_documents", str(number)))
            metrics(StepFinished(step=f"{number}/1", seconds=0, figures={"documents_written": 1}))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(50):
            write_metrics(metrics, file)
            parsed(file.read_text())
    finally:
        done.set()
        for worker in workers:
            worker.join()
    samples = told(metrics)
    assert all(
        value(samples, "documents_total", index=str(number), result="written")
        == value(samples, "steps_total", index=str(number), result="done")
        for number in range(3)
    )


# --- Traces


def test_a_run_is_a_span_with_one_for_each_step() -> None:
    """With its attributes, the phases of a step as events, and the failure as the status."""
    kept = InMemorySpanExporter()
    traces = Traces("shop", "apply", environ={}, exporter=kept)
    traces(RunStarted(run="r1", project="shop", plan="p1", steps=2))
    traces(started("a/1", "rewrite_documents"))
    traces(StepProgressed(step="a/1", note="", phase="writing"))
    traces(StepProgressed(step="a/1", note="", phase="writing"))
    traces(CommandRetried(step="a/1", reason="lost", delay=1))
    traces(StepFinished(step="a/1", seconds=1, figures={"documents_written": 5, "found by @a:{secret}": 1}))
    traces(started("a/2", "verify_index"))
    traces(StepFailed(step="a/2", error="2 checks failed", failed_checks=2))
    traces(StepSkipped(step="a/3", because="a/2"))
    traces(OrderReceived(order="pause", by="ann", text="paused"))
    traces(RunFinished(run="r1", result="failed", seconds=2))
    traces.close()
    rewrite, verify, run = kept.get_finished_spans()
    assert [span.name for span in (rewrite, verify, run)] == ["rewrite_documents", "verify_index", "rvlstate apply"]
    assert rewrite.parent is not None
    assert run.context is not None
    assert rewrite.parent.span_id == run.context.span_id
    assert [event.name for event in rewrite.events] == ["phase", "command retried"]
    assert dict(rewrite.attributes or {})["rvlstate.figures.documents_written"] == 5
    assert "secret" not in str(rewrite.attributes)
    assert (verify.status.description, run.status.is_ok) == ("2 checks failed", False)
    assert [event.name for event in run.events] == ["step skipped", "order received"]
    assert dict(run.attributes or {})["rvlstate.result"] == "failed"
    assert run.resource.attributes["service.name"] == "rvlstate"


def test_a_run_belongs_to_the_trace_of_its_pipeline() -> None:
    """TRACEPARENT names it; what is cut off is ended all the same."""
    kept = InMemorySpanExporter()
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    traces = Traces("shop", "apply", environ={"TRACEPARENT": parent, "OTEL_SERVICE_NAME": "deploys"}, exporter=kept)
    traces(RunStarted(run="r1", project="shop", plan="p1", steps=1))
    traces(started("a/1", "await_build"))
    traces.close()
    spans = kept.get_finished_spans()
    assert len(spans) == 2
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {parent.split("-")[1]}
    assert {span.resource.attributes["service.name"] for span in spans} == {"deploys"}


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[bytes]]]:
    """A collector of OTLP over HTTP: its address, and what it was sent."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_a_real_apply_sends_its_traces_where_the_environment_says(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span for the run and one for each step, over OTLP."""
    with collector() as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        outcome = cli.run("apply", "--yes", "--format", "json", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    spans = [
        span
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = [span.name for span in spans]
    assert names.count("rvlstate apply") == 1
    assert len(spans) == 1 + len(outcome.data["steps"])
    (run,) = [span for span in spans if span.name == "rvlstate apply"]
    assert {span.parent_span_id for span in spans if span is not run} == {run.span_id}


@pytest.mark.parametrize("how", ["refuses", "nobody"])
def test_a_collector_that_fails_changes_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The run is done, nothing is told on stderr, and it does not wait for long."""
    with collector(503) as (address, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address if how == "refuses" else "http://127.0.0.1:1")
        outcome = cli.run("apply", "--yes", "--log-format", "json")
    assert outcome.code == 0
    assert all(json.loads(line)["event"] for line in outcome.err.splitlines())


def test_traces_that_are_switched_off_are_not_sent(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the specification of OpenTelemetry says, whatever the endpoint."""
    with collector() as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        assert cli.run("apply", "--yes", "-q").code == 0
    assert received == []


def test_without_the_extra_traces_are_a_warning_or_an_error(cli: Cli) -> None:
    """A warning where the environment of all programs asks for them, an error where this one was asked."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from rvlstate.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )

    def apply(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "apply", "--yes", *words]
        return subprocess.run(command, cwd=cli.folder, text=True, capture_output=True, check=False, env=variables)

    asked = apply("--traces")
    assert (asked.returncode, 'pip install "rvlstate[otel]"' in asked.stderr) == (64, True)
    assert cli.client.execute_command("FT._LIST") == []
    told = apply(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert (told.returncode, "warning: no traces are sent" in told.stderr) == (0, True)
