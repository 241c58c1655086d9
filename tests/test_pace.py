"""The pacer: limits, pause and stop, and back-pressure with real causes on real servers."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import NewServer
from keys_clients import open_keys
from servers import EmbeddedServer, connected, discard, eventually, kill, start_server

from rvlstate.errors import InterruptedRunError, StepFailedError
from rvlstate.runtime import gauges, pace
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.gauges import NodeProbe, Reading, Replica
from rvlstate.runtime.pace import Pacer
from rvlstate.runtime.pressure import LEAST_SHARE, LEAST_SHARE_FOR_MEMORY, Pressure
from rvlstate.runtime.stop import StopRequest

CALM = Reading(node="n", at=0.0, ping_seconds=0.0002, used_memory=100, maxmemory=1000)
MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gauges are read more often than usual."""
    monkeypatch.setattr(gauges, "BETWEEN_READINGS", 0.03)


@pytest.fixture(scope="module")
def own(server_root: Path) -> Iterator[EmbeddedServer]:
    """A server of these tests alone, whose settings they may change as long as they set them back."""
    folder = server_root / "pace"
    yield start_server(folder, options={"enable-debug-command": "local"})
    discard(folder)


@dataclass(slots=True)
class Ordered:
    """A limit that somebody ordered."""

    rate: float = 0.0
    rate_by: str = "ann@host"


