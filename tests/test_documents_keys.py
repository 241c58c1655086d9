"""Which keys a pass handles: any bytes, overlapping prefixes, other types, filters, new prefixes, slots, resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from document_kit import (
    PROJECT,
    StopAfter,
    cast,
    floats,
    leftovers,
    made,
    renamed,
    rewrite_of,
    sweep,
    worker,
)
from raw_servers import eventually, free_port, raw_server
from redis.crc import key_slot

from rvlstate.errors import InterruptedRunError
from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.effects import Tally
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.documents.beside import Beside, slot_tags
from rvlstate.runtime.documents.blueprint import blueprint_of
from rvlstate.runtime.documents.ledger import Ledger, Place
from rvlstate.runtime.documents.scan import Wanted, glob_escaped
from rvlstate.runtime.state_keys import StateKeys

F32, F16 = floats(1, 2, 3, 4), floats(1, 2, 3, 4, form="e")

WEIRD = (
    b"doc:{a}:1",
    b"doc:{",
    b"doc:}{",
    b"doc:with space",
    b"doc:*?[x]\\^-",
    b"doc:line\nbreak\r\n",
    b"doc:\xff\xfe\x00",
    b"doc:" + b"k" * 4096,
    "doc:ünïcode ☃".encode(),
    b"doc:",
)


@pytest.fixture(params=["redis_url", "cluster_url"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty server, and to an empty cluster of one node."""
    with connect(request.getfixturevalue(request.param)) as opened:
        yield opened


@pytest.fixture
def client(connection: Connection) -> Iterator[Any]:
    """A plain client of the same server, in bytes."""
    known = connection.search.connection_pool.connection_kwargs
    options = {"unix_socket_path": known["path"]} if "path" in known else {"host": known["host"], "port": known["port"]}
    with redis.Redis(**options) as opened:
        yield opened


def test_any_bytes_make_a_key(connection: Connection, client: Any) -> None:
    """Scenario 28: exact bytes, also in digests beside them."""
    for key in WEIRD:
        client.hset(key, mapping={"v": F32, "a": b"\xff"})
    rewrite = rewrite_of(*cast().fields, renamed("a", "b"))
    assert sweep(connection, rewrite, batch_size=3).written == len(WEIRD)
    assert sweep(connection, rewrite).done == len(WEIRD)
    assert all(client.hgetall(key) == {b"v": F16, b"b": b"\xff"} for key in WEIRD)
    assert sorted(key for key in client.scan_iter() if b"rvlstate" not in key) == sorted(WEIRD)


def test_overlapping_prefixes_are_scanned_once(connection: Connection, client: Any) -> None:
    """Scenario 27: each key is handled once."""
    for key in ("doc:1", "doc:v2:1", "document", "dog:1", "other"):
        client.hset(key, "v", F32)
    tally = sweep(connection, cast(prefixes=("doc", "doc:", "doc:v2:", "dog:")))
    assert (tally.seen, tally.written) == (4, 4)
    assert client.hget("other", "v") == F32


def test_prefixes_with_wildcards_are_taken_literally(connection: Connection, client: Any) -> None:
    """A prefix is no pattern."""
    for key in ("a*:1", "a?:1", "ab:1", "a[b]:1", "a\\:1"):
        client.hset(key, "v", F32)
    assert sweep(connection, cast(prefixes=("a*:",))).seen == 1
    assert sweep(connection, cast(prefixes=("a[b]:", "a\\:", "a?:"))).seen == 3
    assert client.hget("ab:1", "v") == F32


def test_an_empty_prefix_takes_everything_but_what_is_ours(connection: Connection, client: Any) -> None:
    """Digests and states are neither documents nor foreign."""
    client.hset("anything", "a", "1")
    client.set("counter", 1)
    client.set("{rvlstate:shop}:state", "ours")
    rewrite = rewrite_of(renamed("a", "b"), prefixes=("",))
    assert sweep(connection, rewrite).written == 1
    again = sweep(connection, rewrite)
    assert (again.seen, again.done, again.foreign) == (2, 1, 1)


