"""The document engine on real servers: every layout on hashes and JSON, with their expiries, twice over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from document_kit import (
    Kept,
    called,
    cast,
    constant,
    counts,
    dropped,
    floats,
    get_json,
    leftovers,
    made,
    put_json,
    renamed,
    rewrite_of,
    sweep,
    vector,
    worker,
)

from rvlstate.errors import GateFailedError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, NumericField, TextField, VectorField
from rvlstate.model.rewrite import FieldRewrite
from rvlstate.model.transform import Call, Cast, Join, Truncate
from rvlstate.plan.effects import BadRow
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.documents.originals import written_digest

F32 = floats(1.0, -2.5, 0.0, 3.0)
F16 = floats(1.0, -2.5, 0.0, 3.0, form="e")


@pytest.fixture(params=["redis_url", "cluster_url"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty server, and to an empty cluster of one node."""
    with connect(request.getfixturevalue(request.param)) as opened:
        yield opened


@pytest.fixture
def client(connection: Connection) -> Iterator[Any]:
    """A plain client of the same server, in bytes."""
    options = {
        name: value
        for name, value in connection.search.connection_pool.connection_kwargs.items()
        if name in {"host", "port"}
    }
    if "port" not in options:
        options = {"unix_socket_path": connection.search.connection_pool.connection_kwargs["path"]}
    with redis.Redis(**options) as opened:
        yield opened


def test_a_cast_under_its_own_name_is_done_once(connection: Connection, client: Any) -> None:
    """Scenario 32: only the vector crosses the network."""
    for number in range(300):
        client.hset(f"doc:{number}", mapping={"v": F32, "title": f"t{number}", "big": b"x" * 1000})
    first, second = sweep(connection, cast()), sweep(connection, cast())
    assert (first.seen, first.written, first.done, first.bad) == (300, 300, 0, 0)
    assert (second.seen, second.written, second.done) == (300, 0, 300)
    assert (first.bytes_read, first.bytes_written) == (300 * len(F32), 300 * len(F16))
    assert client.hgetall("doc:7") == {b"v": F16, b"title": b"t7", b"big": b"x" * 1000}


def test_expiries_of_key_and_fields_are_kept_to_the_millisecond(connection: Connection, client: Any) -> None:
    """Scenario 22: a rename takes the expiry of its field along."""
    client.hset("doc:1", mapping={"v": F32, "title": "a", "other": "b"})
    client.pexpireat("doc:1", 4102444800123)
    client.execute_command("HPEXPIREAT", "doc:1", 4102444700456, "FIELDS", 2, "v", "title")
    sweep(connection, rewrite_of(*cast().fields, renamed("title", "headline")))
    assert set(client.hkeys("doc:1")) == {b"v", b"other", b"headline"}
    assert client.pexpiretime("doc:1") == 4102444800123
    told = client.execute_command("HPEXPIRETIME", "doc:1", "FIELDS", 3, "v", "headline", "other")
    assert told == [4102444700456, 4102444700456, -1]


def test_a_cast_of_the_same_width_is_told_by_its_digest(connection: Connection, client: Any) -> None:
    """Scenario 29; a newer value of the old layout is converted again."""
    rewrite = cast("float16", "bfloat16")
    client.hset("doc:1", "v", F16)
    assert sweep(connection, rewrite).written == 1
    value = client.hget("doc:1", "v")
    assert value != F16
    assert sweep(connection, rewrite).done == 1
    assert client.hget("doc:1", "v") == value
    client.hset("doc:1", "v", floats(9.0, 9.0, 9.0, 9.0, form="e"))
    assert sweep(connection, rewrite).written == 1
    assert sweep(connection, rewrite).done == 1


