"""Who has lost the lease writes no document: the server itself refuses, whatever the process believes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import document_frozen
import pytest
import redis
from document_kit import PROJECT, called, cast, copy_of, counts, floats, put_json, rewrite_of, staged, sweep, worker
from restore_kit import NARROW, WIDE, open_bench, vector_cast
from restore_kit import rewrite_of as restorable
from servers import eventually

from rvlstate.errors import LockLostError, StepFailedError
from rvlstate.model.rewrite import Rewrite
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.lock import acquire, unlock
from rvlstate.runtime.state_keys import StateKeys

F32, F16 = floats(1, 2, 3, 4), floats(1, 2, 3, 4, form="e")
CAST = staged(cast())
MARKER = rewrite_of(called("m", "m", layout="marker"))
MOVED = staged(cast(moves=(("doc:", "new:"),)), "new_prefix")
JSON = staged(rewrite_of(called("$.a", "$.b"), storage="json"), "write_back")
FUNCTIONS: dict[str, Callable[..., Any]] = {"m:f": lambda texts: [f"{text}!" for text in texts]}

WRITES: list[tuple[str, str, Rewrite]] = [
    ("write", "watched", cast()),
    ("write", "guarded", MARKER),
    ("write", "hash", CAST),
    ("stage", "hash", CAST),
    ("promote", "hash", CAST),
    ("stage", "json", JSON),
    ("promote", "json", JSON),
    ("stage", "prefix", MOVED),
    ("retire", "prefix", MOVED),
]


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to the emptied server."""
    with connect(redis_url) as opened:
        yield opened


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    """A plain client of the same server, in bytes."""
    with redis.from_url(server.url) as opened:
        yield opened


@dataclass(slots=True)
class Certain:
    """A lease that is certain for so many seconds, first these and then for long."""

    first: list[float] = field(default_factory=list)
    id: str = ""

    @property
    def certain_seconds(self) -> float:
        """The next one."""
        return self.first.pop(0) if self.first else 60.0


@dataclass(frozen=True, slots=True)
class Over:
    """A lease that is over."""

    id: str = ""
    certain_seconds: float = 0.0


def real_lease(connection: Connection) -> Lease:
    """A lease on the project."""
    return acquire(connection.keys, PROJECT, operation="apply", identity=identify({}))


def prepare(connection: Connection, client: Any, mode: str, rewrite: Rewrite) -> None:
    """A document, and in the later modes its copy, a changed document, and one that is gone."""

    def put(key: str, text: str) -> None:
        if rewrite is JSON:
            put_json(client, key, {"a": text})
        else:
            client.hset(key, mapping={"v": F32, "m": text})

    for name in ("same", "changed", "gone"):
        put(f"doc:{name}", "x")
    if mode != "write":
        sweep(connection, rewrite, mode="stage", functions=FUNCTIONS)
        client.delete("doc:gone")
        client.hset("doc:changed", "m", "y") if rewrite is not JSON else put_json(client, "doc:changed", {"a": "y"})
    put("doc:new", "z")


def dumped(client: Any) -> dict[bytes, bytes]:
    """All documents, copies and marks, byte for byte; not what a pass notes about itself."""
    own = StateKeys(PROJECT).tag.encode()
    return {key: client.dump(key) for key in client.scan_iter(count=1000) if not key.startswith(own)}


@pytest.mark.parametrize(("mode", "name", "rewrite"), WRITES, ids=[f"{mode}-{name}" for mode, name, _ in WRITES])
def test_nothing_is_written_when_the_lease_may_be_over(
    connection: Connection, client: Any, mode: Any, name: str, rewrite: Rewrite
) -> None:
    """By the clock of the server; a guard that says that all is well is believed only so often."""
    prepare(connection, client, mode, rewrite)
    before = dumped(client)
    with pytest.raises(StepFailedError, match="was over each time"):
        sweep(connection, rewrite, mode=mode, functions=FUNCTIONS, lease=Over())
    assert dumped(client) == before
    assert sweep(connection, rewrite, mode=mode, functions=FUNCTIONS).bad == 0
    assert dumped(client) != before


