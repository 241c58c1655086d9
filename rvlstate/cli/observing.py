"""Metrics and traces of a command: what the options and the environment ask for, beside the progress that is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.options import LOOPBACK, Decorated, Globals, Observing
from rvlstate.cli.output import note
from rvlstate.errors import InterruptedRunError, UsageError

if TYPE_CHECKING:
    from rvlstate.events import Event, OnEvent
    from rvlstate.plan.drift import Drift
    from rvlstate.project import Project
    from rvlstate.runtime.metrics import Metrics

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of which each asks for traces, as the specification of OpenTelemetry says."""

EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OVER_HTTP = "http/protobuf"


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None and param.name:
        setattr(ctx.ensure_object(Globals).observing, param.name.removeprefix("metrics_"), value)


def metrics_file_option(function: Decorated) -> Decorated:
    """`--metrics-file`, kept among what the command is called with."""
    return click.option(
        "--metrics-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        callback=_remember,
        expose_value=False,
        help="Write Prometheus metrics to this file, for the textfile collector of a node exporter.",
    )(function)


def observing_options(function: Decorated) -> Decorated:
    """All options about metrics and traces of a run."""
    for option in reversed(
        (
            click.option(
                "--metrics-port",
                type=click.IntRange(0, 65_535),
                metavar="PORT",
                callback=_remember,
                expose_value=False,
                help="Serve Prometheus metrics while the run lasts; 0 takes a free port and says which.",
            ),
            click.option(
                "--metrics-address",
                metavar="ADDRESS",
                callback=_remember,
                expose_value=False,
                help=f"Address to serve them at. Default: {LOOPBACK}.",
            ),
            click.option(
                "--traces",
                is_flag=True,
                default=None,
                callback=_remember,
                expose_value=False,
                help="Send OpenTelemetry traces; so does OTEL_EXPORTER_OTLP_ENDPOINT in the environment.",
            ),
        )
    ):
        function = option(function)
    return metrics_file_option(function)


@contextmanager
def observing(settings: Globals, project: str, operation: str) -> Iterator[Callable[[OnEvent], OnEvent]]:
    """What adds the metrics and traces that were asked for to a listener of a run; they end with the context.

    A command that fails within it before it runs anything is told as failed, refused or locked.
    """
    wanted = settings.observing
    listeners: list[OnEvent] = []
    with ExitStack() as stack:
        if asks_for_traces(wanted, os.environ):
            _trace(settings, project, operation, listeners, stack)
        if wanted.file is not None or wanted.port is not None:
            from rvlstate.runtime.metrics import Metrics

            _measure(settings, Metrics(project, operation), listeners, stack)
        yield lambda show: _tee([show, *listeners]) if listeners else show


def asks_for_traces(wanted: Observing, environ: Mapping[str, str]) -> bool:
    """Whether traces are to be sent, by the option or by the variables of OpenTelemetry."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get(EXPORTER) == "none":
        return False
    return wanted.traces or environ.get(EXPORTER) == "console" or any(environ.get(name) for name in ENDPOINTS)


def traces_warning(environ: Mapping[str, str]) -> str:
    """What the environment asks for of traces and does not get; "" where it gets it."""
    exporter = environ.get(EXPORTER, "")
    if exporter == "console":
        return ""
    if exporter not in ("", "otlp"):
        return f"{EXPORTER}={exporter} is not known here: traces are sent by otlp, or written by console"
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), OVER_HTTP)
    if protocol != OVER_HTTP:
        return f"traces are sent by {OVER_HTTP}, not by {protocol}: name the collector's endpoint for HTTP (port 4318)"
    return ""


def write_metrics_file(settings: Globals, project: Project, drift: Drift) -> None:
    """Write what was found about drift to the file that was asked for; nothing where none was."""
    if settings.observing.file is None:
        return
    from rvlstate.runtime.metrics import Metrics
    from rvlstate.runtime.metrics_drift import tell_drift
    from rvlstate.runtime.metrics_output import write_metrics

    metrics = Metrics(project.name, "drift")
    tell_drift(metrics, drift, next(iter(project.history(1)), None))
    write_metrics(metrics, settings.observing.file)


def _measure(settings: Globals, metrics: Metrics, listeners: list[OnEvent], stack: ExitStack) -> None:
    from rvlstate.runtime.metrics_output import metrics_endpoint, metrics_file

    wanted = settings.observing
    metrics.expect_run()
    if wanted.file is not None:
        stack.enter_context(metrics_file(metrics, wanted.file))
    if wanted.port is not None:
        url = stack.enter_context(metrics_endpoint(metrics, wanted.address, wanted.port))
        note(settings, f"Metrics at {url}")
    listeners.append(metrics)
    stack.push(partial(_tell_end, metrics))


def _tell_end(metrics: Metrics, _kind: type[BaseException] | None, error: BaseException | None, _at: object) -> None:
    """How a command ended that told of no run, or failed after one."""
    if error is None:
        metrics.tell_end("")
    elif isinstance(error, InterruptedRunError | KeyboardInterrupt):
        metrics.tell_end("interrupted")
    else:
        metrics.tell_end({3: "refused", 4: "locked"}.get(getattr(error, "exit_code", 1), "failed"))


def _trace(settings: Globals, project: str, operation: str, listeners: list[OnEvent], stack: ExitStack) -> None:
    try:
        from rvlstate.runtime.tracing import Traces, console_exporter
    except ImportError as error:
        if settings.observing.traces:
            raise UsageError(
                "traces need OpenTelemetry, which is not installed", next_step='pip install "rvlstate[otel]"'
            ) from error
        note(settings, 'warning: no traces are sent: pip install "rvlstate[otel]"')
        return
    warning = traces_warning(os.environ)
    if warning:
        note(settings, f"warning: {warning}")
    console = os.environ.get(EXPORTER) == "console"
    traces = Traces(project, operation, exporter=console_exporter() if console else None)
    stack.callback(traces.close)
    listeners.append(traces)


def _tee(listeners: list[OnEvent]) -> OnEvent:
    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell
