"""A socket between rvlstate and a server that sees every command, and can end the sender at any of them.

Commands go through one at a time, each with its reply, over all connections together: what comes before what is
known, and a test may look at the server between any two.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import hiredis

from rvlstate.plan.operations.drop_index import DROP_INDEX
from rvlstate.plan.operations.take_name import TAKE_NAME
from rvlstate.runtime.fence import AS_IT_IS
from rvlstate.runtime.scripts import source

Command = tuple[bytes, ...]
When = Literal["before", "after"]

NOTHING = object()
CHUNK = 1 << 16
SCRIPTS = (
    *("acquire", "renew", "release", "save", "run_start", "run_step", "run_finish", "unlock"),
    *("order", "obey", "run_progress"),
)
JOURNAL = frozenset({"renew", "run_start", "run_step", "run_finish", "order", "obey", "run_progress"})
"""Scripts whose effect no later run reads to decide anything."""

POLLED = frozenset({"renew", "GET", "run_progress", "FT.INFO", "FT.SYNDUMP", "FT._LIST", "INFO", "HELLO", "CLIENT"})
"""What is sent more or less often, as a build takes longer or shorter, or threads share connections."""

WRITES = frozenset(
    {
        "FT.CREATE",
        "FT.ALTER",
        "FT.DROPINDEX",
        "FT.ALIASADD",
        "FT.ALIASUPDATE",
        "FT.ALIASDEL",
        "FT.SYNUPDATE",
        "EVAL",
        "SADD",
    }
)

DOCUMENT_WRITES = frozenset({"EVALSHA", "EXEC", "SET", "RPUSH", "DEL", "UNLINK"})
"""What writes documents and what is kept beside them; reading scripts go by EVALSHA as well."""

BATCHED = frozenset({"EVALSHA", "EXEC", "SCAN", "WATCH", "UNWATCH", "MULTI", "HMGET", "SCRIPT"})
"""What is sent more or less often, as batches are made larger or smaller."""


def unfenced(command: Command) -> Command:
    """The command that a fence was put around, else the command itself."""
    text = command[1].decode("latin-1") if command[0].upper() == b"EVAL" else ""
    body = text.removeprefix(source("fenced"))
    if body == text:
        return command
    # EVAL, the text, how many keys, fence, lock, id and token come first.
    return command[7:] if body == AS_IT_IS else (b"EVAL", body.encode("latin-1"), b"0", *command[7:])


def label(command: Command) -> str:
    """The command's name with its first argument; of a script the name of the script, of a batch nothing more."""
    name = command[0].decode().upper()
    if name in ("WATCH", "HMGET"):
        return name
    if name != "EVAL":
        return " ".join([name, *(word.decode("latin-1") for word in command[1:2])])
    texts = {source(script): script for script in SCRIPTS} | {DROP_INDEX: "DROP_INDEX", TAKE_NAME: "TAKE_NAME"}
    return f"EVAL {texts.get(command[1].decode(), '?')}"


def is_write(command: Command) -> bool:
    """Whether the command changes something on the server."""
    name = command[0].decode().upper()
    assert name in WRITES | DOCUMENT_WRITES or not name.startswith(("SET", "HSET", "DEL", "XADD", "SREM", "FLUSH")), (
        label(command)
    )
    return name in WRITES | DOCUMENT_WRITES


def is_journal(command: Command) -> bool:
    """Whether the command only tells others how far the run is."""
    return label(command).removeprefix("EVAL ") in JOURNAL


def deletes_documents(command: Command) -> bool:
    """Whether the command is an FT.DROPINDEX with DD, or the older FT.DROP, which needs no DD: never to be sent."""
    name = command[0].upper()
    return name == b"FT.DROP" or (name == b"FT.DROPINDEX" and b"DD" in {word.upper() for word in command[2:]})