def test_a_computed_field_never_overwrites_and_follows_its_inputs(connection: Connection, client: Any) -> None:
    """What we made follows its inputs, what others wrote stays."""
    rewrite = rewrite_of(called("title", "upper"))

    def run() -> Any:
        return sweep(connection, rewrite, functions={"m:f": lambda titles: [title.upper() for title in titles]})

    client.hset("doc:ours", mapping={"title": "a"})
    client.hset("doc:theirs", mapping={"title": "b", "upper": "kept"})
    client.hset("doc:none", mapping={"other": "c"})
    first = run()
    assert (first.written, first.done) == (1, 2)
    client.hset("doc:ours", "title", "newer")
    client.hset("doc:theirs", "title", "newer")
    second = run()
    assert (second.written, second.done) == (1, 2)
    assert client.hget("doc:ours", "upper") == b"NEWER"
    assert client.hget("doc:theirs", "upper") == b"kept"
    client.hset("doc:ours", mapping={"title": "both", "upper": "by the application"})
    assert run().written == 0
    assert client.hget("doc:ours", "upper") == b"by the application"
    assert client.hkeys("doc:none") == [b"other"]


def test_a_constant_needs_no_input_and_no_digest(connection: Connection, client: Any) -> None:
    """It cannot be outdated."""
    client.hset("doc:1", "a", "1")
    rewrite = rewrite_of(constant("lang", "en"))
    assert sweep(connection, rewrite).written == 1
    assert sweep(connection, rewrite).done == 1
    assert client.hget("doc:1", "lang") == b"en"
    assert [key for key in leftovers(client) if b"mark" in key] == []


@pytest.mark.parametrize(
    ("before", "written", "after"),
    [
        ({"a": "1"}, 1, {"b": "1"}),
        ({"a": "same", "b": "same"}, 1, {"b": "same"}),
        ({"a": "one", "b": "another"}, 0, {"a": "one", "b": "another"}),
        ({"b": "new"}, 0, {"b": "new"}),
        ({"c": "x"}, 0, {"c": "x"}),
    ],
)
def test_a_rename_drops_no_value_that_is_not_at_its_new_place(
    connection: Connection, client: Any, before: dict[str, str], written: int, after: dict[str, str]
) -> None:
    """What is there as well is found by the new name, and nothing tells whether the old value was meant."""
    client.hset("doc:1", mapping=before)
    tally = sweep(connection, rewrite_of(renamed("a", "b")))
    assert (tally.written, tally.ambiguous) == (written, int(len(after) > 1))
    assert client.hgetall("doc:1") == {name.encode(): value.encode() for name, value in after.items()}


def test_a_rehearsal_rejects_a_document_with_an_old_and_another_new_value(connection: Connection, client: Any) -> None:
    """Which of the two is meant is a question to the user, before anything is written."""
    client.hset("doc:1", mapping={"a": "one", "b": "another", "c": "x"})
    client.hset("doc:2", mapping={"a": "one"})
    tally = sweep(connection, rewrite_of(renamed("a", "b"), dropped("c")), mode="rehearse", max_bad_rows=1)
    assert counts(tally) == {"written": 1, "bad": 1}
    reason = "it holds a and another value at b already, and one of the two would be lost: remove one of them"
    assert tally.bad_rows == (BadRow(key="doc:1", field="b", reason=reason),)


def test_beside_two_values_of_one_field_the_other_fields_are_brought_over(connection: Connection, client: Any) -> None:
    """Only that one is left."""
    client.hset("doc:1", mapping={"a": "one", "b": "another", "c": "x"})
    tally = sweep(connection, rewrite_of(renamed("a", "b"), dropped("c")))
    assert (tally.written, tally.ambiguous) == (1, 1)
    assert client.hgetall("doc:1") == {b"a": b"one", b"b": b"another"}


def test_a_renamed_field_that_comes_back_is_newer_than_what_we_wrote(connection: Connection, client: Any) -> None:
    """Where a writer of the new layout has been there too, both stay: either may be the later one."""
    rewrite = rewrite_of(renamed("a", "b"))
    client.hset("doc:1", "a", "first")
    sweep(connection, rewrite)
    client.hset("doc:1", "a", "second")
    assert sweep(connection, rewrite).written == 1
    assert client.hgetall("doc:1") == {b"b": b"second"}
    client.hset("doc:1", mapping={"a": "third", "b": "by a new writer"})
    assert sweep(connection, rewrite).ambiguous == 1
    assert client.hgetall("doc:1") == {b"a": b"third", b"b": b"by a new writer"}


