"""Where metrics go: a file that a node exporter picks up, and an HTTP endpoint while a run lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import disable_created_metrics, start_http_server, write_to_textfile

from rvlstate.errors import RvlstateError
from rvlstate.runtime.metrics import Metrics

SECONDS_BETWEEN_FILES = 5.0


@contextmanager
def metrics_file(metrics: Metrics, path: Path, *, seconds: float = SECONDS_BETWEEN_FILES) -> Iterator[None]:
    """Write the metrics to `path` every few seconds and at the end, whole or not at all.

    Raises RvlstateError if it cannot be written at the beginning or at the end; in between, the next time will do.
    """
    write_metrics(metrics, path)
    path = path.absolute()  # the user's own code may go to another folder meanwhile
    done = threading.Event()

    def keep_writing() -> None:
        while not done.wait(seconds):
            with suppress(RvlstateError):
                write_metrics(metrics, path)

    writer = threading.Thread(target=keep_writing, name="rvlstate-metrics", daemon=True)
    writer.start()
    try:
        yield
    except BaseException:  # what went wrong matters more than the file
        done.set()
        writer.join()
        with suppress(RvlstateError):
            write_metrics(metrics, path)
        raise
    done.set()
    writer.join()
    write_metrics(metrics, path)


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write the metrics of this moment in the text format. Raises RvlstateError."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for each series, of which nobody asks
    try:
        write_to_textfile(str(path), metrics.registry)
    except OSError as error:
        raise RvlstateError(
            "the metrics cannot be written",
            where=str(path),
            why=f"The system says: {error.strerror or error}.",
            next_step="name a file in a folder that exists and can be written to.",
        ) from error


@contextmanager
def metrics_endpoint(metrics: Metrics, address: str, port: int) -> Iterator[str]:
    """Serve the metrics at `address`:`port` (0: a free one); the URL. Raises RvlstateError if that is taken."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, addr=address, registry=metrics.registry)
    except (OSError, OverflowError) as error:
        raise RvlstateError(
            f"the metrics cannot be served at {address} port {port}",
            why=f"The system says: {getattr(error, 'strerror', None) or error}.",
            next_step="choose another --metrics-port; 0 takes a free one.",
        ) from error
    try:
        host = f"[{address}]" if ":" in address else address
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
