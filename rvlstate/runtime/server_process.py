"""Owns the process behind `embedded://DIR`: its settings, its launch, asking it, and why it died."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rvlstate.runtime.server_binary import ServerBinary
from rvlstate.runtime.server_folder import (
    POLL_SECONDS,
    ServerFolder,
    ServerRecord,
    explained,
    is_server_alive,
    lock_file,
    take_lock,
)
from rvlstate.runtime.server_trouble import does_not_start, not_answering

ANSWER_SECONDS = 30.0
ASK_SECONDS = 5.0
LAUNCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server that serves DIR says about itself."""

    pid: int
    loading: bool
    saves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nobody that serves DIR answered, and why not; `final` if waiting does not help."""

    reason: str
    final: bool = False


def client_of(folder: ServerFolder, record: ServerRecord) -> redis.Redis:
    """A connection to where the record says; close it after use."""
    patience: dict[str, Any] = {"socket_timeout": ASK_SECONDS, "socket_connect_timeout": ASK_SECONDS}
    once = Retry(NoBackoff(), 0)
    if record.port:
        return redis.Redis(host="127.0.0.1", port=record.port, protocol=2, retry=once, **patience)
    return redis.Redis(unix_socket_path=os.fsdecode(folder.socket), protocol=2, retry=once, **patience)


def ask(folder: ServerFolder, record: ServerRecord) -> Answer | Silence:
    """What the server of DIR says; a port may by now belong to another program, so its working directory decides."""
    try:
        with client_of(folder, record) as client:
            info = client.info()
            serves = Path(client.config_get("dir")["dir"])
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        return Silence(reason=str(error), final=True)
    except (redis.RedisError, OSError) as error:
        return Silence(reason=str(error))
    if not serves.is_dir() or not serves.samefile(folder.path):
        return Silence(reason=f"the server on port {record.port} works for {serves}")
    return Answer(
        pid=int(info["process_id"]), loading=bool(info["loading"]), saves=info["aof_last_write_status"] != "err"
    )


def settings(folder: ServerFolder, record: ServerRecord, bus_port: int) -> dict[str, str]:
    """The settings of Redis for DIR.

    The append-only file is flushed to the disk once a second, and a change waits for a flush in progress, so a
    crash loses two seconds at most and a stop nothing; `always` would cost a flush for each change, and
    snapshots alone would lose minutes.
    """
    chosen = {
        "bind": "127.0.0.1",
        "port": str(record.port),
        "daemonize": "yes",
        "pidfile": "server.pid",
        "logfile": folder.log.name,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "proc-title-template": "{title} embedded://" + str(folder.path).replace("{", "{{"),
    }
    if not record.port:
        chosen |= {"unixsocket": folder.socket.name, "unixsocketperm": "700"}
    if record.cluster:
        chosen |= {"cluster-enabled": "yes", "cluster-announce-ip": "127.0.0.1", "cluster-port": str(bus_port)}
    return chosen


def launch(folder: ServerFolder, binary: ServerBinary, chosen: Mapping[str, str]) -> None:
    """A new server process with DIR as its working directory, in a session of its own so that Ctrl-C spares it."""
    command = [*binary.command(), *binary.module_arguments()]
    for name, value in chosen.items():
        command += [f"--{name}", value]
    with lock_file(folder.alive_lock) as alive, explained(folder.path, "cannot be used for the embedded server"):
        if not take_lock(alive, seconds=LAUNCH_SECONDS):
            raise not_answering(folder, "it has not ended yet")
        spawn(folder, binary.origin, command, alive)


def spawn(folder: ServerFolder, origin: str, command: list[str], alive: int) -> None:
    """Runs the command, which puts itself into the background and keeps `alive` open."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours; the executable is the user's own choice
            command,
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(alive,),
            start_new_session=True,
            timeout=LAUNCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise does_not_start(
            folder, origin, f"It did not go into the background within {LAUNCH_SECONDS:.0f} s."
        ) from error
    if done.returncode:
        raise does_not_start(folder, origin, done.stdout.decode("utf-8", "replace"))


def await_answer(folder: ServerFolder, record: ServerRecord) -> Answer | None:
    """Waits until the server answers; None if there is none, or none any more."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        heard = ask(folder, record)
        if isinstance(heard, Answer):
            return heard
        if not is_server_alive(folder):
            return None
        if heard.final or time.monotonic() > deadline:
            raise not_answering(folder, heard.reason)
        time.sleep(POLL_SECONDS)
