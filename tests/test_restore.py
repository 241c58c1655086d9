"""Originals are put back where documents still hold what rvlstate wrote, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from restore_kit import Bench, StoppedError, narrow, open_bench, renamed, rewrite_of, vector_cast, wide
from servers import EmbeddedServer, connected

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import NumericField, TextField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.model.transform import Truncate
from rvlstate.runtime.documents.restore import forget_notes

NewBench = Callable[[Rewrite], Bench]
SOON, LATER = 100_000, 200_000


@pytest.fixture
def new_bench(server: EmbeddedServer, redis_url: str, tmp_path: Path) -> Iterator[NewBench]:
    """A bench for a rewrite on the emptied shared server."""
    with ExitStack() as stack:
        client = stack.enter_context(connected(server))

        def make(rewrite: Rewrite) -> Bench:
            bench = open_bench(redis_url, client, tmp_path / "backup", rewrite)
            stack.callback(bench.connection.close)
            return bench

        yield make


def dump(client: Any) -> dict[bytes, Any]:
    """All documents with their expiry."""
    return {key: (content(client, key), client.pexpiretime(key)) for key in sorted(client.scan_iter("doc:*"))}


def content(client: Any, key: bytes) -> Any:
    """What a document holds."""
    return client.hgetall(key) if client.type(key) == b"hash" else client.execute_command("JSON.GET", key)


def test_hashes_are_as_they_were_with_their_expiries(new_bench: NewBench) -> None:
    """Bytes, key TTL and field TTL, of plain and of odd keys; a second run finds all as before."""
    bench = new_bench(rewrite_of(vector_cast(), renamed("old", "new")))
    for number, key in enumerate((b"doc:1", b"doc:{x} *?[\n\xff", b"doc:3")):
        bench.client.hset(key, mapping={"v": wide(number), "old": "text", "other": "kept"})
    bench.client.expire("doc:1", SOON)
    bench.client.hexpire("doc:1", LATER, "v", "old")
    before, expiry = dump(bench.client), bench.client.hpexpiretime("doc:1", "v", "old", "other")
    assert bench.sweep().written == 3
    assert bench.client.hget("doc:1", "v") == narrow(0)
    assert (bench.restore().restored, dump(bench.client)) == (3, before)
    assert bench.client.hpexpiretime("doc:1", "v", "old", "other") == expiry
    again = bench.restore()
    assert (again.restored, again.as_before, again.newer) == (0, 3, 0)


def test_what_was_deleted_stays_deleted_and_newer_writes_stay(new_bench: NewBench) -> None:
    """D2, D3, D16 of the peer: no resurrection, no lost update; each is counted."""
    bench = new_bench(rewrite_of(vector_cast()))
    for number in range(6):
        bench.client.hset(f"doc:{number}", mapping={"v": wide(number)})
    bench.sweep()
    bench.client.delete("doc:0")
    bench.client.hset("doc:1", "v", narrow(50))
    bench.client.hset("doc:2", "v", wide(60))
    bench.client.delete("doc:3")
    bench.client.set("doc:3", "now a string")
    bench.client.hdel("doc:4", "v")
    bench.client.hset("doc:4", "other", "kept")
    restored = bench.restore()
    assert (restored.restored, restored.newer, restored.gone) == (1, 4, 1)
    assert sorted(restored.newer_keys) == ["doc:1", "doc:2", "doc:3", "doc:4"]
    assert bench.client.hget("doc:1", "v") == narrow(50)
    assert bench.client.hget("doc:2", "v") == wide(60)
    assert bench.client.hgetall("doc:4") == {b"other": b"kept"}
    assert bench.client.hget("doc:5", "v") == wide(5)
    assert not bench.client.exists("doc:0")


def test_the_latest_of_several_originals_comes_back(new_bench: NewBench) -> None:
    """Values that differ and are written alike: what the application wrote last counts, and the document once."""
    bench = new_bench(rewrite_of(vector_cast()))
    bench.client.hset("doc:1", "v", wide(1))
    bench.client.hset("doc:2", "v", wide(1))
    bench.sweep()
    bench.client.hset("doc:1", "v", wide(1.00001))
    bench.sweep()
    assert bench.client.hget("doc:1", "v") == narrow(1)
    restored = bench.restore()
    assert (restored.restored, restored.as_before, restored.newer, restored.rows) == (2, 0, 0, 3)
    assert bench.client.hget("doc:1", "v") == wide(1.00001)


def test_a_newer_write_is_counted_once_however_often_the_document_was_rewritten(new_bench: NewBench) -> None:
    """Three passes, and a write in the new layout at the end."""
    bench = new_bench(rewrite_of(vector_cast()))
    for number in range(3):
        bench.client.hset("doc:1", "v", wide(number))
        bench.sweep()
    bench.client.hset("doc:1", "v", narrow(9))
    restored = bench.restore()
    assert (restored.restored, restored.as_before, restored.newer, restored.gone) == (0, 0, 1, 0)
    assert restored.newer_keys == ("doc:1",)


def test_json_documents_are_as_they_were(new_bench: NewBench) -> None:
    """Nested and multi-value paths, the server's spelling of numbers, and everything beside them."""
    nested = renamed("$.a.old", "$.b.new", kind="text")
    document = {"a": {"old": "text", "x": 1.0}, "b": {"y": [1, 2.50, 1e30]}, "é": "ü"}
    bench = new_bench(rewrite_of(nested, storage="json"))
    bench.client.execute_command("JSON.SET", "doc:1", "$", json.dumps(document))
    bench.client.expire("doc:1", SOON)
    before = dump(bench.client)
    assert bench.sweep().written == 1
    assert bench.client.execute_command("JSON.GET", "doc:1", "$.b.new") == b'["text"]'
    restored = bench.restore()
    assert restored.restored == 1
    found = dump(bench.client)
    assert json.loads(found[b"doc:1"][0]) == json.loads(before[b"doc:1"][0])
    assert found[b"doc:1"][1] == before[b"doc:1"][1]
    assert bench.restore().as_before == 1


def test_prefixes_move_back(new_bench: NewBench) -> None:
    """A document gets its old key unless there is another one by now."""
    bench = new_bench(rewrite_of(moves=(("doc:", "new:"),)))
    for number in range(3):
        bench.client.hset(f"doc:{number}", mapping={"t": "x"})
    bench.client.expire("doc:0", SOON)
    before = dump(bench.client)
    bench.sweep()
    assert dump(bench.client) == {}
    bench.client.hset("doc:1", "t", "newer")
    restored = bench.restore()
    assert (restored.restored, restored.newer) == (2, 1)
    assert dump(bench.client) == {**before, b"doc:1": ({b"t": b"newer"}, -1)}
    assert bench.client.hgetall("new:1") == {b"t": b"x"}


def test_a_sample_writes_nothing(new_bench: NewBench) -> None:
    """What would come of it is told, and no key is changed or added."""
    bench = new_bench(rewrite_of(vector_cast()))
    for number in range(4):
        bench.client.hset(f"doc:{number}", mapping={"v": wide(number)})
    bench.sweep()
    bench.client.hset("doc:1", "v", narrow(50))
    keys, before = sorted(bench.client.keys()), dump(bench.client)
    sampled = bench.restoring().sample(100)
    assert (sampled.restored, sampled.newer) == (3, 1)
    assert (sorted(bench.client.keys()), dump(bench.client)) == (keys, before)


def test_a_run_that_was_stopped_goes_on_and_leaves_no_note(new_bench: NewBench) -> None:
    """Stopped after any batch: the next run ends where an undisturbed one does."""
    bench = new_bench(rewrite_of(vector_cast()))
    for number in range(7):
        bench.client.hset(f"doc:{number}", mapping={"v": wide(number)})
    before = dump(bench.client)
    bench.sweep()
    bench.client.hset("doc:1", "v", wide(3))
    bench.sweep()
    for batches in range(4):
        with pytest.raises(StoppedError):
            bench.restore(batch_size=2, batches=batches)
    bench.restore()
    before[b"doc:1"] = ({b"v": wide(3)}, -1)
    assert dump(bench.client) == before
    forget_notes(bench.connection, "shop", bench.rewrite)
    assert [key for key in bench.client.scan_iter() if b":back:" in key] == []