def test_other_types_are_counted_and_left(connection: Connection, client: Any) -> None:
    """Scenario 24."""
    client.hset("doc:1", "v", F32)
    client.set("doc:counter", 1)
    client.xadd("doc:stream", {"v": F32})
    client.sadd("doc:set", "v")
    client.execute_command("JSON.SET", "doc:json", "$", "{}")
    tally = sweep(connection, cast())
    assert (tally.seen, tally.written, tally.foreign, tally.bad) == (5, 1, 4, 0)
    assert client.get("doc:counter") == b"1"


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("where", ["redis_url", "cluster_url"])
def test_what_the_filter_leaves_out_is_left_alone(request: pytest.FixtureRequest, where: str, protocol: int) -> None:
    """Scenario 25, as either protocol tells it."""
    with connect(request.getfixturevalue(where), protocol=protocol) as connection:
        keys: Any = connection.keys
        for number in range(30):
            keys.hset(f"doc:{number}", mapping={"price": number, "v": "\x00" * 16})
        keys.hset(b"doc:\xff", mapping={"price": 99, "v": "\x00" * 16})
        make = "FT.CREATE mem ON HASH PREFIX 1 doc: FILTER @price>=20 SCHEMA zz__ TAG"
        search: Any = connection.search
        search.execute_command(*make.split())
        eventually(lambda: _count(connection) == 11)
        tally = sweep(connection, cast(), members="mem", batch_size=7)
        assert (tally.seen, tally.written, tally.excluded) == (31, 11, 20)
        assert keys.hstrlen("doc:3", "v") == 16
        assert keys.hstrlen(b"doc:\xff", "v") == 8


def _count(connection: Connection) -> int:
    search: Any = connection.search
    reply = search.execute_command("FT.SEARCH", "mem", "*", "LIMIT", "0", "0")
    return int(reply["total_results"] if isinstance(reply, dict) else reply[0])


@pytest.fixture
def alone(redis_url: str) -> Iterator[Connection]:
    """A connection to an empty server that is no cluster."""
    with connect(redis_url) as opened:
        yield opened


def moved(old: str, new: str, *fields: Any) -> Any:
    """A rewrite under another prefix."""
    return rewrite_of(*fields, prefixes=(old,), moves=((old, new),))


@pytest.mark.parametrize(
    ("old", "new", "keys", "after"),
    [
        ("doc:", "doc:v2:", ["doc:1", "doc:2", "doc:v2:3"], ["doc:v2:1", "doc:v2:2", "doc:v2:3"]),
        ("doc:v2:", "doc:", ["doc:v2:1", "doc:v2:v2:2", "doc:3"], ["doc:1", "doc:v2:2", "doc:3"]),
        ("a:", "b:", ["a:1", "b:2", "c:3"], ["b:1", "b:2", "c:3"]),
    ],
)
def test_documents_move_to_another_prefix_once(
    alone: Connection, old: str, new: str, keys: list[str], after: list[str]
) -> None:
    """Scenario 27: it terminates where one prefix begins the other, either way."""
    client: Any = alone.keys
    for key in keys:
        client.hset(key, mapping={"title": key})
        client.pexpireat(key, 4102444800123)
    rewrite = moved(old, new, made("title", "copy"))
    for _ in range(3):
        sweep(alone, rewrite)
    found = sorted(key for key in client.scan_iter() if "rvlstate" not in key)
    assert found == sorted(after)
    assert all(client.pexpiretime(key) == 4102444800123 for key in found)
    assert sweep(alone, rewrite).written == 0
    worker(alone).tidy(rewrite)
    assert not [key for key in client.scan_iter() if "rvlstate" in key]


def test_a_document_under_the_new_key_is_never_overwritten(alone: Connection) -> None:
    """It is taken for the newer one, and the other is told."""
    client: Any = alone.keys
    client.hset("a:1", "title", "old")
    client.hset("b:1", "title", "new")
    tally = sweep(alone, moved("a:", "b:"))
    assert (tally.written, tally.bad, tally.done) == (0, 1, 1)
    assert "taken for the newer one" in tally.bad_rows[0].reason
    assert (client.hget("a:1", "title"), client.hget("b:1", "title")) == ("old", "new")


