"""A primary and its replica, with a line between them that can be held: what is written then arrives later."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis
from conftest import NewServer
from kit import Shop, opened_shop
from observe import as_map
from raw_servers import eventually, free_port, raw_server

from rvlstate.events import ReplicaNotAwaited, StepProgressed
from rvlstate.runtime.server_binary import find_server_binary

Done = TypeVar("Done")

CHUNK = 1 << 16
WAITING = "waiting for replica "
RECEIVED_NOTHING = "it has not received the index yet"
SYNCS_AT_ONCE = {"repl-diskless-sync-delay": "0"}


@dataclass(slots=True)
class Line:
    """What a primary sends to a replica passes through here; while it is held the replica hears nothing."""

    upstream: int
    flows: threading.Event = field(default_factory=threading.Event)
    ends: list[socket.socket] = field(default_factory=list)

    def hold(self) -> None:
        """From now on nothing arrives."""
        self.flows.clear()

    def let_go(self) -> None:
        """All that was written meanwhile arrives."""
        self.flows.set()

    def accept(self, listener: socket.socket) -> None:
        """Serve replicas until the listener is closed."""
        with suppress(OSError):
            while True:
                replica, _ = listener.accept()
                primary = socket.create_connection(("127.0.0.1", self.upstream))
                self.ends += [replica, primary]
                for source, target, held in ((primary, replica, True), (replica, primary, False)):
                    threading.Thread(target=self._pump, args=(source, target, held), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, held: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if held:
                    self.flows.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(upstream: int) -> Iterator[tuple[Line, int]]:
    """A line to the primary at a port, and the port at which it is had."""
    line = Line(upstream)
    line.let_go()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=line.accept, args=(listener,))
        accepting.start()
        try:
            yield line, listener.getsockname()[1]
        finally:
            line.let_go()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in line.ends:
                end.close()


@dataclass(slots=True, kw_only=True)
class Pair:
    """A shop on a primary that has a replica; `replica` speaks to that, `address` is what its primary calls it."""

    shop: Shop
    line: Line
    replica: Any
    port: int
    process: subprocess.Popen[bytes]
    workers: ThreadPoolExecutor

    @property
    def address(self) -> str:
        """HOST:PORT of the replica."""
        return f"127.0.0.1:{self.port}"

    def beside(self, work: Callable[[], Done]) -> Future[Done]:
        """Do something in a thread while the replica hears nothing, up to where it waits for the replica."""
        self.shop.events.clear()
        self.line.hold()
        begun = self.workers.submit(work)
        eventually(lambda: begun.done() or f"{WAITING}{self.address}: {RECEIVED_NOTHING}" in self.notes)
        assert not begun.done(), begun.result()
        return begun

    @property
    def notes(self) -> list[str]:
        """How far steps were, in words."""
        return [one.note for one in self.shop.events if isinstance(one, StepProgressed)]

    @property
    def was_awaited(self) -> bool:
        """Whether a run waited for a replica."""
        return any(WAITING in note for note in self.notes)

    @property
    def told(self) -> list[str]:
        """What was told about replicas that are not awaited."""
        return [one.text for one in self.shop.events if isinstance(one, ReplicaNotAwaited)]

    def built(self, name: str) -> dict[str, Any]:
        """Whether the replica has built an index, and how many documents it has."""
        info = as_map(self.replica.execute_command("FT.INFO", name))
        return {"indexing": int(info["indexing"]), "num_docs": int(info["num_docs"])}

    def freeze(self) -> None:
        """The replica does nothing any more."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def paired(new_server: NewServer, folder: Path, *, module_options: tuple[str, ...] = ()) -> Iterator[Pair]:
    """A pair whose replica has caught up; `module_options` are those of search on the replica."""
    port = free_port()
    primary = new_server(options={"port": str(port), **SYNCS_AT_ONCE})
    with ExitStack() as stack:
        line, through = stack.enter_context(line_to(port))
        process, own = stack.enter_context(follower(folder / "replica", through, *module_options))
        replica = stack.enter_context(redis.Redis(port=own, protocol=2))
        shop = stack.enter_context(opened_shop(folder / "shop", primary))
        workers = stack.enter_context(ThreadPoolExecutor(1))
        eventually(lambda: follows(replica))
        eventually(lambda: len(shop.client.execute_command("ROLE")[2]) == 1)
        yield Pair(shop=shop, line=line, replica=replica, port=own, process=process, workers=workers)


@contextmanager
def follower(folder: Path, primary: int, *module_options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A replica of what listens at a port, and its own port."""
    own = free_port()
    search, *others = _modules()
    settings = ("--port", str(own), "--replicaof", f"127.0.0.1 {primary}")
    with raw_server(folder, *settings, *search, *module_options, *others[0]) as process:
        try:
            yield process, own
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


def _modules() -> list[list[str]]:
    """`--loadmodule PATH` of search, then that of JSON."""
    arguments = find_server_binary().module_arguments()
    return [list(arguments[:2]), list(arguments[2:])]


def follows(replica: Any) -> bool:
    """Whether it has caught up with its primary."""
    try:
        return bool(replica.info("replication")["master_link_status"] == "up")
    except redis.ConnectionError:
        return False


def when(label: str, act: Callable[[], None]) -> Callable[[tuple[bytes, ...]], None]:
    """A watcher of a proxy that acts in front of every command that begins so."""

    def before(command: tuple[bytes, ...]) -> None:
        if command[0].decode().upper().startswith(label):
            act()

    return before
