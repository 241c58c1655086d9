"""Real servers for the tests: connecting to one, what it is capable of, and a warden that leaves none running.

Run as a program it is the warden: it waits until the test process ends, however it ends, and then stops every
server below the folder that it was given.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from rvlstate.errors import EmbeddedServerError
from rvlstate.runtime.embedded import EmbeddedServer, server_status, start_server, stop_server
from rvlstate.runtime.server_folder import is_server_alive, open_folder

PATIENCE = 20.0


@contextmanager
def connected(server: EmbeddedServer, *, protocol: int = 3) -> Iterator[Any]:
    """A plain `redis.Redis` to the server (untyped, as FT.* calls are); a single-node cluster answers one as well."""
    url = server.url.replace("redis+cluster://", "redis://")
    with redis.from_url(url, protocol=protocol) as client:
        yield client


@contextmanager
def connected_to_cluster(server: EmbeddedServer) -> Iterator[redis.RedisCluster]:
    """A slot-aware connection to a single-node cluster."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    with redis.RedisCluster(host=address.hostname, port=address.port) as client:
        yield client


def flush(server: EmbeddedServer) -> None:
    """Empties the server: documents, indexes, aliases, scripts; its settings stay."""
    with connected(server) as client:
        client.flushall()
        client.script_flush()


@contextmanager
def guarded_root() -> Iterator[Path]:
    """A short folder for servers, all of which are stopped at the end even if this process is killed."""
    # Not the default temporary folder: on some systems it is too long for the path of a socket.
    root = Path(tempfile.mkdtemp(prefix="rvl-", dir="/tmp"))
    warden = subprocess.Popen([sys.executable, __file__, str(root)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield root
    finally:
        warden.communicate()


def on_disk(server: EmbeddedServer) -> None:
    """Waits until all changes are on the disk, so that killing the server loses none of them."""
    with connected(server) as client:
        # WAITAOF waits for the writes of its own connection: one of those comes after all that others were told of.
        client.execute_command("SET", MARK, "1")
        client.execute_command("DEL", MARK)
        client.execute_command("WAITAOF", 1, 0, 0)


MARK = "rvlstate-tests:on-disk"


def kill(server: EmbeddedServer) -> None:
    """Ends the server as a crash would, once its data is on the disk."""
    on_disk(server)
    os.kill(server.pid, signal.SIGKILL)


def discard(folder: Path) -> None:
    """Ends the server of the folder, even one that is suspended or refuses to stop, and removes the folder."""
    home = open_folder(folder)
    pid_file = home.path / "server.pid"
    if is_server_alive(home) and pid_file.exists():
        # It is the server's own number: the file is written anew at each start, and a server is alive.
        with suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def discard_all(root: Path) -> None:
    """Ends every server below the folder, then removes the folder."""
    for record in sorted(root.rglob("server.json")):
        discard(record.parent)
    shutil.rmtree(root, ignore_errors=True)


def eventually(claim: Callable[[], bool]) -> None:
    """Waits until the claim holds."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.01)


def refused(call: Callable[[], object]) -> str:
    """The message of the call that is refused."""
    try:
        call()
    except EmbeddedServerError as error:
        return str(error)
    message = "it was not refused"
    raise AssertionError(message)


def rewrite(client: Any) -> None:
    """Moves all data into a new base file."""
    client.bgrewriteaof()
    while client.info("persistence")["aof_rewrite_in_progress"]:
        pass


def stored_data(folder: Path) -> Path:
    """The data files of a stopped server: a base file with 50 documents and an increment with 50 more."""
    with connected(start_server(folder)) as client:
        client.mset({f"a:{number}": "x" for number in range(50)})
        rewrite(client)
        client.mset({f"b:{number}": "x" for number in range(50)})
    stop_server(folder)
    return folder / "appendonlydir"


def accepts_vectors(datatype: str) -> Callable[[redis.Redis], bool]:
    """A check for an index over vectors of this type."""

    def check(client: Any) -> bool:
        vector = ("v", "VECTOR", "FLAT", "6", "TYPE", datatype, "DIM", "2", "DISTANCE_METRIC", "L2")
        with suppress(redis.ResponseError):
            client.execute_command("FT.CREATE", "capability", "PREFIX", "1", "capability:", "SCHEMA", *vector)
            client.execute_command("FT.DROPINDEX", "capability")
            return True
        return False

    return check


def has_command(name: str) -> Callable[[redis.Redis], bool]:
    """A check for a command."""

    def check(client: redis.Redis) -> bool:
        known = {item.decode() if isinstance(item, bytes) else str(item) for item in client.command_list()}
        return name.lower() in {item.lower() for item in known}

    return check


# What `@pytest.mark.requires(...)` may name.
CAPABILITIES: dict[str, Callable[[redis.Redis], bool]] = {
    "float16_vectors": accepts_vectors("FLOAT16"),
    "bfloat16_vectors": accepts_vectors("BFLOAT16"),
    "int8_vectors": accepts_vectors("INT8"),
    "uint8_vectors": accepts_vectors("UINT8"),
    "json": has_command("JSON.SET"),
    "alias_list": has_command("FT.ALIASLIST"),
}


def is_capable(server: EmbeddedServer, capability: str) -> bool:
    """Whether the server has the capability; KeyError for a name that does not exist."""
    with connected(server) as client:
        return CAPABILITIES[capability](client)


__all__ = [
    "CAPABILITIES",
    "EmbeddedServer",
    "connected",
    "connected_to_cluster",
    "discard",
    "eventually",
    "flush",
    "guarded_root",
    "is_capable",
    "kill",
    "on_disk",
    "refused",
    "rewrite",
    "server_status",
    "start_server",
    "stop_server",
    "stored_data",
]

if __name__ == "__main__":
    sys.stdin.read()
    discard_all(Path(sys.argv[1]))