def fill(client: Any, count: int) -> None:
    """So many vectors, each its own."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        pipeline.hset(f"doc:{number}", "v", floats(number, 1, 2, 3, form="e"))
    pipeline.execute()


@pytest.mark.parametrize("sizes", [(50, 500), (500, 7)])
def test_a_stopped_pass_goes_on_with_another_batch_size(
    connection: Connection, client: Any, sizes: tuple[int, int]
) -> None:
    """Scenario 47: from where all batches were complete, with the counts till there."""
    fill(client, 6000)
    rewrite = cast("float16", "bfloat16", documents=6000)
    told: list[tuple[int, int]] = []
    with pytest.raises(InterruptedRunError):
        sweep(connection, rewrite, batch_size=sizes[0], pacer=StopAfter(3000 // sizes[0]))
    begun = json.loads(client.get(StateKeys(PROJECT).run("r1")))
    (shard,) = begun["shards"].values()
    assert shard["cursor"] != "0"
    tally = sweep(
        connection,
        rewrite,
        batch_size=sizes[1],
        resume=True,
        tell=lambda _, done, total, __: told.append((done, total)),
    )
    assert tally.seen == 6000
    assert 6000 - 600 <= tally.written <= 6000
    assert tally.written + tally.done == 6000
    assert tally.done < 1500
    assert told[0][0] >= shard["counts"]["seen"] > 1000
    assert told[-1] == (6000, 6000)
    first = client.hgetall("doc:5999")
    assert sweep(connection, rewrite, resume=True).done == 6000
    assert client.hgetall("doc:5999") == first


def test_a_checkpoint_of_another_mode_or_process_is_not_used(alone: Connection) -> None:
    """It is a hint: a damaged one is as good as none."""
    client: Any = alone.keys
    fill(client, 2000)
    with pytest.raises(InterruptedRunError):
        sweep(alone, cast("float16", "bfloat16"), batch_size=100, pacer=StopAfter(10))
    assert sweep(alone, cast("float16", "bfloat16"), mode="rehearse", resume=True).seen == 2000
    key = StateKeys(PROJECT).run("r1")
    for damage in ("", "{}", "[]", '{"format": 1}', "no json"):
        client.set(key, damage)
        assert sweep(alone, cast("float16", "bfloat16"), resume=True).seen == 2000


@contextmanager
def three_nodes(folder: Path) -> Iterator[tuple[list[int], list[Any]]]:
    """The ports and clients of three nodes of one cluster, a third of the slots each."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        clients: list[Any] = []
        for port in ports:
            cluster = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            stack.enter_context(raw_server(folder / str(port), *cluster, "--cluster-node-timeout", "2000"))
            clients.append(stack.enter_context(redis.Redis(host="127.0.0.1", port=port)))
        eventually(lambda: [client.ping() for client in clients])
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for client in clients[1:]:
            bus = client.config_get("cluster-port")["cluster-port"]
            clients[0].execute_command(
                "CLUSTER MEET", "127.0.0.1", client.connection_pool.connection_kwargs["port"], bus
            )
        eventually(lambda: all(_is_whole(client) for client in clients))
        yield ports, clients


def _is_whole(client: Any) -> bool:
    info = {str(name): str(value) for name, value in client.execute_command("CLUSTER INFO").items()}
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" and info["cluster_slots_ok"] == "16384"


def test_three_nodes_side_by_side_with_moving_slots(tmp_path: Path) -> None:
    """Scenarios 44 and 45: a hot slot moves away, key by key, while it is rewritten."""
    with three_nodes(tmp_path) as (ports, clients), connect(f"redis+cluster://127.0.0.1:{ports[0]}") as connection:
        keys: Any = connection.keys
        for number in range(1500):
            keys.hset(f"doc:{number}", "v", floats(number, 1, 2, 3, form="e"))
            keys.hset(f"doc:{{hot}}:{number}", "v", floats(number, 1, 2, 3, form="e"))
        rewrite = cast("float16", "bfloat16", documents=3000)
        with pytest.raises(InterruptedRunError):
            sweep(connection, rewrite, batch_size=20, pacer=StopAfter(60))
        resumed = sweep(connection, rewrite, resume=True)
        assert (resumed.seen, resumed.written + resumed.done) == (3000, 3000)
        assert sweep(connection, rewrite).done == 3000
        moving = _Moving(clients, slot=key_slot(b"{hot}"))
        for number in range(1500):
            keys.hset(f"doc:{{hot}}:{number}", "v", floats(number, 9, 9, 9, form="e"))
        tally = sweep(connection, rewrite, batch_size=50, pacer=moving)
        assert moving.moved
        settled = sweep(connection, rewrite)
        assert (settled.written, settled.moved_on, settled.done) == (0, 0, 3000)
        assert tally.written >= 1500
        worker(connection).tidy(rewrite)
        assert [key for client in clients for key in leftovers(client)] == []


