"""The recorded state: exact, written only under the lease, and never believed when damaged."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NewServer
from keys_clients import ADA, KINDS, open_keys, open_kind
from records import edit_record, read_record
from redis import Redis, RedisCluster

from rvlstate.errors import LockLostError, StateError
from rvlstate.model.codec import dump_value
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import (
    UNREVEALED,
    Flat,
    GeoField,
    GeoShapeField,
    Hnsw,
    NumericField,
    SvsVamana,
    TagField,
    TextField,
    VectorField,
)
from rvlstate.model.fingerprint import canonical_json
from rvlstate.model.state import Intent, Record, Run, State
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lock import Lease, acquire
from rvlstate.runtime.scripts import READ_COMMANDS, WRITE_COMMANDS, KeysClient
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.state_payload import dump_state
from rvlstate.runtime.state_store import StateStore

KEYS = StateKeys("shop")

EVERYTHING = IndexDefinition(
    storage="json",
    prefixes=("doc:", "", "with {brace} \u00e9\u4e16 \x00"),
    filter='@price > 0 && @name != "x"',
    language="german",
    score=0.0,
    stopwords=(),
    temporary=UNREVEALED,
    fields=(
        TextField(name="title", identifier="$.title", weight=2.5, phonetic_matcher="dm:en", sortable=True, unf=True),
        TagField(name="tags", identifier="$.tags[*]", separator="", case_sensitive=True),
        NumericField(name="price", identifier="$.price", sortable=True),
        GeoField(name="place", identifier="$.place", no_index=True),
        GeoShapeField(name="area", identifier="$.area", coord_system="flat"),
        VectorField(name="flat", identifier="$.flat", search=Flat(block_size=512), dims=3, initial_cap=UNREVEALED),
        VectorField(name="hnsw", identifier="$.hnsw", search=Hnsw(ef_runtime=77, epsilon=UNREVEALED), dims=768),
        VectorField(name="svs", identifier="$.svs", search=SvsVamana(compression="LVQ8"), dims=4, datatype="float16"),
    ),
)


def record(name: str, definition: IndexDefinition = EVERYTHING) -> Record:
    """A record of an index at its first revision."""
    return Record(name=name, physical=f"{name}@1", definition=definition, depends_on=("other",), build_rate=12.5)


FULL = State(
    records=(record("products"),),
    intents=(Intent(physical="products@2", name="products", definition=IndexDefinition(stopwords=None)),),
    run=Run(
        id="run-1",
        plan_id="sha256:1",
        desired_fingerprint="sha256:2",
        who="ada",
        started="2026-05-15T10:00:00Z",
        allowed=("DELETES_INDEX",),
    ),
)


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


def take(client: KeysClient) -> Lease:
    """The lock of the project."""
    return acquire(client, "shop", operation="apply", identity=ADA)


def test_nothing_written_is_an_empty_state(client: KeysClient) -> None:
    """A project that was never applied has an empty state, before and after the lock was first taken."""
    store = StateStore(client, "shop")
    assert store.load() == State()
    with take(client):
        assert store.load() == State()
    assert store.load() == State()


def test_what_was_saved_is_loaded_exactly(client: KeysClient) -> None:
    """Every attribute of every kind of field comes back equal, with a lineage and the serial 1."""
    store = StateStore(client, "shop")
    with take(client) as lease:
        saved = store.save(FULL, lease)
    assert store.load() == saved
    assert saved == replace(FULL, lineage=saved.lineage, serial=1)
    assert len(saved.lineage) == 36


def test_the_payload_is_canonical_json() -> None:
    """The same state gives the same bytes, with sorted keys and nothing left out."""
    payload = dump_state(FULL).payload
    content = {key: value for key, value in dump_value(FULL).items() if key not in ("lineage", "serial")}
    assert payload == canonical_json(content)


def test_each_change_raises_the_serial_by_one(client: KeysClient) -> None:
    """Two changes are serial 2 and 3 of the same lineage."""
    store = StateStore(client, "shop")
    with take(client) as lease:
        first = store.save(FULL, lease)
        second = store.save(first.with_record(record("blog")), lease)
        third = store.save(second.without_intent("products@2"), lease)
    assert [state.serial for state in (first, second, third)] == [1, 2, 3]
    assert {state.lineage for state in (first, second, third)} == {first.lineage}
    assert store.load() == third


def test_saving_no_change_writes_nothing(client: KeysClient) -> None:
    """An unchanged state keeps its serial, and the stored bytes stay as they were."""
    store = StateStore(client, "shop")
    with take(client) as lease:
        saved = store.save(FULL, lease)
        before = store.pull()
        assert store.save(store.load(), lease) == saved
        assert store.pull() == before


def test_the_first_write_of_an_empty_state_gives_it_a_lineage(plain: KeysClient) -> None:
    """A state begins with its first write, though nothing is in it yet."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        begun = store.save(State(), lease)
        assert begun.serial == 1
        assert begun.lineage
        assert store.save(begun, lease) == begun