def test_on_a_cluster_each_slot_gets_its_own_calls(
    cluster_server: EmbeddedServer, cluster_url: str, tmp_path: Path
) -> None:
    """Documents of many slots, and of one; nothing crosses slots."""
    with connected(cluster_server) as client:
        bench = open_bench(cluster_url, client, tmp_path, rewrite_of(vector_cast()))
        for number in range(300):
            client.hset(f"doc:{number}" if number % 2 else f"doc:{{same}}{number}", mapping={"v": wide(number)})
        before = dump(client)
        assert bench.sweep().written == 300
        bench.client.hset("doc:1", "v", wide(3))
        bench.sweep()
        assert bench.restore().restored == 300
        assert dump(client) == {**before, b"doc:1": ({b"v": wide(3)}, -1)}
        forget_notes(bench.connection, "shop", bench.rewrite)
        assert [key for key in client.scan_iter() if b":back:" in key] == []
        bench.connection.close()


def test_each_of_several_values_gets_its_own_original(new_bench: NewBench) -> None:
    """`$.vecs[*].e`, vectors that were shortened; what is beside them keeps its bytes."""
    several = FieldRewrite(
        field="e",
        reads=(Source(identifier="$.vecs[*].e", kind="vector", shape=VectorShape(datatype="float32", dims=4)),),
        steps=(Truncate(),),
        writes=Source(identifier="$.vecs[*].e", kind="vector", shape=VectorShape(datatype="float32", dims=2)),
        layout="length",
    )
    bench = new_bench(rewrite_of(several, storage="json"))
    text = '{"vecs":[{"e":[0.1,1.0,2.5,3.0],"n":1},{"e":[4.0,5.0,6.0,7e-7],"n":2}],"t":"x"}'
    bench.client.execute_command("JSON.SET", "doc:1", "$", text)
    before = dump(bench.client)
    assert bench.sweep().written == 1
    assert json.loads(bench.client.execute_command("JSON.GET", "doc:1", "$.vecs[*].e")) == [[0.1, 1.0], [4.0, 5.0]]
    assert (bench.restore().restored, dump(bench.client)) == (1, before)


@pytest.mark.parametrize(("before", "after"), [("hash", "json"), ("json", "hash")])
def test_documents_get_their_old_type_back(new_bench: NewBench, before: Literal["hash", "json"], after: str) -> None:
    """Whole documents with their expiry; one that was written since in the new type stays."""
    names = ("title", "n")
    fields = {
        "hash": (TextField(name="title", identifier="title"), NumericField(name="n", identifier="n")),
        "json": (TextField(name="title", identifier="$.title"), NumericField(name="n", identifier="$.n")),
    }
    definitions = {
        storage: IndexDefinition(storage=storage, prefixes=("doc:",), fields=fields[storage])  # type: ignore[arg-type]
        for storage in fields
    }
    bench = new_bench(rewrite_of(before=definitions[before], after=definitions[after]))
    values = dict(zip(names, ("some text", "2.5"), strict=True))
    for number in range(4):
        if before == "hash":
            bench.client.hset(f"doc:{number}", mapping=values)
        else:
            text = json.dumps({"title": "some text", "n": 2.5, "more": {"deep": [1, 2]}})
            bench.client.execute_command("JSON.SET", f"doc:{number}", "$", text)
    bench.client.expire("doc:0", SOON)
    there = dump(bench.client)
    assert bench.sweep().written == 4
    assert bench.client.type("doc:0") == {"json": b"ReJSON-RL", "hash": b"hash"}[after]
    if after == "hash":
        bench.client.hset("doc:1", "title", "newer")
    else:
        bench.client.execute_command("JSON.SET", "doc:1", "$.title", '"newer"')
    newer = content(bench.client, b"doc:1")
    bench.client.delete("doc:2")
    restored = bench.restore()
    assert (restored.restored, restored.newer, restored.gone) == (2, 1, 1)
    assert content(bench.client, b"doc:1") == newer
    found = dump(bench.client)
    assert {key: found[key] for key in (b"doc:0", b"doc:3")} == {key: there[key] for key in (b"doc:0", b"doc:3")}
    assert (bench.restore().as_before, dump(bench.client)) == (2, found)


def test_a_value_that_was_rewritten_again_does_not_hold_back_the_others(new_bench: NewBench) -> None:
    """One of two fields came again in the old layout while documents were rewritten: both go back."""
    bench = new_bench(rewrite_of(vector_cast("v"), vector_cast("w")))
    bench.client.hset("doc:1", mapping={"v": wide(1), "w": wide(2)})
    bench.sweep()
    bench.client.hset("doc:1", "v", wide(7))
    bench.sweep()
    restored = bench.restore()
    assert bench.client.hgetall("doc:1") == {b"v": wide(7), b"w": wide(2)}
    assert (restored.restored, restored.newer) == (1, 0)
