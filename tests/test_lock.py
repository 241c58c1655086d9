"""The lock: one holder at a time, whoever dies, freezes, waits or is cut off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import islice

import pytest
from conftest import NewServer
from keys_clients import ADA, BOB, KINDS, open_keys, open_kind
from lock_holder import holder_process
from records import edit_record, read_record
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from rvlstate.errors import LockHeldError, LockLostError, StateError
from rvlstate.model.state import State
from rvlstate.runtime.embedded import start_server
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lease import Deadline
from rvlstate.runtime.lock import Lease, _pauses, acquire, read_lock, unlock
from rvlstate.runtime.scripts import WRITE_COMMANDS, KeysClient
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.state_store import StateStore

KEYS = StateKeys("shop")


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[KeysClient]:
    """A client of the emptied server, of every kind."""
    with open_kind(request.param, request) as opened:
        yield opened


@pytest.fixture
def plain(redis_url: str) -> Iterator[KeysClient]:
    """A client of the emptied standalone server, where the kind of server cannot matter."""
    with open_keys(redis_url) as opened:
        yield opened


def take(client: KeysClient, *, project: str = "shop", lease_seconds: float = 10.0, timeout: float = 0.0) -> Lease:
    """The lock, taken by Ada's apply."""
    return acquire(client, project, operation="apply", identity=ADA, lease_seconds=lease_seconds, timeout=timeout)