def test_a_dropped_field_goes_and_the_document_stays(connection: Connection, client: Any) -> None:
    """Its value is not even read."""
    client.hset("doc:1", mapping={"a": "1", "b": "2"})
    client.hset("doc:2", mapping={"b": "2"})
    tally = sweep(connection, rewrite_of(dropped("a")))
    assert (tally.written, tally.done, tally.bytes_read) == (1, 1, 0)
    assert client.hgetall("doc:1") == {b"b": b"2"}


def test_fields_that_differ_in_what_is_done_are_told_apart(connection: Connection, client: Any) -> None:
    """A value in the new layout is no input of the old one."""
    rewrite = rewrite_of(*cast().fields, made("title", "copy"), renamed("a", "b"), constant("lang", "en"))
    client.hset("doc:1", mapping={"v": F32, "title": "t", "a": "1"})
    client.hset("doc:2", mapping={"v": F16, "title": "t", "a": "1"})
    client.hset("doc:3", mapping={"v": F32, "title": "t", "copy": "c", "b": "1", "lang": "de"})
    tally = sweep(connection, rewrite)
    assert (tally.written, tally.bad) == (3, 0)
    same = {b"v": F16, b"title": b"t", b"copy": b"t", b"b": b"1", b"lang": b"en"}
    assert client.hgetall("doc:1") == client.hgetall("doc:2") == same
    assert client.hgetall("doc:3") == {**same, b"copy": b"c", b"lang": b"de"}
    assert sweep(connection, rewrite).done == 3


def test_new_dims_from_the_users_own_code(connection: Connection, client: Any) -> None:
    """Scenario 19."""
    item = FieldRewrite(
        field="v",
        reads=(vector(),),
        steps=(Call(function="m:f"), Truncate(), Cast()),
        writes=vector("float16", 2),
        layout="length",
    )
    client.hset("doc:1", "v", F32)
    assert sweep(connection, rewrite_of(item), functions={"m:f": lambda matrix: matrix + 1}).written == 1
    assert client.hget("doc:1", "v") == floats(2.0, -1.5, form="e")


@pytest.mark.requires("json")
def test_json_paths_change_and_their_siblings_do_not(connection: Connection, client: Any) -> None:
    """Scenario 31: parents are made, everything else keeps its bytes."""
    document = {"m": {"old": {"deep": [1, 2.5]}, "keep": [0.1, 1e21]}, "title": "t", "tags": ["a", "b"]}
    put_json(client, "doc:1", document)
    client.pexpireat("doc:1", 4102444800123)
    keep = client.execute_command("JSON.GET", "doc:1", "$.m.keep", "$.tags")
    join = made("$.title", "$.made.by.us", Join(separator="-"))
    rewrite = rewrite_of(renamed("$.m.old.deep", "$.n.new.deep"), join, dropped("$.tags[0]"), storage="json")
    first, second = sweep(connection, rewrite), sweep(connection, rewrite)
    assert (first.written, first.bad) == (1, 0)
    after = get_json(client, "doc:1")
    assert after["n"] == {"new": {"deep": [1, 2.5]}}
    assert after["made"] == {"by": {"us": "t"}}
    assert client.execute_command("JSON.GET", "doc:1", "$.m.keep") == json.dumps(
        json.loads(keep)["$.m.keep"], separators=(",", ":")
    ).encode().replace(b"1e+21", b"1e21")
    assert client.pexpiretime("doc:1") == 4102444800123
    assert second.bad == 0


