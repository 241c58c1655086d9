"""Owns `embedded://DIR`: one search server for each folder, started on demand and left running until it is stopped."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from rvlstate.errors import EmbeddedServerError
from rvlstate.runtime.server_binary import ServerBinary, find_server_binary, refuse_unsupported_platform
from rvlstate.runtime.server_folder import (
    POLL_SECONDS,
    ServerFolder,
    ServerRecord,
    dump_record,
    is_server_alive,
    load_record,
    open_folder,
    prepare_folder,
    refuse_lost_manifest,
    starting_or_stopping,
)
from rvlstate.runtime.server_process import Answer, ask, await_answer, client_of, launch, settings
from rvlstate.runtime.server_trouble import (
    PortTakenError,
    cannot_save,
    died,
    does_not_stop,
    not_answering,
    set_log_aside,
)

LAUNCH_ATTEMPTS = 5
STOP_SECONDS = 60.0
CLUSTER_SECONDS = 30.0
LAST_SLOT = 16383


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServer:
    """A running server: where its files are, its process, and the address that clients use."""

    folder: Path
    pid: int
    url: str
    cluster: bool


def start_server(folder: Path, *, cluster: bool = False, options: Mapping[str, str] | None = None) -> EmbeddedServer:
    """The server of this folder, started unless it runs already; ready to be used when this returns.

    `options` are further settings of Redis for a server that has to be started; they are not remembered.
    """
    refuse_unsupported_platform()
    home = open_folder(folder)
    record = running_record(home, cluster=cluster)
    if record is None:
        prepare_folder(home)
        with starting_or_stopping(home):
            # Somebody else may have started it while this process waited.
            record = running_record(home, cluster=cluster) or start_new(home, cluster, options or {})
    return await_ready(home, record)


def stop_server(folder: Path) -> bool:
    """Saves and stops the server of this folder; False if none was running."""
    refuse_unsupported_platform()
    home = open_folder(folder)
    if load_record(home) is None:
        return False
    with starting_or_stopping(home):
        record = load_record(home)
        answer = await_answer(home, record) if record else None
        if record is None or answer is None:
            return False
        if not answer.saves:
            raise cannot_save(home, "Stopping it now would lose the changes that are not on the disk yet.")
        shut_down(home, record)
    return True


def server_status(folder: Path) -> EmbeddedServer | None:
    """The server of this folder if it runs, loading or not; None if it does not."""
    refuse_unsupported_platform()
    home = open_folder(folder)
    record = load_record(home)
    answer = await_answer(home, record) if record else None
    return None if record is None or answer is None else describe(home, record, answer)


def running_record(home: ServerFolder, *, cluster: bool) -> ServerRecord | None:
    """The record of the folder if its server runs; a folder of the other kind of server is refused."""
    record = load_record(home)
    if record is None:
        return None
    if record.cluster != cluster:
        raise wrong_kind(home, record)
    return record if await_answer(home, record) else None


def start_new(home: ServerFolder, cluster: bool, options: Mapping[str, str]) -> ServerRecord:
    """A server launched and answering, though perhaps still loading its data."""
    refuse_lost_manifest(home)
    binary = find_server_binary()
    for _ in range(LAUNCH_ATTEMPTS - 1):
        # Somebody may take the port between its choice and its use.
        with suppress(PortTakenError):
            return launch_once(home, binary, cluster, options)
    return launch_once(home, binary, cluster, options)


def launch_once(home: ServerFolder, binary: ServerBinary, cluster: bool, options: Mapping[str, str]) -> ServerRecord:
    """A server launched and answering, on the unix socket where that is possible."""
    port, bus_port = free_ports() if cluster or not home.fits_unix_socket() else (0, 0)
    record = ServerRecord(cluster=cluster, port=port, origin=binary.origin)
    dump_record(home, record)
    set_log_aside(home)
    launch(home, binary, {**settings(home, record, bus_port), **options})
    if await_answer(home, record) is None:
        raise died(home, record)
    return record


def free_ports() -> tuple[int, int]:
    """Two loopback ports that nobody uses at this moment."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def await_ready(home: ServerFolder, record: ServerRecord) -> EmbeddedServer:
    """Waits until the server has loaded its data, owns its slots, and can save."""
    while (answer := await_answer(home, record)) is None or answer.loading:
        if answer is None:
            raise died(home, record)
        time.sleep(POLL_SECONDS)
    if not answer.saves:
        raise cannot_save(home, "It refuses all changes until it can write again.")
    if record.cluster:
        await_cluster(home, record)
    return describe(home, record, answer)


def await_cluster(home: ServerFolder, record: ServerRecord) -> None:
    """Waits until the one node calls the cluster sound, which Redis does some 2 s after its start."""
    deadline = time.monotonic() + CLUSTER_SECONDS
    try:
        with client_of(home, record) as client:
            while (state := form_cluster(client)) != "ok":
                if time.monotonic() > deadline:
                    raise not_answering(home, f"its cluster_state is {state}")
                time.sleep(POLL_SECONDS)
    except redis.RedisError as error:
        raise not_answering(home, str(error)) from error


def form_cluster(client: Any) -> str:
    """The state of the cluster, whose one node has been given all slots."""
    info = client.execute_command("CLUSTER INFO")
    if info["cluster_slots_assigned"] == "0":
        own_all_slots(client)
    return str(info["cluster_state"])


def own_all_slots(client: Any) -> None:
    """Gives all slots to the node, unless another process has just done so."""
    try:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, LAST_SLOT)
    except redis.ResponseError as error:
        if "already busy" not in str(error):
            raise


def describe(home: ServerFolder, record: ServerRecord, answer: Answer) -> EmbeddedServer:
    """The running server as a value."""
    return EmbeddedServer(folder=home.path, pid=answer.pid, url=url_of(home, record), cluster=record.cluster)


def url_of(home: ServerFolder, record: ServerRecord) -> str:
    """The address for clients."""
    if record.cluster:
        return f"redis+cluster://127.0.0.1:{record.port}"
    if record.port:
        return f"redis://127.0.0.1:{record.port}"
    return "unix://" + quote(os.fsencode(home.socket))


def shut_down(home: ServerFolder, record: ServerRecord) -> None:
    """Ends the server and waits until its process is gone, so that its files are complete."""
    deadline = time.monotonic() + STOP_SECONDS
    obeys = order_shutdown(home, record)
    while is_server_alive(home) or isinstance(ask(home, record), Answer):
        if time.monotonic() > deadline:
            raise does_not_stop(home)
        time.sleep(POLL_SECONDS)
        obeys = obeys or order_shutdown(home, record)


def order_shutdown(home: ServerFolder, record: ServerRecord) -> bool:
    """Tells the server to save and end; False if it cannot now, as while it writes its first append-only file."""
    with client_of(home, record) as client:
        try:
            client.execute_command("SHUTDOWN")
        except (redis.ConnectionError, redis.TimeoutError):
            return True  # a server that obeys does not answer; it may take its time, to let replicas catch up
        except redis.ResponseError:
            return False
    return True


def wrong_kind(home: ServerFolder, record: ServerRecord) -> EmbeddedServerError:
    """The error for a folder whose data belongs to the other kind of server."""
    kinds = ("a single server", "a single-node cluster")
    return EmbeddedServerError(
        f"this folder belongs to {kinds[record.cluster]}, not to {kinds[not record.cluster]}",
        where=str(home.path),
        why="A folder stays what it was at its first start, because the two lay out their indexes differently.",
        next_step="name another folder in embedded://DIR.",
    )