def wait_until(true: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Poll until something is true; fails when it does not become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_one_acquires_the_other_is_refused_until_release(client: KeysClient) -> None:
    """A held lock refuses others; a released one is free at once, and the next token is higher."""
    with take(client) as first:
        with pytest.raises(LockHeldError) as caught:
            take(client)
        assert first.id == caught.value.lock_id
        assert caught.value.exit_code == 4
    with take(client) as second:
        assert second.token == first.token + 1
    assert read_lock(client, "shop") is None


def test_the_loser_reads_who_where_since_when_and_doing_what(plain: KeysClient) -> None:
    """The refusal names who, host, pid, operation, start, step, CI job, lease and lock id, and what to do."""
    with take(plain) as lease:
        lease.describe_step("products/3 build products@2")
        with pytest.raises(LockHeldError) as caught:
            take(plain)
    message = str(caught.value)
    for part in ("apply of ada on runner-1 (pid 41)", "products/3 build products@2", ADA.ci_url, "Z (0 s ago)"):
        assert part in message
    assert "its lease ends in 10 s" in message
    assert f"rvlstate unlock {lease.id}" in message
    assert "--lock-timeout" in message


def test_threads_at_once_exactly_one_wins(client: KeysClient) -> None:
    """Of four threads that try together exactly one gets the lock, forty times, with rising tokens."""
    tokens: list[int] = []
    barrier = threading.Barrier(4)

    def contend() -> Lease | None:
        barrier.wait()
        try:
            return take(client)
        except LockHeldError:
            return None

    with ThreadPoolExecutor(4) as pool:
        for _ in range(40):
            outcomes = [future.result() for future in [pool.submit(contend) for _ in range(4)]]
            (winner,) = [lease for lease in outcomes if lease is not None]
            tokens.append(winner.token)
            winner.release()
    assert sorted(set(tokens)) == tokens


@pytest.mark.parametrize("address", ["redis_url", "cluster_url"])
def test_processes_at_once_exactly_one_wins(address: str, request: pytest.FixtureRequest) -> None:
    """Of three processes that try together exactly one gets the lock, twenty-five times."""
    url = request.getfixturevalue(address)
    with ExitStack() as stack:
        holders = [stack.enter_context(holder_process(url, "shop", lease_seconds=10)) for _ in range(3)]
        for _ in range(25):
            for holder in holders:
                holder.send("acquire")
            answers = [holder.answer() for holder in holders]
            winners = [holder for holder, answer in zip(holders, answers, strict=True) if answer.startswith("ok")]
            assert len(winners) == 1, answers
            assert answers.count("LockHeldError") == 2, answers
            assert winners[0].ask("release") == "ok"


def test_waiting_gets_the_lock_when_it_is_released(client: KeysClient) -> None:
    """With a timeout the lock is tried again until it is free, and the waiter is told the holder meanwhile."""
    told: list[str] = []
    first = take(client)
    releasing = threading.Timer(0.2, first.release)
    releasing.start()
    with acquire(
        client, "shop", operation="apply", identity=BOB, timeout=20, on_wait=lambda info: told.append(info.who)
    ) as second:
        assert second.token == first.token + 1
    releasing.join()
    assert told[0] == "ada"


def test_waiting_ends_with_the_timeout(plain: KeysClient) -> None:
    """A timeout that runs out is a refusal, not before its time, and no pause is longer than what is left."""
    pauses: list[float] = []
    with take(plain):
        started = time.monotonic()
        with pytest.raises(LockHeldError):
            acquire(plain, "shop", operation="apply", identity=BOB, timeout=0.4, sleep=sleeping(pauses))
        assert time.monotonic() - started >= 0.4
    assert sum(pauses) <= 0.4


def test_waiting_looks_again_when_the_lease_of_a_dead_holder_ends(plain: KeysClient) -> None:
    """No pause is longer than the lease of the holder, which only a living one prolongs."""
    pauses: list[float] = []
    dead = take(plain, lease_seconds=0.3)
    dead._stop.set()
    with acquire(plain, "shop", operation="apply", identity=BOB, timeout=20, sleep=sleeping(pauses)) as lease:
        assert lease.token == dead.token + 1
    assert pauses
    assert max(pauses) <= 0.35
    dead.release()


def sleeping(pauses: list[float]) -> Callable[[float], None]:
    """A sleep that notes its length."""

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    return sleep


def test_waiting_can_be_stopped(plain: KeysClient) -> None:
    """What the caller's own sleep raises ends the wait."""

    def stopped(_: float) -> None:
        raise KeyboardInterrupt

    with take(plain), pytest.raises(KeyboardInterrupt):
        acquire(plain, "shop", operation="apply", identity=BOB, timeout=60, sleep=stopped)


def test_pauses_grow_to_sixteen_seconds_with_jitter() -> None:
    """Pauses double from one to sixteen seconds, each shortened by at most a half, and differ between waiters."""
    whole = [1, 2, 4, 8, 16, 16, 16]
    drawn = list(islice(_pauses(), 7))
    assert all(length / 2 <= pause <= length for pause, length in zip(drawn, whole, strict=True))
    assert drawn != list(islice(_pauses(), 7))


def test_a_killed_holder_is_followed_when_its_lease_ends(redis_url: str, plain: KeysClient) -> None:
    """After kill -9 the lock frees itself within its lease, not before, and the successor's token is higher."""
    with holder_process(redis_url, "shop", lease_seconds=1) as holder:
        token = int(holder.ask("acquire").split()[2])
        holder.process.kill()
        holder.process.wait()
        with pytest.raises(LockHeldError):
            take(plain)
        started = time.monotonic()
        with take(plain, timeout=20) as lease:
            assert lease.token == token + 1
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("address", ["redis_url", "cluster_url"])
def test_a_frozen_holder_cannot_write_once_it_wakes(address: str, request: pytest.FixtureRequest) -> None:
    """SIGSTOP past the lease, takeover, SIGCONT: the old holder's save and check are refused, the state unchanged."""
    url = request.getfixturevalue(address)
    with holder_process(url, "shop", lease_seconds=1) as holder, open_keys(url) as client:
        assert holder.ask("acquire").startswith("ok")
        assert holder.ask("save before") == "ok 1"
        holder.process.send_signal(signal.SIGSTOP)
        with take(client, timeout=20):
            before = StateStore(client, "shop").load()
            holder.send("save after")
            holder.process.send_signal(signal.SIGCONT)
            assert holder.answer() == "LockLostError"
            assert holder.ask("check") == "LockLostError"
            assert StateStore(client, "shop").load() == before
            assert [record.name for record in before.records] == ["before"]


def test_a_frozen_holder_has_lost_even_if_nobody_followed(redis_url: str, plain: KeysClient) -> None:
    """A lease that ended while its holder was frozen is not revived when it wakes."""
    with holder_process(redis_url, "shop", lease_seconds=0.5) as holder:
        holder.ask("acquire")
        holder.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: read_lock(plain, "shop") is None)
        holder.process.send_signal(signal.SIGCONT)
        assert holder.ask("check") == "LockLostError"
        assert holder.ask("save after") == "LockLostError"


