"""Traces: spans of a run and its steps, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cli_kit import Cli
from metrics_kit import started
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rvlstate.cli.observing import traces_warning
from rvlstate.events import (
    CommandRetried,
    OrderReceived,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
)
from rvlstate.runtime.tracing import Traces

pytest_plugins = ("cli_fixtures",)


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


def test_traces_on_the_console_are_lines_of_json_on_stderr(cli: Cli) -> None:
    """For looking at them without a collector; the result on stdout is left alone."""
    environ = {**os.environ, "OTEL_TRACES_EXPORTER": "console"}
    with cli.start(
        "apply", "--yes", "-q", "--format", "json", env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    names = [json.loads(line)["name"] for line in err.splitlines()]
    assert names.count("rvlstate apply") == 1
    assert len(names) == 1 + len(json.loads(out)["steps"])


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp"}, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "not by grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin is not known here"),
    ],
)
def test_what_the_environment_asks_for_in_vain_is_told(environ: dict[str, str], words: str) -> None:
    """A collector that listens for gRPC alone would get nothing, silently."""
    told = traces_warning(environ)
    assert (words in told) if words else (told == "")


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
