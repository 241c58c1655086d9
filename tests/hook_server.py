"""A webhook on loopback: it takes what is posted, and fails in the usual ways where a test asks for that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from loopback import QuietHandler, listening


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the next request gets; `how` is "answer", "hang" (until the end), "trickle" or "cut"."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    how: str = "answer"


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class HookServer:
    """What was posted, and what is answered next; 200 where nothing else was asked for."""

    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, status: int = 200, times: int = 1, **settings: Any) -> None:
        """What the next requests get."""
        self.answers += [Answer(status=status, **settings) for _ in range(times)]

    def bodies(self) -> list[Any]:
        """What was posted, and forget it."""
        found, self.posted = [one.body for one in self.posted], []
        return found


@contextmanager
def hook_server() -> Iterator[HookServer]:
    """A server that runs until the block is left."""
    state = HookServer()
    with listening(state, _Handler):
        yield state


class _Handler(QuietHandler):
    """One connection."""

    state: HookServer

    def handle_post(self) -> None:
        """Take one message, or fail as was asked for."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.state.posted.append(Posted(self.path, headers, json.loads(raw)))
        answer = self.state.answers.pop(0) if self.state.answers else Answer()
        if answer.how == "hang":
            self.state.released.wait(60)
        if answer.how == "trickle":
            self._trickle()
        if answer.how != "answer":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body.encode())

    do_POST = handle_post  # noqa: N815 - the base class asks for it

    def _trickle(self) -> None:
        """Send a status line that never ends, a character at a time, for as long as anybody listens."""
        with suppress(OSError):
            while not self.state.released.wait(0.02):
                self.wfile.write(b"H")