@contextmanager
def pacing(connection: Connection, **options: Any) -> Iterator[Pacer]:
    """A pacer at work."""
    settings = {"stop": StopRequest(), **options}
    with Pacer(nodes=connection.node_clients, **settings) as pacer:
        yield pacer


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to the emptied shared server."""
    with connect(redis_url) as opened:
        yield opened


def batches(pacer: Pacer, seconds: float, documents: int = 10) -> int:
    """How many documents are admitted within some seconds."""
    until, admitted = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        pacer.admit(documents)
        pacer.note(documents, 0.0001)
        admitted += documents
    return admitted


def beside(work: Callable[[], object], threads: int = 3) -> None:
    """Do the same in several threads at once."""
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_without_limits_nothing_waits(connection: Connection) -> None:
    """A healthy server and no limit: batches go at once, and there is no reason to tell."""
    with pacing(connection) as pacer:
        assert batches(pacer, 0.3) > 10_000
        assert pacer.reason == ""
        assert pacer.peak_memory_bytes > 100_000


def test_a_declared_limit_holds_for_all_threads_together(connection: Connection) -> None:
    """No more than the limit and a first batch, no less than most of it; the reason says the limit."""
    admitted: list[int] = []
    with pacing(connection, max_docs_per_second=500) as pacer:
        began = time.monotonic()
        beside(lambda: admitted.append(batches(pacer, 1.0)))
        took = time.monotonic() - began
        assert pacer.reason == "limited to 500 documents a second"
    assert 300 * took < sum(admitted) <= 500 * took + 50


def test_an_ordered_limit_holds_from_the_next_batch_on(connection: Connection) -> None:
    """It comes, changes and goes while a batch waits; the lower of it and the declared one holds."""
    ordered = Ordered(rate=0.1)
    with pacing(connection, max_docs_per_second=1000, throttle=ordered) as pacer:
        pacer.admit(10)
        waiting = threading.Thread(target=pacer.admit, args=(10,))
        waiting.start()
        eventually(lambda: pacer.reason == "limited to 0.1 documents a second by ann@host")
        assert waiting.is_alive()
        ordered.rate = 0.0
        waiting.join()
        ordered.rate = 5000
        assert batches(pacer, 0.5) < 800
        assert pacer.reason == "limited to 1,000 documents a second"


def test_a_limit_that_is_not_reached_is_no_reason(connection: Connection) -> None:
    """Who is slower than the limit is not slow because of it."""
    with pacing(connection, max_docs_per_second=1_000_000) as pacer:
        for _ in range(5):
            pacer.admit(10)
            time.sleep(0.01)
        assert pacer.reason == ""


def test_a_paused_run_admits_nothing(connection: Connection) -> None:
    """Batches of all threads wait until the run is let go on; the reason says who paused it."""
    stop = StopRequest()
    with pacing(connection, stop=stop) as pacer:
        stop.hold("ann@host")
        waiting = [threading.Thread(target=pacer.admit, args=(10,)) for _ in range(3)]
        for thread in waiting:
            thread.start()
        time.sleep(0.2)
        assert all(thread.is_alive() for thread in waiting)
        assert pacer.reason == "paused by ann@host"
        stop.let_go()
        for thread in waiting:
            thread.join()
        assert pacer.reason == ""


@pytest.mark.parametrize("options", [{}, {"max_docs_per_second": 0.1}], ids=["free", "held back"])
def test_a_stop_ends_the_next_batch_and_one_that_waits(connection: Connection, options: dict[str, Any]) -> None:
    """Whoever asks for a batch when the run is to stop gets the error."""
    stop = StopRequest()
    with pacing(connection, stop=stop, **options) as pacer:
        pacer.admit(10)
        threading.Timer(0.1, stop.ask, ("SIGTERM",)).start()
        with pytest.raises(InterruptedRunError, match="stopped on SIGTERM"):
            batches(pacer, 20)


def test_memory_that_runs_short_slows_down_and_recovers(own: EmbeddedServer) -> None:
    """Above 85 % of maxmemory the run slows down and says why; when there is room again it is free again."""
    with connect(own.url) as connection, connected(own) as admin, pacing(connection) as pacer:
        assert batches(pacer, 0.1) > 1000
        admin.config_set("maxmemory", round(admin.info("memory")["used_memory"] / 0.88))
        eventually(lambda: "% of maxmemory" in pacer.reason)
        eventually(lambda: pacer.pressure.share == LEAST_SHARE_FOR_MEMORY)
        admin.config_set("maxmemory", "0")
        eventually(lambda: pacer.reason.startswith("speeding up again, after: memory at "))
        eventually(lambda: pacer.reason == "")
        assert pacer.pressure.share == 1.0
        assert batches(pacer, 0.1) > 1000


def test_memory_that_runs_out_stops_the_run(own: EmbeddedServer) -> None:
    """Above 95 %, twice in a row, the run stops before the server refuses its writes, with the figures."""
    with connect(own.url) as connection, connected(own) as admin, pacing(connection) as pacer:
        used = admin.info("memory")["used_memory"]
        admin.config_set("maxmemory", round(used / 0.98))
        with pytest.raises(StepFailedError) as caught:
            batches(pacer, 20)
        admin.config_set("maxmemory", "0")
    assert "% of its maxmemory" in caught.value.why
    assert f"of {round(used / 0.98):,} bytes" in caught.value.why
    assert "apply: it goes on" in caught.value.next_step


def test_writes_that_the_server_refuses_slow_down(own: EmbeddedServer) -> None:
    """Too few replicas: the server refuses writes of whomever, and the run eases off."""
    with connect(own.url) as connection, connected(own) as admin, pacing(connection) as pacer:
        admin.config_set("min-replicas-to-write", "1")

        def refused() -> bool:
            with suppress(Exception):  # the refusal is what is wanted
                admin.set("k", "v")
            return pacer.reason.startswith("server refused ")

        eventually(refused)
        admin.config_set("min-replicas-to-write", "0")
        eventually(lambda: pacer.reason == "")


@dataclass(slots=True)
class SlowLine:
    """A unix socket in front of a server whose replies take a while longer."""

    path: Path
    upstream: str
    delay: float = 0.0
    ends: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"unix://{self.path}"

    def accept(self, listener: socket.socket) -> None:
        """Serve clients until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = dialled(self.upstream)
                self.ends += [client, server]
                for source, target, late in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self.pump, args=(source, target, late), daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket, late: bool) -> None:
        """Pass bytes on."""
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if late:
                    time.sleep(self.delay)
                target.sendall(data)