def is_polled(command: Command) -> bool:
    """Whether another run may send it a little less often."""
    return label(command).removeprefix("EVAL ").split()[0] in POLLED | BATCHED


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A place in a run: the so-manieth command (from 1) of those with a label, before it or when its reply has come."""

    label: str
    occurrence: int
    when: When = "after"

    def __str__(self) -> str:
        return f"{self.when} {self.label} ({self.occurrence})"


@dataclass(frozen=True, slots=True)
class Trap:
    """Ends the sender at a point."""

    point: Point
    kill: Callable[[], None]


@dataclass(slots=True)
class Proxy:
    """A listening unix socket; `seen` are the commands that reached the server, `watch` is called after each.

    `before` is called ahead of each, and may hold it up. All are told of commands without the fence around them.
    """

    path: Path
    upstream: str
    seen: list[Command] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    trap: Trap | None = None
    watch: Callable[[Command], None] | None = None
    before: Callable[[Command], None] | None = None
    problems: list[BaseException] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _sprung: bool = False

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"unix://{self.path}"

    def rearm(
        self,
        trap: Trap | None = None,
        watch: Callable[[Command], None] | None = None,
        before: Callable[[Command], None] | None = None,
    ) -> None:
        """Forget what was seen; set the trap and the watchers for what comes next."""
        with self._turn:
            self.seen, self.counted, self.problems = [], Counter(), []
            self.trap, self.watch, self.before, self._sprung = trap, watch, before, False

    @property
    def sprung(self) -> bool:
        """Whether the trap ended somebody."""
        return self._sprung

    def labels(self) -> list[str]:
        """What reached the server, in words."""
        return [label(command) for command in self.seen]

    def points(self, when: When = "after") -> list[tuple[Point, Command]]:
        """Every place of the run that was seen, with its command."""
        counted: Counter[str] = Counter()
        found = []
        for command in self.seen:
            words = label(command)
            counted[words] += 1
            found.append((Point(words, counted[words], when), command))
        return found

    def serve(self, client: socket.socket) -> None:
        """Pass commands of one connection on until it ends."""
        requests, replies = hiredis.Reader(notEnoughData=NOTHING), hiredis.Reader(notEnoughData=NOTHING)
        with client, self._connect() as server, suppress(ConnectionError, BrokenPipeError):
            while data := client.recv(CHUNK):
                requests.feed(data)
                while (request := requests.gets()) is not NOTHING:
                    if not self._pass_on(tuple(request), client, server, replies):
                        return

    def _pass_on(self, sent: Command, client: socket.socket, server: socket.socket, replies: Any) -> bool:
        """Whether the sender is still alive after one command."""
        command = unfenced(sent)
        with self._turn:
            if self._sprung:
                return False
            if deletes_documents(command):
                self.problems.append(AssertionError(f"this deletes documents: {command!r}"))
            self.counted[label(command)] += 1
            if self._springs("before", command):
                return False
            if self.before is not None:
                self.before(command)
            server.sendall(hiredis.pack_command(sent))  # type: ignore[arg-type]  # declared for one argument
            reply = self._reply(server, replies)
            self.seen.append(command)
            if self._springs("after", command):
                return False
            if self.watch is not None:
                try:
                    self.watch(command)
                except BaseException as problem:  # noqa: BLE001  # a thread has nobody to raise it to: the test asks
                    self.problems.append(problem)
            client.sendall(reply)
            return True

    def _springs(self, when: When, command: Command) -> bool:
        words = label(command)
        if self.trap is None or self.trap.point != Point(words, self.counted[words], when):
            return False
        self._sprung = True
        self.trap.kill()
        return True

    @staticmethod
    def _reply(server: socket.socket, replies: Any) -> bytes:
        """The bytes of one whole reply."""
        raw = b""
        while replies.gets() is NOTHING:
            data = server.recv(CHUNK)
            if not data:
                raise ConnectionError
            raw += data
            replies.feed(data)
        return raw

    def _connect(self) -> socket.socket:
        address = urlsplit(self.upstream)
        if address.scheme == "unix":
            server = socket.socket(socket.AF_UNIX)
            server.connect(address.path)
            return server
        assert address.hostname is not None
        assert address.port is not None
        return socket.create_connection((address.hostname, address.port))


@contextmanager
def proxied(folder: Path, upstream: str) -> Iterator[Proxy]:
    """A proxy in front of `upstream`; its threads end with the connections of the clients."""
    proxy = Proxy(folder / "p.sock", upstream)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(proxy.path))
        listener.listen(64)
        accepting = threading.Thread(target=_accept, args=(listener, proxy), daemon=True)
        accepting.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            proxy.path.unlink()
    if proxy.problems:
        raise proxy.problems[0]


def _accept(listener: socket.socket, proxy: Proxy) -> None:
    threads = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        threads.append(threading.Thread(target=proxy.serve, args=(client,), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(timeout=10)


@dataclass(slots=True)
class Hold:
    """A watcher that holds everybody up once a point is reached, until it is told to let go.

    The point is the first command with the label at which `also` holds; `act` is called there.
    """

    label: str
    also: Callable[[], bool] = lambda: True
    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    act: Callable[[], None] | None = None

    def __call__(self, command: Command) -> None:
        """Hold up after the first command with the label."""
        if label(command) == self.label and not self.reached.is_set() and self.also():
            if self.act is not None:
                self.act()
            self.reached.set()
            assert self.let_go.wait(60), f"nobody let go of {self.label}"