def test_a_write_that_is_sent_twice_counts_once(plain: KeysClient) -> None:
    """A client that repeats a write after a broken connection neither fails nor raises the serial again."""
    store = StateStore(plain, "shop")
    written = replace(FULL, lineage="l", serial=1)
    with take(plain) as lease:
        assert [store._write(written, lease, "", "") for _ in range(2)] == ["written", "written"]
        assert store.load() == written


def test_a_stale_serial_is_refused(client: KeysClient) -> None:
    """Who read an older state than the one stored may not write over it, though it holds the lock."""
    store = StateStore(client, "shop")
    with take(client) as lease:
        old = store.save(FULL, lease)
        new = store.save(old.with_record(record("blog")), lease)
        for stale in (old.without_record("products"), State(), replace(new, lineage="other", intents=())):
            with pytest.raises(StateError, match="moved"):
                store.save(stale, lease)
        assert store.load() == new


def test_nothing_is_written_without_the_lease(client: KeysClient) -> None:
    """A released, a superseded and a forged lease are refused, and the state stays as it was."""
    store = StateStore(client, "shop")
    released = take(client)
    state = store.save(FULL, released)
    released.release()
    change = state.without_record("products")
    with pytest.raises(LockLostError):
        store.save(change, released)
    with take(client) as lease:
        with pytest.raises(LockLostError):
            store.save(change, released)
        client.set(KEYS.fence, lease.token + 1)
        with pytest.raises(LockLostError):
            store.save(change, lease)
    assert store.load() == state


def test_a_refused_write_marks_the_lease_as_lost(plain: KeysClient) -> None:
    """After a refused write the run cannot go on by checking."""
    with take(plain) as lease:
        plain.delete(KEYS.lock)
        with pytest.raises(LockLostError):
            StateStore(plain, "shop").save(FULL, lease)
        assert not lease.held
        with pytest.raises(LockLostError):
            lease.check()


Damage = Callable[[KeysClient], object]

