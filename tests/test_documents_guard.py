"""What happens between reading and writing: writers, deletions, expiries, crashes of the server, no memory, a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import NewServer
from document_kit import (
    Kept,
    StopAfter,
    called,
    cast,
    constant,
    dropped,
    floats,
    get_json,
    made,
    put_json,
    renamed,
    rewrite_of,
    sweep,
    vector,
)
from servers import connected, kill, start_server

from rvlstate.errors import CommandRefusedError, InterruptedRunError, LockLostError, StepFailedError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import FieldRewrite, Rewrite
from rvlstate.model.transform import Call
from rvlstate.runtime.connect import Connection, connect

F32, F16 = floats(1, 2, 3, 4), floats(1, 2, 3, 4, form="e")
NEWER = floats(9, 9, 9, 9)


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


def own(layout: Any = "length", into: str = "float16") -> Rewrite:
    """A cast whose values the function m:f makes: it may do something in between."""
    return rewrite_of(
        FieldRewrite(field="v", reads=(vector(),), steps=(Call(function="m:f"),), writes=vector(into), layout=layout)
    )


def meddling(meddle: Callable[[], object]) -> dict[str, Callable[..., Any]]:
    """A function that passes values on, after something was done to the documents."""

    def passed_on(values: Any) -> Any:
        meddle()
        return values

    return {"m:f": passed_on}


def test_what_is_deleted_or_expires_meanwhile_stays_so(connection: Connection, client: Any) -> None:
    """Scenario 21: no stub with a vector and nothing else."""
    client.hset("doc:gone", "v", F32)
    client.hset("doc:expired", "v", F32)
    client.hset("doc:there", "v", F32)

    def meddle() -> None:
        client.delete("doc:gone")
        client.pexpire("doc:expired", 1)
        time.sleep(0.01)

    tally = sweep(connection, own(), functions=meddling(meddle))
    assert (tally.written, tally.gone) == (1, 2)
    assert client.keys("doc:*") == [b"doc:there"]


def test_no_stub_is_left_of_a_document_that_holds_none_of_the_values(connection: Connection, client: Any) -> None:
    """Its digest is that of a document that is gone."""
    client.hset("doc:1", "other", "x")
    client.hset("doc:2", "a", "y")
    functions = meddling(lambda: client.delete("doc:1"))
    tally = sweep(connection, rewrite_of(constant("lang", "en"), called("a", "b")), functions=functions)
    assert (tally.written, tally.gone) == (1, 1)
    assert client.exists("doc:1") == 0


def test_newer_writes_win_and_the_next_pass_sees_them(connection: Connection, client: Any) -> None:
    """Scenario 20: an update between reading and writing is not overwritten."""
    client.hset("doc:1", mapping={"v": F32})
    newer = [NEWER]
    functions = meddling(lambda: [client.hset("doc:1", "v", newer.pop()) for _ in newer[:1]])
    first = sweep(connection, own(), functions=functions)
    assert (first.written, first.moved_on, first.unsettled) == (0, 1, 1)
    assert client.hget("doc:1", "v") == NEWER
    assert sweep(connection, own(), functions=functions).written == 1
    assert client.hget("doc:1", "v") == floats(9, 9, 9, 9, form="e")


def watched_meddling(connection: Connection, meddle: Callable[[], object]) -> Any:
    """A pass that watches documents, with something done to them between reading and writing."""
    keys: Any = connection.keys
    keys.hset("warm:1", "v", bytes(16))
    sweep(connection, cast(prefixes=("warm:",)))  # the server knows the script: only then is anything watched
    done: list[object] = []

    def once() -> None:
        if not done:
            done.append(meddle())

    return sweep(connection, cast(), guard=once)


def test_watched_documents_are_as_safe_as_guarded_ones(connection: Connection, client: Any) -> None:
    """Whatever happens in between, the rest of the transaction is written document by document."""
    for name in ("gone", "expired", "newer", "unrelated", "field", "quiet", "json"):
        client.hset(f"doc:{name}", mapping={"v": F32, "title": "a"})
    client.hset("doc:none", "title", "a")
    client.set("doc:text", "t")

    def meddle() -> None:
        client.delete("doc:gone", "doc:json")
        client.set("doc:json", "text")
        client.pexpire("doc:expired", 1)
        client.hset("doc:newer", "v", NEWER)
        client.hset("doc:unrelated", "title", "b")
        client.execute_command("HPEXPIRE", "doc:field", 1, "FIELDS", 1, "v")
        time.sleep(0.01)

    tally = watched_meddling(connection, meddle)
    assert (tally.seen, tally.written, tally.done, tally.foreign) == (9, 2, 1, 1)
    assert (tally.gone, tally.moved_on) == (2, 3)
    assert client.exists("doc:gone", "doc:expired") == 0
    assert client.hget("doc:newer", "v") == NEWER
    assert client.hgetall("doc:unrelated") == {b"v": F16, b"title": b"b"}
    assert client.hgetall("doc:quiet") == {b"v": F16, b"title": b"a"}
    assert client.hgetall("doc:field") == {b"title": b"a"}


def test_a_watched_field_that_expires_by_itself_stays_away(new_server: NewServer) -> None:
    """The server hides it without touching the key, as it does until it gets round to removing it."""
    server = new_server(options={"enable-debug-command": "local"})
    with connected(server) as client, connect(server.url) as connection:
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.hset("doc:1", mapping={"v": F32, "title": "a"})
        client.execute_command("HPEXPIRE", "doc:1", 60, "FIELDS", 1, "v")
        assert watched_meddling(connection, lambda: time.sleep(0.1)).moved_on == 1
        assert client.hgetall("doc:1") == {b"title": b"a"}


def test_watched_documents_keep_their_expiries(connection: Connection, client: Any) -> None:
    """Scenario 22, without digests."""
    client.hset("doc:1", mapping={"v": F32, "title": "a"})
    client.pexpireat("doc:1", 4102444800123)
    client.execute_command("HPEXPIREAT", "doc:1", 4102444700456, "FIELDS", 1, "v")
    assert sweep(connection, cast()).written == 1
    assert client.pexpiretime("doc:1") == 4102444800123
    assert client.execute_command("HPEXPIRETIME", "doc:1", "FIELDS", 1, "v") == [4102444700456]


def test_a_document_that_became_something_else_is_left(connection: Connection, client: Any) -> None:
    """Gone and written anew as another type."""
    client.hset("doc:1", mapping={"v": F32})

    def meddle() -> None:
        client.delete("doc:1")
        client.set("doc:1", "text")

    assert sweep(connection, own(), functions=meddling(meddle)).moved_on == 1
    assert client.get("doc:1") == b"text"


def test_an_unrelated_write_is_no_conflict(connection: Connection, client: Any) -> None:
    """Only what is read and written has to be as it was."""
    client.hset("doc:1", mapping={"v": F32, "title": "a"})
    functions = meddling(lambda: client.hset("doc:1", "title", "b"))
    assert sweep(connection, own(), functions=functions).written == 1
    assert client.hgetall("doc:1") == {b"v": F16, b"title": b"b"}


@pytest.mark.parametrize("meddled", ["$.a", "$.b"])
@pytest.mark.requires("json")
def test_json_that_changed_is_left(connection: Connection, client: Any, meddled: str) -> None:
    """Both what is read and what is to be written count."""
    put_json(client, "doc:1", {"a": "x"})
    rewrite = rewrite_of(called("$.a", "$.b"), storage="json")
    functions = meddling(lambda: client.execute_command("JSON.SET", "doc:1", meddled, '"new"'))
    assert sweep(connection, rewrite, functions=functions).moved_on == 1
    assert get_json(client, "doc:1") == ({"a": "new"} if meddled == "$.a" else {"a": "x", "b": "new"})


@pytest.mark.requires("json")
def test_a_document_that_changes_while_it_is_to_change_its_type(connection: Connection, client: Any) -> None:
    """The whole document has to be as it was."""
    client.hset("doc:1", mapping={"title": "t"})
    item = called("title", "$.upper")
    rewrite = rewrite_of(
        item, before=IndexDefinition(prefixes=("doc:",)), after=IndexDefinition(storage="json", prefixes=("doc:",))
    )
    functions = meddling(lambda: client.hset("doc:1", "more", "x"))
    assert sweep(connection, rewrite, functions=functions).moved_on == 1
    assert client.type("doc:1") == b"hash"
    assert sweep(connection, rewrite, functions=meddling(lambda: None)).written == 1
    assert get_json(client, "doc:1") == {"title": "t", "upper": "t", "more": "x"}


def test_two_passes_at_once_apply_a_transform_once(redis_url: str, client: Any) -> None:
    """Another run that believes that it holds the lease, or a key that SCAN tells twice."""
    for number in range(400):
        client.hset(f"doc:{number}", "v", floats(number, 0, 0, 0))
    both = threading.Barrier(2)

    def add_one(matrix: Any) -> Any:
        with suppress(threading.BrokenBarrierError):  # the two read the same, then both write
            both.wait(timeout=0.5)
        return matrix + 1

    rewrite = own(layout="marker", into="float32")

    def run() -> None:
        with connect(redis_url) as connection:
            sweep(connection, rewrite, functions={"m:f": add_one}, batch_size=50)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(redis_url) as connection:
        assert sweep(connection, rewrite, functions={"m:f": add_one}).moved_on == 0
    assert all(client.hget(f"doc:{n}", "v") == floats(n + 1, 1, 1, 1) for n in range(400))


def test_writers_at_full_speed_lose_nothing(redis_url: str, client: Any) -> None:
    """Scenario 20: every value is the last one that was written, converted."""
    last: dict[bytes, bytes] = {}
    for number in range(2000):
        client.hset(f"doc:{number}", "v", F32)
    over = threading.Event()

    def write() -> None:
        with redis.from_url(redis_url) as writer:
            number = 0
            while not over.is_set():
                key = f"doc:{number * 7919 % 2000}".encode()
                value = floats(number % 2000, 1, 2, 3)
                writer.hset(key, "v", value)
                last[key] = value
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    with connect(redis_url) as connection:
        for _ in range(5):
            sweep(connection, cast(), batch_size=100)
        over.set()
        writer.join()
        sweep(connection, cast())
        assert sweep(connection, cast()).done == 2000
    for key, value in last.items():
        expected = floats(*memoryview(value).cast("f"), form="e")
        assert client.hget(key, "v") == expected


def test_no_memory_stops_safely_and_goes_on_later(connection: Connection, client: Any) -> None:
    """OOM is never tried again, and says what to do."""
    client.hset("doc:1", "a", "1")
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StepFailedError, match="maxmemory"):
            sweep(connection, rewrite_of(made("a", "b")))
        assert client.hgetall("doc:1") == {b"a": b"1"}
    finally:
        client.config_set("maxmemory", 0)
    assert sweep(connection, rewrite_of(made("a", "b"))).written == 1


def test_a_script_that_the_server_refuses_is_not_tried_again(connection: Connection, client: Any) -> None:
    """A mark of another type cannot be used: said at once, nothing written."""
    client.hset("doc:1", "a", "1")
    client.set("rvlstate:mark:shop:r1:{0}", "somebody's")
    began = time.monotonic()
    with pytest.raises(CommandRefusedError, match="WRONGTYPE"):
        sweep(connection, rewrite_of(renamed("a", "b")))
    assert time.monotonic() - began < 2


def test_scripts_that_the_server_forgot_are_loaded_again(connection: Connection, client: Any) -> None:
    """SCRIPT FLUSH, or a restart, between two calls."""
    client.hset("doc:1", "v", F32)
    assert sweep(connection, own(), functions=meddling(client.script_flush)).written == 1


def test_a_lost_lease_ends_the_pass_before_anything_is_written(connection: Connection, client: Any) -> None:
    """The guard is asked between reading and writing."""
    client.hset("doc:1", "v", F32)

    def lost() -> None:
        raise LockLostError("the lease went to somebody else")

    with pytest.raises(LockLostError):
        sweep(connection, cast(), guard=lost)
    assert client.hget("doc:1", "v") == F32


def test_a_stop_between_batches_leaves_no_thread(connection: Connection, client: Any) -> None:
    """Those that are at work finish their batch."""
    for number in range(300):
        client.hset(f"doc:{number}", "v", F32)
    with pytest.raises(InterruptedRunError):
        sweep(connection, cast(), batch_size=10, pacer=StopAfter(3))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rvlstate-")]
    written = sum(len(client.hget(f"doc:{number}", "v")) == len(F16) for number in range(300))
    assert 0 < written <= 40


def test_originals_come_before_the_write(connection: Connection, client: Any) -> None:
    """What cannot be kept is not overwritten."""
    client.hset("doc:1", "a", "1")

    class Full(Kept):
        def keep(self, rows: Any) -> None:  # noqa: ARG002  # the protocol
            raise StepFailedError("keep originals", why="the disk is full", next_step="make room")

    with pytest.raises(StepFailedError, match="keep originals"):
        sweep(connection, rewrite_of(dropped("a")), originals=Full())
    assert client.hget("doc:1", "a") == b"1"


def test_a_server_that_is_restarted_in_the_middle(new_server: NewServer, tmp_path: Path) -> None:
    """Its cursors are worth nothing then: the scan begins again, and nothing is done twice."""
    server = new_server()
    with connected(server, protocol=2) as client:
        pipeline = client.pipeline()
        for number in range(3000):
            pipeline.hset(f"doc:{number}", "v", F32)
        pipeline.execute()
    restarted = threading.Event()

    def restart() -> None:
        if not restarted.is_set():
            restarted.set()
            kill(server)
            start_server(server.folder)

    with connect(server.url) as connection:
        tally = sweep(connection, own(), batch_size=100, functions=meddling(restart))
        assert tally.bad == 0
        assert sweep(connection, own(), functions=meddling(lambda: None)).done == 3000
    with connected(start_server(server.folder), protocol=2) as client:
        assert client.hget("doc:2999", "v") is not None