@pytest.mark.requires("json")
def test_json_vectors_in_lists_and_what_has_no_place(connection: Connection, client: Any) -> None:
    """Each value goes to its place; nothing is forced into what is no object."""
    put_json(client, "doc:1", {"items": [{"v": [1, 2, 3, 4]}, {"x": 0}, {"v": [5, 6, 7, 8]}]})
    put_json(client, "doc:2", {"items": []})
    source = vector(at="$.items[*].v")
    short = FieldRewrite(
        field="v", reads=(source,), steps=(Truncate(),), writes=vector(dims=2, at="$.items[*].v"), layout="length"
    )
    tally = sweep(connection, rewrite_of(short, storage="json"))
    assert (tally.written, tally.done, tally.bad) == (1, 1, 0)
    assert get_json(client, "doc:1") == {"items": [{"v": [1, 2]}, {"x": 0}, {"v": [5, 6]}]}
    put_json(client, "doc:3", {"a": "t", "o": "no object"})
    placed = sweep(connection, rewrite_of(made("$.a", "$.o.p"), storage="json"))
    assert (placed.bad, placed.written) == (1, 0)
    assert "no place for $.o.p" in placed.bad_rows[0].reason
    assert get_json(client, "doc:3") == {"a": "t", "o": "no object"}


@pytest.mark.requires("json")
def test_json_renames_and_presence_under_old_layout_writers(connection: Connection, client: Any) -> None:
    """As with hashes."""
    rewrite = rewrite_of(renamed("$.a", "$.b"), made("$.t", "$.c"), storage="json")
    put_json(client, "doc:1", {"a": "first", "t": "x"})
    sweep(connection, rewrite)
    assert get_json(client, "doc:1") == {"t": "x", "b": "first", "c": "x"}
    client.execute_command("JSON.SET", "doc:1", "$.a", '"again"')
    client.execute_command("JSON.SET", "doc:1", "$.t", '"y"')
    assert sweep(connection, rewrite).written == 1
    assert get_json(client, "doc:1") == {"t": "y", "b": "again", "c": "y"}
    assert sweep(connection, rewrite).done == 1


def both_ways() -> tuple[IndexDefinition, IndexDefinition]:
    """The same fields in hashes and in JSON."""
    shape: dict[str, Any] = {"search": Flat(), "dims": 4}
    return (
        IndexDefinition(
            storage="hash",
            prefixes=("doc:",),
            fields=(
                TextField(name="title", identifier="title"),
                NumericField(name="price", identifier="price"),
                VectorField(name="v", identifier="v", **shape),
            ),
        ),
        IndexDefinition(
            storage="json",
            prefixes=("doc:",),
            fields=(
                TextField(name="title", identifier="$.title"),
                NumericField(name="price", identifier="$.price"),
                VectorField(name="v", identifier="$.v", **shape),
            ),
        ),
    )


@pytest.mark.requires("json")
def test_a_hash_turns_into_json_and_back(connection: Connection, client: Any) -> None:
    """In place, with its expiry; what cannot be turned is told and left."""
    hashes, jsons = both_ways()
    client.hset("doc:1", mapping={"title": "t", "price": "1.5", "v": F32, "more": "kept"})
    client.pexpireat("doc:1", 4102444800123)
    client.hset("doc:bytes", mapping={"title": b"\xff"})
    client.hset("doc:expiring", mapping={"title": "t"})
    client.execute_command("HPEXPIRE", "doc:expiring", 100000, "FIELDS", 1, "title")
    there = rewrite_of(before=hashes, after=jsons)
    first = sweep(connection, there)
    assert (first.written, first.bad) == (1, 2)
    assert get_json(client, "doc:1") == {"title": "t", "price": 1.5, "v": [1.0, -2.5, 0.0, 3.0], "more": "kept"}
    assert client.pexpiretime("doc:1") == 4102444800123
    assert client.type("doc:bytes") == client.type("doc:expiring") == b"hash"
    assert sweep(connection, there).done == 1
    back = sweep(connection, rewrite_of(before=jsons, after=hashes))
    assert (back.written, back.done) == (1, 2)
    assert client.hgetall("doc:1") == {b"title": b"t", b"price": b"1.5", b"v": F32, b"more": b"kept"}
    assert client.pexpiretime("doc:1") == 4102444800123
    assert [key for key in leftovers(client) if b"mark" in key] == []