DAMAGES: dict[str, Damage] = {
    "payload edited": lambda client: edit_record(
        client, KEYS.state, payload=read_record(client, KEYS.state)["payload"].replace("768", "384")
    ),
    "payload cut": lambda client: edit_record(
        client, KEYS.state, payload=read_record(client, KEYS.state)["payload"][:-9]
    ),
    "payload gone": lambda client: edit_record(client, KEYS.state, payload=None),
    "serial edited": lambda client: edit_record(client, KEYS.state, serial=9),
    "serial no number": lambda client: edit_record(client, KEYS.state, serial="nine"),
    "lineage edited": lambda client: edit_record(client, KEYS.state, lineage="other"),
    "checksum gone": lambda client: edit_record(client, KEYS.state, checksum=None),
    "format gone": lambda client: edit_record(client, KEYS.state, format=None),
    "only the serial left": lambda client: edit_record(
        client,
        KEYS.state,
        payload=None,
        checksum=None,
        format=None,
        lineage=None,
        written_at=None,
        rvlstate_version=None,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_state_is_refused_and_can_be_rebuilt(plain: KeysClient, damage: Damage) -> None:
    """What was edited by hand is not believed; it can still be looked at, and rebuilt with a higher serial."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        before = store.save(store.save(FULL, lease).without_intent("products@2"), lease)
        damage(plain)
        with pytest.raises(StateError, match="damaged") as caught:
            store.load()
        assert "rvlstate state rebuild" in caught.value.next_step
        assert "payload" in json.loads(store.pull())
        rebuilt = store.replace(FULL, lease)
        assert store.load() == rebuilt
    assert rebuilt.lineage != before.lineage
    assert rebuilt.records == FULL.records
    assert rebuilt.serial in (before.serial + 1, 10, 1)


@pytest.mark.parametrize("rubbish", [b"\xff\xfe\x00", b"rubbish", b"[1, 2]", b""])
def test_a_state_that_is_rubbish_is_refused_and_can_be_rebuilt(plain: KeysClient, rubbish: bytes) -> None:
    """What is no record at all is not believed either; the next holder of the lock can look at it and replace it."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        store.save(FULL, lease)
    plain.set(KEYS.state, rubbish)
    with pytest.raises(StateError, match="damaged"):
        store.load()
    with take(plain) as lease:
        with pytest.raises(StateError, match="damaged"):
            store.load()
        assert "unreadable" in json.loads(store.pull())
        rebuilt = store.replace(FULL, lease)
        assert store.load() == rebuilt


def test_rebuilding_goes_on_counting(plain: KeysClient) -> None:
    """A rebuilt state has a higher serial than the readable one before, and starts at 1 if there is none to read."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        assert store.replace(FULL, lease).serial == 1
        assert store.replace(FULL, lease).serial == 2
        edit_record(plain, KEYS.state, serial="many")
        assert store.replace(FULL, lease).serial == 1


def test_rebuilding_needs_the_lease(plain: KeysClient) -> None:
    """Rebuilding is fenced like any write."""
    store = StateStore(plain, "shop")
    lease = take(plain)
    lease.release()
    with pytest.raises(LockLostError):
        store.replace(FULL, lease)
    assert store.load() == State()


def test_a_newer_format_is_left_to_newer_versions(plain: KeysClient) -> None:
    """A state of a later format is neither read nor replaced; the message says to upgrade."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        store.save(FULL, lease)
        edit_record(plain, KEYS.state, format=2, rvlstate_version="9.1")
        for attempt in (store.load, lambda: store.replace(FULL, lease)):
            with pytest.raises(StateError, match=r"written by rvlstate 9\.1") as caught:
                attempt()
            assert caught.value.next_step == "upgrade rvlstate."


def test_a_state_that_vanished_is_not_an_empty_one(client: KeysClient) -> None:
    """When runs are on record but the state is gone nothing may be planned, also after the lock was taken again."""
    store, journal = StateStore(client, "shop"), Journal(client, "shop")
    with take(client) as lease:
        journal.start("run-1", operation="apply", lock_id=lease.id, identity=ADA)
        store.save(FULL, lease)
    client.delete(KEYS.state)
    with pytest.raises(StateError, match="gone") as caught:
        store.load()
    assert "rvlstate state rebuild" in caught.value.next_step
    with take(client) as lease:
        with pytest.raises(StateError, match="gone"):
            store.load()
        rebuilt = store.replace(FULL, lease)
        assert store.load() == rebuilt


def test_a_key_of_another_type_is_told_as_such(client: KeysClient) -> None:
    """A key that somebody else wrote is not overwritten."""
    client.rpush(KEYS.state, "mine")
    store = StateStore(client, "shop")
    with take(client) as lease:
        for attempt in (store.load, store.pull, lambda: store.save(FULL, lease), lambda: store.replace(FULL, lease)):
            with pytest.raises(StateError, match="did not write"):
                attempt()
    assert client.lrange(KEYS.state, 0, -1) == ["mine"]


def test_pull_shows_what_is_stored(client: KeysClient) -> None:
    """The stored state is shown as indented JSON with its frame and the time of writing."""
    store = StateStore(client, "shop")
    with take(client) as lease:
        saved = store.save(FULL, lease)
    text = store.pull()
    data = json.loads(text)
    assert text.startswith("{\n  ")
    assert (data["serial"], data["lineage"], data["format"]) == ("1", saved.lineage, "1")
    assert data["payload"]["records"][0]["physical"] == "products@1"
    assert data["written_at"].startswith("20")


def test_raw_replies_are_read_as_well(redis_url: str) -> None:
    """A client of redis-py 8 without its legacy replies loads and saves the same."""
    with Redis.from_url(redis_url, decode_responses=True, legacy_responses=False) as client:
        store = StateStore(client, "shop")
        with take(client) as lease:
            saved = store.save(FULL, lease)
        assert store.load() == saved


def test_all_keys_of_a_project_are_in_one_slot(cluster_url: str) -> None:
    """One hash tag holds them together, whatever the run is called."""
    with open_keys(cluster_url) as client:
        assert isinstance(client, RedisCluster)
        keys = (KEYS.state, KEYS.lock, KEYS.control, KEYS.events, KEYS.history, KEYS.run("{other}"))
        assert len({client.cluster_keyslot(key) for key in keys}) == 1


def test_without_replicas_nobody_is_waited_for(plain: KeysClient) -> None:
    """A server without replicas costs no waiting, and the store says that there are none."""
    store = StateStore(plain, "shop")
    with take(plain) as lease:
        state = store.save(FULL, lease)
        started = time.monotonic()
        for name in "abcde":
            state = store.save(state.with_record(record(name)), lease)
        assert time.monotonic() - started < 0.4
    assert store.replicas is None


@pytest.fixture
def replicated(new_server: NewServer) -> Iterator[tuple[Redis, Redis, int]]:
    """Clients of a primary and of its replica, which is in step, and the replica's process."""
    primary, replica = new_server(), new_server()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open_keys(primary.url) as first, open_keys(replica.url) as second:
        assert isinstance(first, Redis)
        assert isinstance(second, Redis)
        first.config_set("port", port)
        first.config_set("repl-diskless-sync-delay", 0)
        second.replicaof("127.0.0.1", port)
        await_in_step(first)
        yield first, second, replica.pid
        os.kill(replica.pid, signal.SIGCONT)


def await_in_step(primary: Redis) -> None:
    """Poll until a replica confirms a write."""

    def in_step() -> bool:
        pipeline = primary.pipeline(transaction=False)
        pipeline.set("in-step", 1)
        pipeline.wait(1, 100)
        return bool(pipeline.execute()[1])

    poll(in_step)


def test_replicas_are_waited_for_but_do_not_fail_a_write(
    replicated: tuple[Redis, Redis, int], caplog: pytest.LogCaptureFixture
) -> None:
    """A replica in step is counted; one that is stuck is reported, and the write stands."""
    primary, replica, pid = replicated
    store = StateStore(primary, "shop")
    with take(primary) as lease, caplog.at_level(logging.WARNING):
        state = store.save(FULL, lease)
        assert store.replicas == 1
        assert StateStore(replica, "shop").load() == state
        assert not caplog.records
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        state = store.save(state.with_record(record("blog")), lease)
        assert time.monotonic() - started < 2
        assert store.replicas == 0
        assert store.load() == state
    assert "no replica confirmed" in caplog.text


def test_a_user_who_may_not_wait_writes_all_the_same(replicated: tuple[Redis, Redis, int]) -> None:
    """Without the right to WAIT or to ask for the ROLE the write is made, and counts as unconfirmed at worst."""
    primary, _, _ = replicated
    socket_path = primary.connection_pool.connection_kwargs["path"]
    for forbidden, confirmed in (("-wait", 0), ("-role", None)):
        primary.acl_setuser("worker", enabled=True, nopass=True, keys=["*"], commands=["+@all", forbidden])
        with Redis(unix_socket_path=socket_path, username="worker", decode_responses=True) as worker:
            store = StateStore(worker, "shop")
            with take(worker) as lease:
                state = store.save(store.load().with_record(record(forbidden)), lease)
            assert store.replicas == confirmed
            assert store.load() == state


def test_a_cluster_failover_in_the_middle_is_followed(new_server: NewServer) -> None:
    """On a cluster the replica of the slot is waited for, and when it is promoted the same lease goes on writing."""
    first, second = new_server(cluster=True), new_server(cluster=True)
    with open_keys(first.url) as client, open_node(first.url) as primary, open_node(second.url) as replica:
        replicate(primary, replica)
        with take(client) as lease:
            store = StateStore(client, "shop")
            state = store.save(FULL, lease)
            assert store.replicas == 1
            replica.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
            poll(lambda: replica.role()[0] == "master" and primary.role()[0] == "slave")
            state = store.save(state.with_record(record("blog")), lease)
            lease.check()
            poll(lambda: bool(replica.role()[2]))
            state = store.save(state.with_record(record("news")), lease)
            assert store.load() == state
            assert state.serial == 3
            poll(lambda: store.save(state, lease) == state and store.replicas == 1)


@contextmanager
def open_node(url: str) -> Iterator[Any]:
    """A client of one node of a cluster."""
    with Redis.from_url(url.replace("redis+cluster://", "redis://"), decode_responses=True) as client:
        yield client


def replicate(primary: Any, replica: Any) -> None:
    """Make one single-node cluster the replica of another."""
    replica.execute_command("CLUSTER", "RESET", "HARD")
    port = primary.connection_pool.connection_kwargs["port"]
    replica.execute_command("CLUSTER", "MEET", "127.0.0.1", port, primary.config_get("cluster-port")["cluster-port"])
    name = primary.execute_command("CLUSTER", "MYID")
    poll(lambda: name in str(replica.execute_command("CLUSTER", "NODES")))
    primary.config_set("repl-diskless-sync-delay", 0)
    replica.execute_command("CLUSTER", "REPLICATE", name)
    poll(lambda: replica.info("replication")["master_link_status"] == "up")
    # A takeover before both have heard of each other's part comes to nothing.
    poll(lambda: "0-16383" in str(replica.execute_command("CLUSTER", "NODES")))
    poll(lambda: "slave" in str(primary.execute_command("CLUSTER", "NODES")))


def poll(true: Callable[[], bool]) -> None:
    """Poll until something is true; fails when it does not become so."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_failover_that_lost_the_lock_stops_the_run(replicated: tuple[Redis, Redis, int]) -> None:
    """A promoted replica that never heard of the lock accepts no write of its holder, and gives no token twice."""
    primary, replica, _ = replicated
    with take(primary) as earlier:
        state = StateStore(primary, "shop").save(FULL, earlier)
    await_in_step(primary)
    replica.replicaof("NO", "ONE")
    with take(primary) as lease:
        promoted = StateStore(replica, "shop")
        with pytest.raises(LockLostError):
            promoted.save(state.without_record("products"), lease)
        assert promoted.load() == state
    with take(replica) as next_lease:
        assert next_lease.token > earlier.token


def test_the_documentation_names_the_keys_and_commands() -> None:
    """Each key of a project and each command that a user needs is on the page about them."""
    page = (Path(__file__).parent.parent / "docs" / "state-and-lock.md").read_text(encoding="utf-8")
    keys = StateKeys("PROJECT")
    for name in (keys.state, keys.lock, keys.fence, keys.history, keys.run("ID"), keys.events):
        assert f"`{name}`" in page
    words = set(page.replace("`", " ").split())
    assert {*READ_COMMANDS, *WRITE_COMMANDS, "ROLE", "WAIT"} <= words
