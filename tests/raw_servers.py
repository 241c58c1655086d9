"""Servers as somebody else runs them: without modules, with a password, slow to load, or as nodes of one cluster."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from rvlstate.runtime.server_binary import find_server_binary

PATIENCE = 30.0


def eventually(claim: Callable[[], Any]) -> None:
    """Waits until the claim holds; a connection that is not there yet is no reason to give up."""
    deadline = time.monotonic() + PATIENCE
    while not _holds(claim):
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.01)


def _holds(claim: Callable[[], Any]) -> bool:
    try:
        return bool(claim())
    except redis.ConnectionError:
        return False


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def raw_server(folder: Path, *settings: str, first: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A server process without modules in `folder`; killed at the end, so whoever wants its data saved says so."""
    folder.mkdir(parents=True, exist_ok=True)
    start = [first] if first else ["--save", ""]
    command = [str(find_server_binary().executable), *start, "--bind", "127.0.0.1", *settings]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, cwd=folder, stdout=log) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def socket_server(folder: Path, *settings: str) -> Iterator[str]:
    """The address of a server without modules, which answers already."""
    with raw_server(folder, "--port", "0", "--unixsocket", str(folder / "s"), *settings):
        url = f"unix://{folder / 's'}"
        eventually(lambda: _listens(folder / "s"))
        yield url


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


@contextmanager
def two_nodes(folder: Path) -> Iterator[tuple[int, int]]:
    """The ports of two nodes of one cluster that have search without a coordinator, half of the slots each."""
    ports = (free_port(), free_port())
    modules = find_server_binary().module_arguments()
    with ExitStack() as stack:
        clients: list[Any] = []
        for port in ports:
            cluster = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            stack.enter_context(raw_server(folder / str(port), *cluster, *modules))
            clients.append(stack.enter_context(redis.Redis(host="127.0.0.1", port=port, decode_responses=True)))
        eventually(lambda: [client.ping() for client in clients])
        clients[0].execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        clients[1].execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        bus = clients[1].execute_command("CONFIG GET", "cluster-port")["cluster-port"]
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1], bus)
        eventually(lambda: all(_is_whole(client) for client in clients))
        yield ports


def _is_whole(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "2")