def test_bad_rows_are_left_alone_counted_and_listed(connection: Connection, client: Any) -> None:
    """Scenario 23; a rehearsal refuses more than are allowed, a pass counts them."""
    nan = floats(float("nan"), 0, 0, 0)
    bad = {
        "short": b"12345",
        "nan": nan,
        "inf": floats(float("inf"), 0, 0, 0),
        "huge": floats(1e6, 0, 0, 0),
        "empty": b"",
    }
    for name, value in bad.items():
        client.hset(f"doc:{name}", "v", value)
    client.hset("doc:good", "v", F32)
    with pytest.raises(GateFailedError, match="5 of 6 documents cannot be transformed"):
        sweep(connection, cast(), mode="rehearse", max_bad_rows=4)
    assert client.hget("doc:good", "v") == F32
    assert sweep(connection, cast(), mode="rehearse", max_bad_rows=5).written == 1
    tally = sweep(connection, cast())
    assert (tally.written, tally.bad) == (1, 5)
    assert {row.key for row in tally.bad_rows} == {f"doc:{name}" for name in bad}
    assert {name: client.hget(f"doc:{name}", "v") for name in bad} == bad
    listed = [json.loads(row) for row in client.lrange("{rvlstate:shop}:run:r1:bad", 0, -1)]
    assert sorted(row["key"] for row in listed) == sorted(f"doc:{name}" for name in bad)


def test_a_rehearsal_writes_nothing_and_shows_little_to_the_users_code(connection: Connection, client: Any) -> None:
    """It counts what would be written all the same."""
    for number in range(50):
        client.hset(f"doc:{number}", "title", "t")
    seen: list[int] = []

    def shout(titles: list[str]) -> list[str]:
        seen.append(len(titles))
        return [title.upper() for title in titles]

    tally = sweep(
        connection, rewrite_of(called("title", "upper")), mode="rehearse", functions={"m:f": shout}, user_rows=7
    )
    assert (tally.written, sum(seen)) == (50, 7)
    assert all(client.hkeys(f"doc:{number}") == [b"title"] for number in range(50))


def test_originals_are_kept_before_and_known_by_what_is_written(connection: Connection, client: Any) -> None:
    """All that is written or removed, field by field, and nothing else."""
    client.hset("doc:1", mapping={"v": F32, "a": "1", "c": "x"})
    kept = Kept()
    sweep(connection, rewrite_of(*cast().fields, renamed("a", "b"), dropped("c")), originals=kept)
    rows = [row for row in kept.rows if row.key == b"doc:1"]
    assert [row.before for row in rows] == [{b"v": F32}, {b"a": b"1", b"b": None}, {b"c": b"x"}]
    for row in rows:
        assert not isinstance(row.before, bytes)
        now = {name: client.hget("doc:1", name) for name in row.before}
        assert written_digest(now, is_json=False) == row.written


@pytest.mark.requires("json")
def test_originals_of_json_are_known_however_the_server_writes_numbers(connection: Connection, client: Any) -> None:
    """1e21 and 1e+21 are the same."""
    put_json(client, "doc:1", {"a": [1e21, 0.1, 3, 1e-7], "b": 0})
    kept = Kept()
    sweep(connection, rewrite_of(dropped("$.b"), storage="json"), originals=kept)
    both = FieldRewrite(
        field="v", reads=(vector(at="$.a"),), steps=(Truncate(),), writes=vector(dims=2, at="$.c"), layout="presence"
    )
    sweep(connection, rewrite_of(both, storage="json"), originals=kept)
    assert [row.before for row in kept.rows] == [{b"$.b": b"[0]"}, {b"$.c": None}]
    now = {b"$.c": client.execute_command("JSON.GET", "doc:1", "$.c")}
    assert written_digest(now, is_json=True) == kept.rows[1].written


def test_tidying_leaves_nothing_of_ours(connection: Connection, client: Any) -> None:
    """Digests, place and bad rows, twice over."""
    for number in range(40):
        client.hset(f"doc:{number}", "a", "1")
    rewrite = rewrite_of(renamed("a", "b"))
    sweep(connection, rewrite)
    assert leftovers(client) != []
    worker(connection).tidy(rewrite)
    worker(connection).tidy(rewrite)
    assert leftovers(client) == []
