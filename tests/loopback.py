"""HTTP servers on loopback, for tests of what speaks to others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Listening(Protocol):
    """The state of a server: where it listens, and what lets go of all that hangs in it."""

    port: int
    released: threading.Event


@contextmanager
def listening(state: Listening, handler: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    """Answer on a free port until the block is left; each connection is a `handler` with this `state`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"state": state}))
    server.daemon_threads = True
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class QuietHandler(BaseHTTPRequestHandler):
    """One connection, of which nothing is printed."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