class _Moving:
    """A pacer that moves a slot from its node to another one, key by key, while documents are rewritten."""

    reason = ""

    def __init__(self, clients: list[Any], slot: int) -> None:
        self.slot = slot
        self.moved = False
        self._source = next(client for client in clients if _owns(client, slot))
        self._target = next(client for client in clients if client is not self._source)
        self._batches = 0

    def admit(self, documents: int) -> None:  # noqa: ARG002  # the protocol
        """Half of the keys move after some batches, the rest and the slot after some more."""
        self._batches += 1
        if self._batches == 3:
            self._target.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", _id(self._source))
            self._source.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", _id(self._target))
            self._migrate(700)
        if self._batches == 10:
            self._migrate(5000)
            for client in (self._target, self._source):
                client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", _id(self._target))
            self.moved = True

    def note(self, documents: int, seconds: float) -> None:
        """Nobody asks."""

    def _migrate(self, count: int) -> None:
        keys = self._source.execute_command("CLUSTER GETKEYSINSLOT", self.slot, count)
        port = self._target.connection_pool.connection_kwargs["port"]
        if keys:
            self._source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)


def _id(client: Any) -> str:
    reply = client.execute_command("CLUSTER MYID")
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _owns(client: Any, slot: int) -> bool:
    nodes = client.execute_command("CLUSTER NODES").values()
    (me,) = [node for node in nodes if "myself" in node["flags"]]
    return any(int(first) <= slot <= int(last) for first, last in ((part[0], part[-1]) for part in me["slots"]))


def test_every_slot_has_a_short_tag() -> None:
    """So that a script may touch a document and what is beside it."""
    tags = slot_tags()
    assert all(key_slot(tag.encode()) == slot for slot, tag in enumerate(tags))
    assert max(map(len, tags)) <= 4
    beside = Beside(project="shop", rewrite="r1", clustered=True)
    for key in WEIRD:
        assert key_slot(beside.marks(beside.slot(key))) == key_slot(beside.scratch(beside.slot(key))) == key_slot(key)


def test_what_is_complete_counts_only_up_to_the_first_batch_that_is_not() -> None:
    """Whoever goes on begins there; what was written stays counted."""
    ledger = Ledger(Place())
    one, two, three = (ledger.open() for _ in range(3))
    ledger.close(two, Tally(seen=1), "20")
    ledger.close(three, Tally(seen=1), None)
    assert (ledger.place().cursor, ledger.place().tally.seen, ledger.total().seen) == ("0", 0, 2)
    ledger.close(one, Tally(seen=1), "10")
    assert (ledger.place().cursor, ledger.place().tally.seen, ledger.total().seen) == ("20", 2, 3)
    ledger.close(ledger.open(), Tally(seen=1, written=1), "0")
    assert ledger.place().complete
    ledger.restart()
    assert (ledger.total().seen, ledger.total().written, ledger.place().complete) == (0, 1, False)
    ledger.close(one, Tally(seen=1, written=1), "10")
    assert (ledger.total().seen, ledger.total().written, ledger.place().cursor) == (0, 2, "0")


def test_the_pattern_is_the_longest_common_prefix() -> None:
    """One scan, however many prefixes."""
    beside = Beside(project="shop", rewrite="r1", clustered=False)
    assert Wanted(prefixes=(b"doc:a*", b"doc:a?"), beside=beside).pattern == b"doc:a*"
    assert Wanted(prefixes=(b"x*",), beside=beside).pattern == rb"x\**"
    assert Wanted(prefixes=(b"",), beside=beside).pattern == b"*"
    assert glob_escaped(b"[a]\\^-?") == rb"\[a\]\\\^\-\?"
    rewrite = rewrite_of(before=IndexDefinition(prefixes=("doc:v2:", "doc", "doc:", "a")), after=IndexDefinition())
    assert blueprint_of(rewrite, field_expiry=False, originals=False).prefixes() == (b"a", b"doc")