def dialled(url: str) -> socket.socket:
    """A connection to the server at a URL."""
    address = urlsplit(url)
    if address.scheme == "unix":
        line = socket.socket(socket.AF_UNIX)
        line.connect(address.path)
        return line
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0))


@contextmanager
def slow_line(folder: Path, upstream: str) -> Iterator[SlowLine]:
    """A line to the server whose delay can be changed."""
    line = SlowLine(folder / "line.sock", upstream)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(line.path))
        listener.listen(16)
        accepting = threading.Thread(target=line.accept, args=(listener,))
        accepting.start()
        try:
            yield line
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            line.path.unlink()
            for end in line.ends:
                end.close()


def test_answers_that_come_late_slow_down(server: EmbeddedServer, redis_url: str) -> None:
    """50 ms later than usual is slow; once answers come as usual the run is free again."""
    with (
        slow_line(server.folder.parent, redis_url) as line,
        connect(line.url) as connection,
        pacing(connection) as pacer,
    ):
        assert pacer.pressure.share == 1.0
        line.delay = 0.05
        eventually(lambda: pacer.reason.startswith("server answers in "))
        assert int(pacer.reason.removeprefix("server answers in ").removesuffix(" ms")) >= 50
        line.delay = 0.0
        eventually(lambda: pacer.reason == "")


def test_a_server_that_is_far_away_is_not_slow(server: EmbeddedServer, redis_url: str) -> None:
    """What a PING usually takes is learnt first: the same 50 ms from the beginning are no trouble."""
    with slow_line(server.folder.parent, redis_url) as line, connect(line.url) as connection:
        line.delay = 0.05
        with pacing(connection) as pacer:
            time.sleep(0.6)
            assert pacer.pressure.share == 1.0
            assert pacer.reason == ""


def test_a_server_that_stands_still_slows_down(own: EmbeddedServer) -> None:
    """One command that blocks the server for a second is noticed, and forgiven."""
    with connect(own.url) as connection, connected(own) as admin, pacing(connection) as pacer:
        sleeping = threading.Thread(target=admin.execute_command, args=("DEBUG", "SLEEP", "1"))
        sleeping.start()
        eventually(lambda: "server answers in " in pacer.reason)
        sleeping.join()
        eventually(lambda: pacer.reason == "")


def test_our_own_batches_are_no_trouble(redis_url: str) -> None:
    """Two workers that keep the server busy with scripts of a millisecond, eight in a row, do not slow themselves."""
    script = "local sum = 0; for number = 1, 100000 do sum = sum + number end; return sum"  # about a millisecond
    shares: list[float] = []

    def work(pacer: Pacer) -> None:
        with open_keys(redis_url) as client:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                pacer.admit(500)
                began = time.monotonic()
                pipeline = client.pipeline(transaction=False)
                for _ in range(8):
                    pipeline.eval(script, 0)
                pipeline.execute()
                time.sleep(0.003)  # transforming
                pacer.note(500, time.monotonic() - began)
                shares.append(pacer.pressure.share)

    with connect(redis_url) as connection, pacing(connection) as pacer:
        beside(lambda: work(pacer), threads=2)
    assert sum(share == 1.0 for share in shares) > 0.8 * len(shares)


@contextmanager
def replicated(new_server: NewServer) -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    """A primary and its replica, which has caught up."""
    primary = new_server(options={"repl-diskless-sync-delay": "0"})
    replica = new_server(options={"repl-diskless-sync-delay": "0"})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with connected(primary) as admin, connected(replica) as follower:
        admin.config_set("port", port)  # replicas do not follow over unix sockets
        follower.execute_command("REPLICAOF", "127.0.0.1", port)
        eventually(lambda: admin.info("replication").get("slave0", {}).get("state") == "online")
        yield primary, replica


