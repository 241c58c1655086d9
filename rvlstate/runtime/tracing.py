"""OpenTelemetry traces of a run: one span for it, one for each step; imported only where traces were asked for."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rvlstate import __version__
from rvlstate.events import (
    CommandRetried,
    Event,
    LateWritesFound,
    LockAwaited,
    OrderReceived,
    ReplicaNotAwaited,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepSkipped,
    StepStarted,
    WatchStarted,
)

FLUSH_MS = 5_000
"""How long the end of a run waits for a collector that does not answer."""

LONGEST_TEXT = 1_000


def console_exporter() -> SpanExporter:
    """Writes each span to stderr as a JSON object in one line, for looking at them without a collector."""
    return ConsoleSpanExporter(out=sys.stderr, formatter=_line)


def _line(span: ReadableSpan) -> str:
    """A span as JSON in which no CI system finds a command such as `##[error]`; the escape means the same character."""
    text: str = span.to_json(indent=None)
    return text.replace("##", "#\\u0023") + "\n"


class Traces:
    """Turns the events of a run into spans; `operation` names the command, `environ` may hold a TRACEPARENT."""

    def __init__(
        self,
        project: str,
        operation: str,
        *,
        environ: Mapping[str, str] = os.environ,
        exporter: SpanExporter | None = None,
    ) -> None:
        # An exporter that cannot reach its collector says so on stderr, where the log is JSON perhaps.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False
        name = environ.get("OTEL_SERVICE_NAME", "rvlstate")
        resource = Resource.create({"service.name": name, "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter or OTLPSpanExporter(timeout=FLUSH_MS / 1000), export_timeout_millis=FLUSH_MS)
        )
        self._tracer = self._provider.get_tracer("rvlstate", __version__)
        parent = {"traceparent": environ.get("TRACEPARENT", ""), "tracestate": environ.get("TRACESTATE", "")}
        self._parent = TraceContextTextMapPropagator().extract(parent)
        self._project, self._operation = project, operation
        self._lock = threading.Lock()
        self._run: Span | None = None
        self._steps: dict[str, Span] = {}

    def __call__(self, event: Event) -> None:
        """Begin, note on, or end a span."""
        with self._lock:
            self._take(event)

    def close(self) -> None:
        """End what is open and send all that is left, for `FLUSH_MS` at most."""
        with self._lock:
            for span in (*self._steps.values(), *((self._run,) if self._run else ())):
                span.end()
            self._steps, self._run = {}, None
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin_run(event)
            case StepStarted() | StepProgressed() | StepFinished() | StepFailed():
                self._take_step(event)
            case CommandRetried():
                self._note(self._steps.get(event.step), "command retried", {"reason": event.reason})
            case ReplicaNotAwaited():
                self._note(self._steps.get(event.step), "replica not awaited", {"text": event.text})
            case StepSkipped():
                self._note(self._run, "step skipped", {"step": event.step, "because": event.because})
            case OrderReceived():
                self._note(self._run, "order received", {"order": event.order, "by": event.by})
            case RunFinished():
                self._end_run(event)
            case LockAwaited() | WatchStarted() | LateWritesFound():
                pass

    def _take_step(self, event: StepStarted | StepProgressed | StepFinished | StepFailed) -> None:
        match event:
            case StepStarted():
                self._begin(event)
            case StepProgressed():
                self._progress(event)
            case StepFinished():
                self._end(event.step, {"rvlstate.step.note": event.note, **_figures(event.figures)})
            case StepFailed():
                self._end(event.step, {"rvlstate.step.failed_checks": event.failed_checks}, error=event.error)

    def _begin_run(self, event: RunStarted) -> None:
        attributes: dict[str, str | int] = {
            "rvlstate.project": self._project,
            "rvlstate.run": event.run,
            "rvlstate.plan": event.plan,
            "rvlstate.steps": event.steps,
            "rvlstate.resumes": event.resumes,
        }
        self._run = self._tracer.start_span(f"rvlstate {self._operation}", context=self._parent, attributes=attributes)

    def _begin(self, event: StepStarted) -> None:
        attributes = {
            "rvlstate.project": self._project,
            "rvlstate.step": event.step,
            "rvlstate.index": event.index,
            "rvlstate.operation": event.operation,
            "rvlstate.summary": event.summary[:LONGEST_TEXT],
        }
        context = set_span_in_context(self._run) if self._run else self._parent
        self._steps[event.step] = self._tracer.start_span(event.operation, context=context, attributes=attributes)

    def _progress(self, event: StepProgressed) -> None:
        """The phases of a step, each once, as events of its span."""
        span = self._steps.get(event.step)
        if span is None or not event.phase:
            return
        seen: Any = getattr(span, "attributes", None) or {}
        if seen.get("rvlstate.step.phase") != event.phase:
            span.set_attribute("rvlstate.step.phase", event.phase)
            span.add_event("phase", {"phase": event.phase})

    def _end(self, step: str, attributes: Mapping[str, Any], *, error: str = "") -> None:
        span = self._steps.pop(step, None)
        if span is None:
            return
        span.set_attributes(dict(attributes))
        if error:
            span.set_status(Status(StatusCode.ERROR, error[:LONGEST_TEXT]))
        span.end()

    def _end_run(self, event: RunFinished) -> None:
        if self._run is None:
            return
        for step in list(self._steps):
            self._end(step, {}, error=event.result)
        self._run.set_attribute("rvlstate.result", event.result)
        if event.result != "done":
            self._run.set_status(Status(StatusCode.ERROR, event.result))
        self._run.end()
        self._run = None

    def _note(self, span: Span | None, name: str, attributes: Mapping[str, str]) -> None:
        if span is not None:
            span.add_event(name, {key: value[:LONGEST_TEXT] for key, value in attributes.items()})


def _figures(figures: Mapping[str, float]) -> dict[str, float]:
    """The counts of a step; names that hold a query of the user's are left out."""
    return {f"rvlstate.figures.{name}": value for name, value in sorted(figures.items()) if name.isidentifier()}