@pytest.mark.parametrize("address", ["redis_url", "cluster_url"])
def test_the_heartbeat_keeps_the_lease(address: str, request: pytest.FixtureRequest) -> None:
    """A lease of a second is held without a break over more than three times its length."""
    with open_keys(request.getfixturevalue(address)) as client, take(client, lease_seconds=1) as lease:
        ends = time.monotonic() + 3.2
        while time.monotonic() < ends:
            info = read_lock(client, "shop")
            assert info is not None
            assert info.id == lease.id
            time.sleep(0.05)
        lease.check()


def test_the_heartbeat_notices_a_takeover_by_itself(plain: KeysClient) -> None:
    """Without any check the holder knows within a third of its lease that the lock is gone."""
    with take(plain, lease_seconds=0.6) as lease:
        plain.delete(KEYS.lock)
        with take(plain):
            wait_until(lambda: not lease.held)
            with pytest.raises(LockLostError, match="It went to somebody else") as caught:
                lease.check()
            assert "apply of ada" in str(caught.value)


def test_a_lost_lease_is_lost_though_its_new_holder_cannot_be_read(plain: KeysClient, redis_url: str) -> None:
    """What the server refused is not forgotten because the next question failed."""
    rules = [f"+{command}" for command in WRITE_COMMANDS if command != "PTTL"]
    plain.acl_setuser("blind", enabled=True, nopass=True, keys=["*"], commands=rules)
    with Redis.from_url(redis_url, username="blind", decode_responses=True) as blind, take(blind) as lease:
        plain.delete(KEYS.lock)
        with take(plain), pytest.raises(LockLostError):
            lease.check()
    plain.acl_deluser("blind")


def test_flushall_ends_the_lease(client: KeysClient) -> None:
    """When all keys are gone so is the lease: check and save are refused, and nothing is written again."""
    with take(client) as lease:
        client.flushall()
        with pytest.raises(LockLostError, match="removed"):
            lease.check()
        with pytest.raises(LockLostError):
            StateStore(client, "shop").save(State(), lease)
        assert client.exists(KEYS.state) == 0


def test_losing_the_fence_ends_the_lease(plain: KeysClient) -> None:
    """A lock whose fence is gone, as after a failover or an eviction, is not one to write under."""
    with take(plain) as lease:
        plain.delete(KEYS.fence)
        with pytest.raises(LockLostError):
            lease.check()


def test_tokens_rise_though_the_lock_key_is_lost(plain: KeysClient) -> None:
    """The fence lives with the state, so a failover that loses the lock key does not repeat a token."""
    with take(plain) as first:
        plain.delete(KEYS.lock)
        with take(plain) as second:
            assert second.token == first.token + 1


def test_a_repeated_token_is_no_use_under_another_id(client: KeysClient) -> None:
    """When everything was lost tokens begin again; the id still tells the old holder from the new one."""
    with take(client) as first:
        client.flushall()
        with take(client) as second:
            assert second.token == first.token
            with pytest.raises(LockLostError, match="somebody else"):
                StateStore(client, "shop").save(State(), first)
            second.check()


def test_a_fence_edited_by_hand_does_not_stop_the_lock(plain: KeysClient) -> None:
    """A fence that is no number starts again."""
    take(plain).release()
    plain.set(KEYS.fence, "seven")
    with take(plain) as lease:
        lease.check()


def test_unlock_needs_the_right_id(client: KeysClient) -> None:
    """A wrong id changes nothing and is answered with the holder; without a lock there is nothing to unlock."""
    with pytest.raises(StateError, match="not locked"):
        unlock(client, "shop", "some-id")
    with take(client) as lease:
        with pytest.raises(LockHeldError, match="ada") as caught:
            unlock(client, "shop", "some-id")
        assert caught.value.lock_id == lease.id
        lease.check()


def test_unlock_stops_a_living_holder_at_its_next_check(client: KeysClient) -> None:
    """With the right id the lock is free at once, and the holder may not go on."""
    with take(client) as lease:
        removed = unlock(client, "shop", lease.id)
        assert (removed.id, removed.who, removed.pid) == (lease.id, "ada", 41)
        assert read_lock(client, "shop") is None
        with pytest.raises(LockLostError, match="rvlstate unlock"):
            lease.check()
        with pytest.raises(LockLostError):
            lease.describe_step("next")