def test_a_replica_that_falls_behind_slows_down(new_server: NewServer) -> None:
    """A replica that takes nothing any more while much is written: the reason says how far it is behind."""
    with (
        replicated(new_server) as (primary, replica),
        connect(primary.url) as connection,
        connected(primary) as admin,
        pacing(connection) as pacer,
    ):
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            for number in range(40):
                admin.set(f"big:{number}", b"x" * MEBIBYTE)
            eventually(lambda: "MB behind" in pacer.reason)
            # Not the speeding up after a cause that is gone: this one stays.
            eventually(lambda: pacer.pressure.share == LEAST_SHARE)
            assert int(pacer.reason.split()[1]) >= 16
        finally:
            os.kill(replica.pid, signal.SIGCONT)
        eventually(lambda: pacer.reason == "")


def test_a_user_who_may_not_ask_is_paced_by_latency_alone(redis_url: str, connection: Connection) -> None:
    """Without INFO and PING the run goes on, with what can be measured."""
    admin: Any = connection.search
    admin.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+@all", "-info", "-ping")
    try:
        with connect(redis_url.replace("://", "://poor:pw@")) as poor, pacing(poor) as pacer:
            assert batches(pacer, 0.2) > 1000
            assert pacer.peak_memory_bytes == 0
            assert pacer.reason == ""
    finally:
        admin.execute_command("ACL", "DELUSER", "poor")


def test_a_server_that_goes_away_is_for_the_workers_to_notice(new_server: NewServer) -> None:
    """The pacer neither fails nor hangs when the gauges cannot be read any more."""
    server = new_server()
    with connect(server.url) as connection, pacing(connection) as pacer:
        kill(server)
        assert batches(pacer, 0.3) > 0


def test_every_primary_of_a_cluster_is_watched(cluster_url: str) -> None:
    """The same on a cluster, by its nodes."""
    with connect(cluster_url) as connection, pacing(connection) as pacer:
        assert batches(pacer, 0.2) > 1000
        assert pacer.peak_memory_bytes > 100_000


def test_the_probe_has_a_connection_of_its_own(connection: Connection) -> None:
    """What the workers wait for does not delay it: it answers while they block."""
    probe = NodeProbe(connection.search)
    blocker = threading.Thread(target=connection.search.blpop, args=(["nothing"], 1))
    blocker.start()
    reading = probe.read()
    assert reading.ping_seconds < 0.5
    assert reading.used_memory > 0
    probe.close()
    blocker.join()


def test_trouble_halves_and_calm_adds() -> None:
    """Slower by multiplication down to a floor, faster by addition up to full speed."""
    pressure = Pressure()
    pressure.take([CALM])
    full = replace(CALM, used_memory=900)
    shares = []
    for _ in range(5):
        pressure.take([full])
        shares.append(pressure.share)
    assert shares == [0.5, 0.25, LEAST_SHARE_FOR_MEMORY, LEAST_SHARE_FOR_MEMORY, LEAST_SHARE_FOR_MEMORY]
    assert pressure.trouble == "memory at 90% of maxmemory"
    pressure.take([CALM])
    assert pressure.share == pytest.approx(LEAST_SHARE_FOR_MEMORY + 0.05)
    assert pressure.trouble == "speeding up again, after: memory at 90% of maxmemory"
    for _ in range(20):
        pressure.take([CALM])
    assert (pressure.share, pressure.trouble, pressure.critical) == (1.0, "", "")


def test_one_late_ping_is_no_trouble_and_four_are() -> None:
    """A PING may stand behind a batch of ours; the fastest of four says how the server is."""
    pressure = Pressure()
    pressure.learn("n", 0.0002)
    late = replace(CALM, ping_seconds=0.048)
    for reading in (CALM, late, late, late, CALM, late, late, late):
        pressure.take([reading])
        assert pressure.trouble == ""
    pressure.take([late])
    assert pressure.trouble == "server answers in 48 ms"


def test_one_very_late_answer_is_trouble() -> None:
    """No batch keeps a healthy server for half a second."""
    pressure = Pressure()
    pressure.take([CALM])
    pressure.take([replace(CALM, ping_seconds=0.9)])
    assert pressure.trouble == "server answers in 900 ms"