@pytest.mark.parametrize(("mode", "name", "rewrite"), WRITES, ids=[f"{mode}-{name}" for mode, name, _ in WRITES])
def test_nothing_is_written_when_the_lock_was_taken_away(
    connection: Connection, client: Any, mode: Any, name: str, rewrite: Rewrite
) -> None:
    """By force, and after the guard was asked for the last time: the lease itself would be certain still."""
    prepare(connection, client, mode, rewrite)
    lease = real_lease(connection)
    before = dumped(client)
    asked: list[object] = []

    def guard() -> None:
        lease.check()
        if not asked:
            asked.append(unlock(connection.keys, PROJECT, lease.id))

    with pytest.raises(LockLostError):
        sweep(connection, rewrite, mode=mode, functions=FUNCTIONS, lease=lease, guard=guard)
    assert asked
    assert dumped(client) == before


def test_a_batch_that_came_too_late_is_sent_again_while_the_lease_is_held(connection: Connection, client: Any) -> None:
    """And what it wrote is counted as if nothing had been."""
    for number in range(200):
        client.hset(f"doc:{number}", "v", F32)
    for mode, what in (("stage", "written"), ("promote", "promoted"), ("write", "done")):
        asked: list[None] = []
        lease = Certain(first=[0.0, 0.0])
        tally = sweep(connection, CAST, mode=mode, lease=lease, guard=lambda told=asked: told.append(None))
        assert counts(tally) == {what: 200}
        assert mode == "write" or len(asked) >= 2
    assert client.hget("doc:7", "v") == F16


def test_with_its_own_lock_a_pass_writes(connection: Connection, client: Any) -> None:
    """What the script compares is what is there."""
    client.hset("doc:1", "v", F32)
    with real_lease(connection) as lease:
        assert sweep(connection, CAST, mode="stage", lease=lease, guard=lease.check).written == 1
        assert sweep(connection, CAST, mode="promote", lease=lease, guard=lease.check).promoted == 1


def test_on_a_cluster_the_clock_of_each_node_is_what_counts(cluster_url: str) -> None:
    """The lock is in one slot, and documents are in all."""
    with connect(cluster_url) as connection, redis.from_url(cluster_url.replace("redis+cluster", "redis")) as client:
        for number in range(50):
            client.hset(f"doc:{number}", "v", F32)
        before = dumped(client)
        for mode in ("write", "stage", "promote"):
            with pytest.raises(StepFailedError, match="was over each time"):
                sweep(connection, CAST, mode=mode, lease=Over())
            assert dumped(client) == before
        with real_lease(connection) as lease:
            assert sweep(connection, CAST, mode="stage", lease=lease, guard=lease.check).written == 50


def test_staged_copies_are_removed_behind_the_fence(connection: Connection, client: Any) -> None:
    """Who lost the lease while tidying up removes nothing that another run made."""
    client.hset("doc:1", "v", F32)
    sweep(connection, CAST, mode="stage")
    with pytest.raises(StepFailedError):
        worker(connection, lease=Over()).tidy(CAST)
    assert client.exists(copy_of("doc:1"))


def test_nothing_is_restored_when_the_lease_may_be_over(redis_url: str, client: Any, tmp_path: Path) -> None:
    """Original values are documents too."""
    bench = open_bench(redis_url, client, tmp_path, restorable(vector_cast()))
    client.hset("doc:1", "v", bytes(WIDE.nbytes))
    assert bench.sweep().written == 1
    restoring = bench.restoring()
    restoring.lease = Over()
    with pytest.raises(StepFailedError):
        restoring.put_back()
    assert client.hstrlen("doc:1", "v") == NARROW.nbytes
    assert bench.restore().restored == 1
    bench.connection.close()


@pytest.mark.parametrize("mode", ["write", "stage", "promote"])
@pytest.mark.parametrize("where", ["redis_url", "cluster_url"])
def test_a_process_that_was_frozen_past_its_lease_writes_nothing(
    request: pytest.FixtureRequest, where: str, mode: str
) -> None:
    """It is woken when somebody else holds the lock, with a batch in its hands that it believes it may send."""
    url = request.getfixturevalue(where)
    with connect(url) as connection, redis.from_url(url.replace("redis+cluster", "redis")) as client:
        for number in range(100):
            client.hset(f"doc:{number}", "v", F32)
        if mode == "promote":
            sweep(connection, document_frozen.REWRITE, mode="stage")
        process = document_frozen.start(url, mode)
        document_frozen.await_frozen(process)
        lock = StateKeys(PROJECT).lock
        eventually(lambda: not client.exists(lock))
        with real_lease(connection):
            before = dumped(client)
            process.send_signal(signal.SIGCONT)
            assert process.wait(timeout=30) == document_frozen.LOST
            assert dumped(client) == before