def test_release_leaves_the_lock_of_another_alone(plain: KeysClient) -> None:
    """Releasing a lost lease, or releasing twice, does not free what somebody else holds."""
    first = take(plain)
    plain.delete(KEYS.lock)
    with take(plain) as second:
        first.release()
        first.release()
        second.check()


def test_release_ends_the_heartbeat(plain: KeysClient) -> None:
    """No thread is left behind, and a released lease is no lease."""
    lease = take(plain)
    lease.release()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rvlstate-lease")]
    assert not lease.held
    with pytest.raises(LockLostError, match="released"):
        lease.check()


def test_a_failing_block_releases_the_lock(plain: KeysClient) -> None:
    """An error inside the block passes through and frees the lock."""
    with pytest.raises(ZeroDivisionError), take(plain):
        raise ZeroDivisionError
    assert read_lock(plain, "shop") is None


def test_projects_do_not_block_each_other(client: KeysClient) -> None:
    """Each project has a lock of its own."""
    with take(client), take(client, project="blog") as other:
        other.check()


def test_what_is_shown_holds_no_secrets_and_no_control_characters(plain: KeysClient) -> None:
    """A step with an address and an escape sequence is shown without password and in one harmless line."""
    with take(plain) as lease:
        lease.describe_step("copy from redis://admin:hunter2@db:6379/0\x1b[2J\nnext")
        assert read_record(plain, KEYS.lock)["step"] == "copy from redis://***@db:6379/0 [2J next"
        edit_record(plain, KEYS.lock, who="mallory\x1b[2J")
        info = read_lock(plain, "shop")
    assert info is not None
    assert info.who == "mallory [2J"


def test_a_server_killed_and_started_again_keeps_the_lease(new_server: NewServer) -> None:
    """A restart within the lease, with the data on disk, is survived by the holder and its state."""
    durable = {"appendfsync": "always"}  # else a write that arrives during a background fsync waits for it in memory
    server = new_server(options=durable)
    with open_keys(server.url) as client, take(client, lease_seconds=20) as lease:
        state = StateStore(client, "shop").save(State(), lease)
        os.kill(server.pid, signal.SIGKILL)
        start_server(server.folder, options=durable)
        lease.check()
        assert StateStore(client, "shop").load() == state


def test_a_server_that_came_back_empty_ends_the_lease(new_server: NewServer) -> None:
    """A restart that lost the data leaves the holder without a lease, and nothing is written."""
    server = new_server(options={"appendonly": "no"})
    with open_keys(server.url) as client, take(client, lease_seconds=20) as lease:
        os.kill(server.pid, signal.SIGKILL)
        start_server(server.folder, options={"appendonly": "no"})
        with pytest.raises(LockLostError):
            lease.check()
        with pytest.raises(LockLostError):
            StateStore(client, "shop").save(State(), lease)
        assert client.dbsize() == 0


def test_a_server_away_for_longer_than_the_lease_ends_it(new_server: NewServer) -> None:
    """A short outage does not fail a check; one past the lease counts as lost, with the reason."""
    server = new_server()
    with open_keys(server.url) as client, take(client, lease_seconds=2.5) as lease:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not reachable(client))
        lease.check()
        wait_until(lambda: not lease.held)
        with pytest.raises(LockLostError, match="did not confirm"):
            lease.check()


def test_an_outage_that_ends_within_the_lease_is_survived(new_server: NewServer) -> None:
    """After a failed beat the heart beats faster, so that the server is asked again before the lease ends."""
    durable = {"appendfsync": "always"}
    server = new_server(options=durable)
    with open_keys(server.url) as client, take(client, lease_seconds=6) as lease:
        began = time.monotonic()
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: time.monotonic() > began + 4.1)
        start_server(server.folder, options=durable)
        wait_until(lambda: time.monotonic() > began + 6.2)
        assert lease.held
        lease.check()


def reachable(client: KeysClient) -> bool:
    """Whether the server answers."""
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