def test_a_short_peak_of_memory_does_not_stop() -> None:
    """Twice in a row above 95 % is critical, once is not."""
    pressure = Pressure()
    for used in (960, 100, 960):
        pressure.take([replace(CALM, used_memory=used)])
    assert pressure.critical == ""
    pressure.take([replace(CALM, used_memory=970)])
    assert pressure.critical == "n uses 970 of 1,000 bytes, 97% of its maxmemory; at 95% a run stops."


def test_what_gives_memory_back_goes_on_where_memory_is_full() -> None:
    """Neither slower nor stopped by it; other trouble counts."""
    pressure = Pressure(heeds_memory=False)
    for _ in range(3):
        pressure.take([replace(CALM, used_memory=990)])
    assert (pressure.share, pressure.trouble, pressure.critical) == (1.0, "", "")
    assert pressure.peak_memory_bytes == 990
    pressure.take([replace(CALM, used_memory=990, ping_seconds=2.0)])
    assert pressure.share < 1.0


def test_what_is_on_its_way_to_a_replica_is_no_lag() -> None:
    """A stream of 40 MB a second is always some behind, by what was sent since the last word of the replica."""
    pressure = Pressure()
    for second in range(5):
        offset = second * 40 * MEBIBYTE
        replica = Replica(behind=45 * MEBIBYTE, silent_seconds=1)
        pressure.take([replace(CALM, at=float(second), offset=offset, replicas=(replica,))])
        assert pressure.trouble == ""
    pressure.take([replace(CALM, at=6.0, offset=offset, replicas=(replica,))])
    assert pressure.trouble == "replica 45 MB behind"


def test_a_silent_replica_and_evictions_are_trouble() -> None:
    """A replica that says nothing for seconds; keys that the server throws away."""
    pressure = Pressure()
    pressure.take([CALM])
    pressure.take([replace(CALM, replicas=(Replica(behind=10, silent_seconds=7),))])
    assert pressure.trouble == "replica 0 MB behind, silent for 7 s"
    pressure.take([replace(CALM, evicted=5)])
    assert pressure.trouble == "server evicted 5 keys"
    pressure.take([replace(CALM, evicted=5)])
    assert pressure.trouble.startswith("speeding up again")


def test_one_node_in_trouble_slows_the_whole_run() -> None:
    """On a cluster the worst node counts, and one look at many nodes is one look."""
    pressure = Pressure()
    other = replace(CALM, node="m", used_memory=900)
    pressure.take([CALM, other])
    assert (pressure.share, pressure.trouble) == (0.5, "memory at 90% of maxmemory")
    pressure.take([CALM, replace(other, used_memory=100)])
    assert pressure.share == 0.55


def test_back_pressure_is_a_share_of_what_was_seen(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full speed is learnt from the batches themselves, and trouble before the first batch has a start as well."""
    monkeypatch.setattr(pace, "UNKNOWN_RATE", 100.0)
    pacer = Pacer(stop=StopRequest(), nodes=connection.node_clients)
    pacer.pressure.share = 0.5
    pacer.admit(10)
    began = time.monotonic()
    pacer.admit(10)
    assert 0.1 < time.monotonic() - began < 2


def test_what_was_held_back_is_not_taken_for_full_speed(connection: Connection) -> None:
    """Trouble that comes again and again slows down from the same full speed each time, not from the last low one."""
    now = [0.0]
    pacer = Pacer(stop=StopRequest(), nodes=connection.node_clients, clock=lambda: now[0])

    def batch(after: float) -> None:
        now[0] += after
        pacer.note(500, 0.05)

    for _ in range(100):
        batch(0.05)
    for _ in range(5):
        pacer.pressure.share = 1 / 8
        for _ in range(4):
            batch(1.0)
        pacer.pressure.share = 1.0
        batch(0.05)
    pacer.pressure.share = 0.5
    pacer.admit(500)
    now[0] += 0.5  # far more than 500 documents take at half of 10,000 a second
    waiting = threading.Thread(target=pacer.admit, args=(500,), daemon=True)
    waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()