def test_a_server_without_memory_lets_the_holder_go_on_and_leave(new_server: NewServer) -> None:
    """When writes are refused for memory the lease is prolonged, released, removable, and given out: to free memory."""
    server = new_server()
    with open_keys(server.url) as client:
        with take(client, lease_seconds=5) as lease:
            client.config_set("maxmemory", "1")
            lease.describe_step("in want of memory")
            assert client.pttl(KEYS.lock) > 4000
            assert read_record(client, KEYS.lock)["step"] == "in want of memory"
        assert read_lock(client, "shop") is None
        with take(client) as second:
            unlock(client, "shop", second.id)
            assert second.token == lease.token + 1


def test_a_reader_needs_no_right_to_write(plain: KeysClient, redis_url: str) -> None:
    """A user who may only read sees the lock and the state."""
    plain.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], categories=["+@read", "+@connection"])
    with take(plain), Redis.from_url(redis_url, username="reader", decode_responses=True) as reader:
        info = read_lock(reader, "shop")
        assert info is not None
        assert info.who == "ada"
        assert StateStore(reader, "shop").load() == State()
    plain.acl_deluser("reader")


def test_a_lock_key_of_another_type_is_told_as_such(client: KeysClient) -> None:
    """A key that somebody else wrote is neither overwritten nor taken for a lock."""
    for write, read in (
        (lambda: client.set(KEYS.lock, "mine"), lambda: client.get(KEYS.lock)),
        (lambda: client.rpush(KEYS.lock, "mine"), lambda: client.lrange(KEYS.lock, 0, -1)),
    ):
        client.delete(KEYS.lock)
        write()
        before = read()
        for attempt in (lambda: take(client), lambda: read_lock(client, "shop"), lambda: unlock(client, "shop", "id")):
            with pytest.raises(StateError, match="did not write"):
                attempt()
        assert read() == before


def test_a_lock_without_expiry_is_told_as_such(plain: KeysClient) -> None:
    """A lock that will not end by itself says so, and unlock removes it."""
    lease = take(plain, lease_seconds=60)
    plain.persist(KEYS.lock)
    with pytest.raises(LockHeldError, match="no expiry"):
        take(plain)
    unlock(plain, "shop", lease.id)
    lease.release()


def test_the_age_of_a_lock_is_told_by_the_servers_clock(plain: KeysClient) -> None:
    """How long a lock was held needs no clock of the reader, who may give one all the same."""
    with take(plain, lease_seconds=0.6):
        wait_until(lambda: (info := read_lock(plain, "shop")) is not None and info.held_seconds > 1)
        info = read_lock(plain, "shop")
    assert info is not None
    assert info.held_seconds < 3
    since = datetime.fromisoformat(info.since.replace("Z", "+00:00"))
    assert "(3 h ago)" in info.describe(since + timedelta(hours=3))


def test_the_deadline_is_the_earlier_of_two_clocks() -> None:
    """A machine that slept stopped its monotonic clock, one whose clock was set back stopped the other."""
    ahead = Deadline.after(60)
    assert 59 < ahead.left() <= 60
    assert Deadline(ahead.monotonic, time.time() - 1).left() < 0
    assert Deadline(time.monotonic() - 1, ahead.wall).left() < 0


def test_the_listed_commands_suffice(plain: KeysClient, redis_url: str) -> None:
    """A user with the commands that the documentation lists, and no others, does all that state and lock need."""
    rules = [f"+{command}" for command in WRITE_COMMANDS]
    plain.acl_setuser("worker", enabled=True, nopass=True, keys=[f"{KEYS.tag}:*"], commands=rules)
    with Redis.from_url(redis_url, username="worker", decode_responses=True) as worker:
        journal, store = Journal(worker, "shop"), StateStore(worker, "shop")
        with take(worker) as lease:
            state = store.save(store.load(), lease)
            journal.start("run-1", operation="apply", lock_id=lease.id, identity=ADA)
            journal.step_started("run-1", "a/1", summary="create")
            journal.step_finished("run-1", "a/1")
            lease.describe_step("a/1")
            store.replace(state, lease)
            journal.finish("run-1", "done")
            unlock(worker, "shop", lease.id)
        assert journal.list_runs()[0].steps_done == 1
        assert journal.read_run("run-1") is not None
        assert journal.read_events()
    plain.acl_deluser("worker")
