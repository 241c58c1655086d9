"""What the peer does to documents, each defect as a story: it loses, overwrites, resurrects; ours must not."""

from __future__ import annotations

import struct
import threading
import time
from typing import Any

import pytest
from document_shop import (
    COUNT,
    OTHERS,
    EndedError,
    assert_complete,
    configure,
    embedding,
    ends_while,
    figures,
    kept_beside,
    knn,
    load,
    meddling,
    narrow,
    recreate,
    served,
    vectors,
    wide,
)
from kit import Shop, numeric, operations, tag, text, vector
from observe import documents, index_facts

pytest_plugins = ("story_fixtures",)

HALVED = (*OTHERS, embedding("float16"))
MEDDLED = {"embedding": {"transform": ["own:meddle", "cast"]}}


def halved_with(shop: Shop, what: str, **settings: Any) -> dict[str, float]:
    """Halve all vectors while something is done to the documents between reading and writing."""
    served(shop)
    arm = meddling(shop, what)
    recreate(shop, fields=MEDDLED, **settings)
    shop.declare("products", *HALVED)
    return figures(shop.apply(on_event=arm))


@pytest.mark.requires("bfloat16_vectors")
def test_float32_becomes_bfloat16(any_shop: Shop) -> None:
    """D1: values are rounded to the nearest bfloat16, and the index answers over them."""
    served(any_shop)
    recreate(any_shop)
    any_shop.declare("products", *OTHERS, embedding("bfloat16"))
    any_shop.apply()
    blob = any_shop.client.hget("products:7", "embedding")
    # The upper half of a float32; these values need no rounding.
    expected = b"".join(struct.pack("<f", value)[2:] for value in struct.unpack("<4f", wide(7)))
    assert blob == expected
    assert knn(any_shop, blob) == [b"products:7"]
    assert any_shop.count() == COUNT
    assert_complete(any_shop)


def test_what_is_deleted_meanwhile_stays_deleted(any_shop: Shop) -> None:
    """D2, scenario 21: deleted, expired or replaced by another type between reading and writing: no stub comes back."""
    told = halved_with(
        any_shop,
        """
self.client.delete("products:1")
self.client.pexpire("products:2", 1)
while self.client.exists("products:2"):
    pass
self.client.delete("products:3")
self.client.set("products:3", "a string")
""",
    )
    assert [any_shop.client.exists(f"products:{number}") for number in (1, 2)] == [0, 0]
    assert any_shop.client.get("products:3") == b"a string"
    assert told["documents_written"] == COUNT - 3
    assert any_shop.count() == COUNT - 3
    assert_complete(any_shop)


def test_newer_writes_win(any_shop: Shop) -> None:
    """D3: what the application wrote between reading and writing stays, in the new layout; other fields as well."""
    told = halved_with(
        any_shop,
        f"""
self.client.hset("products:1", "embedding", {wide(101)!r})
self.client.hset("products:2", "embedding", {narrow(102)!r})
self.client.hset("products:3", "title", "another")
self.client.hset("products:new", mapping={{"title": "new", "embedding": {wide(103)!r}}})
""",
    )
    assert vectors(any_shop, 1, 2) == [narrow(101), narrow(102)]
    assert any_shop.client.hmget("products:3", "title", "embedding") == [b"another", narrow(3)]
    assert any_shop.client.hget("products:new", "embedding") == narrow(103)
    assert told["documents_written"] == COUNT
    assert any_shop.count() == COUNT + 1
    assert_complete(any_shop)


def test_a_computed_field_follows_newer_writes(shop: Shop) -> None:
    """D3: a field is computed from what is there when it is written, and one that the application wrote stays."""
    served(shop)
    arm = meddling(
        shop,
        """
self.client.hset("products:1", "title", "newer")
self.client.hset("products:2", "shown", "by the application")
self.client.delete("products:3")
""",
    )
    configure(shop, fields={"shown": {"transform": "own:meddle", "reads": ["title"]}})
    shop.declare("products", *OTHERS, embedding(), text("shown"))
    shop.apply(on_event=arm)
    assert [shop.client.hget(f"products:{number}", "shown") for number in (0, 1, 2, 3)] == [
        b"shoe 0",
        b"newer",
        b"by the application",
        None,
    ]
    assert shop.count("@shown:shoe") == COUNT - 3
    assert not shop.client.exists("products:3")
    assert_complete(shop)


def test_expiries_are_kept(any_shop: Shop) -> None:
    """D4, scenario 22: of keys and of fields, of the vector itself and of others, to the millisecond."""
    client, at = any_shop.client, 4_102_444_800_123
    load(any_shop)
    any_shop.declare("products", *OTHERS, embedding())
    any_shop.apply()
    client.pexpireat("products:1", at)
    client.hpexpireat("products:2", at + 1, "embedding")
    client.hpexpireat("products:3", at + 2, "title")
    client.pexpireat("products:4", at + 3)
    client.hpexpireat("products:4", at - 4, "embedding", "title")

    def expiries() -> list[Any]:
        keys = [f"products:{number}" for number in range(6)]
        fields = ("embedding", "title", "price")
        return [(client.pexpiretime(key), client.hpexpiretime(key, *fields)) for key in keys]

    before = expiries()
    recreate(any_shop, fields={"shown": {"transform": "copy", "reads": ["title"]}})
    any_shop.declare("products", *HALVED, text("shown"))
    any_shop.apply()
    assert vectors(any_shop, *range(6)) == [narrow(number) for number in range(6)]
    assert expiries() == before
    assert_complete(any_shop)


def test_documents_vanish_while_they_move(shop: Shop) -> None:
    """D10: keys that expire in the middle of a prefix move are gone, no more; the rest has moved, each once."""
    served(shop, count=120)
    for number in range(0, 120, 3):
        shop.client.pexpire(f"products:{number}", 300 + 10 * number)
    recreate(shop, batch_size=10, max_docs_per_second=150)
    shop.declare("products", *OTHERS, embedding(), prefix="goods:")
    shop.apply()
    time.sleep(0.01)
    assert shop.client.exists(*[f"goods:{number}" for number in range(120)]) == 80
    assert list(shop.client.scan_iter("products:*")) == []
    assert vectors(shop, 1, 119, prefix="goods:") == [wide(1), wide(119)]
    assert shop.count() == 80
    assert_complete(shop)


def test_a_resumed_change_knows_the_renamed_fields(shop: Shop) -> None:
    """D12: interrupted in the middle of a rename and a cast, gone on with by other batches: every document is whole."""
    served(shop, count=120)
    fields = {"headline": {"renamed_from": "title"}}
    recreate(shop, fields=fields, batch_size=10, max_docs_per_second=300)
    shop.declare("products", text("headline"), *OTHERS[1:], embedding("float16"))
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_while("rewriting", after=30))
    done = sum(shop.client.hexists(f"products:{number}", "headline") for number in range(120))
    assert 0 < done < 120
    recreate(shop, fields=fields, batch_size=33)
    shop.apply()
    for number in range(120):
        assert shop.client.hgetall(f"products:{number}") == {
            b"headline": f"shoe {number}".encode(),
            b"category": b"ab"[number % 2 : number % 2 + 1],
            b"price": str(number).encode(),
            b"embedding": narrow(number),
        }
    assert shop.count("@headline:shoe") == 120
    assert_complete(shop)


def test_a_default_client_of_resp3_and_the_keys_of_others(shop: Shop) -> None:
    """D17: over RESP3, which redis-py 8 speaks by default; keys beside the prefix are nobody's business."""
    served(shop)
    for number in range(20):
        shop.client.hset(f"product:{number}", mapping={"embedding": wide(number)})
        shop.client.hset(f"xproducts:{number}", mapping={"embedding": wide(number)})
    others = {key: value for key, value in documents(shop.client).items() if not key.startswith(b"products:")}
    recreate(shop)
    shop.declare("products", *HALVED)
    mark = "&" if "?" in shop.url else "?"
    with shop.project(redis_url=f"{shop.url}{mark}protocol=3") as project:
        project.apply()
    after = documents(shop.client)
    assert {key: value for key, value in after.items() if not key.startswith(b"products:")} == others
    assert vectors(shop, 0, 59) == [narrow(0), narrow(59)]
    assert_complete(shop)


@pytest.mark.requires("int8_vectors")
def test_the_scale_of_integers_is_recorded_and_shown(shop: Shop) -> None:
    """D18, scenario 30: one scale for all vectors, from a sample; in the plan, in the state, and obeyed."""
    served(shop)
    recreate(shop)
    shop.declare("products", *OTHERS, embedding("int8"))
    plan = shop.plan()
    (scale,) = (float(note.split("integer x ")[1].split(";")[0]) for note in plan.indexes[0].notes if "integer" in note)
    shop.apply()
    record = shop.state().record("products")
    assert record is not None
    (name, recorded), *others = record.scales
    assert (name, others) == ("embedding", [])
    assert recorded == pytest.approx(scale, rel=1e-5)
    for number in (0, 7, 59):
        values = struct.unpack("<4f", wide(number))
        assert vectors(shop, number) == [struct.pack("<4b", *(round(value / recorded) for value in values))]
    assert knn(shop, vectors(shop, 7)[0] or b"") == [b"products:7"]
    assert_complete(shop)


def test_hidden_and_visible_attributes_are_restored(shop: Shop) -> None:
    """D5 to D8: names, synonyms, filter, language, score, phonetic matcher, EF_RUNTIME and the like, after recreate."""
    definition = {"filter": "@price >= 0", "language": "german", "score": 0.5, "language_field": "lang"}
    settings = {"definition": definition, "aliases": ["wares", "goods"]}
    fields = (text("title", phonetic_matcher="dm:en", weight=2.0), tag("category", separator="|"), numeric("price"))
    graph = vector("embedding", ef_runtime=77, epsilon=0.2, initial_cap=500, m=8)
    configure(shop, **settings)
    served(shop, *fields, graph)
    for group, terms in (("g1", ("schuh", "sneaker")), ("g2", ("schuh", "boot"))):
        shop.client.execute_command("FT.SYNUPDATE", "products", group, *terms)
    shop.apply()
    before, known = index_facts(shop.client, "products"), shop.state().record("products")
    recreate(shop, **settings)
    shop.declare("products", *fields, {**graph, "attrs": {**graph["attrs"], "datatype": "float16"}})
    shop.apply()
    after, record = index_facts(shop.client, "products"), shop.state().record("products")
    assert after == {
        **before,
        "physical": "products@2",
        "attributes": [["FLOAT16" if word == "FLOAT32" else word for word in item] for item in before["attributes"]],
    }
    assert known is not None
    assert record is not None
    assert str(record.definition) == str(known.definition).replace("float32", "float16")
    assert {shop.count(name=name) for name in ("products", "wares", "goods")} == {COUNT}
    assert_complete(shop)


def test_writers_of_the_old_layout_all_the_while(any_shop: Shop) -> None:
    """D2, D3, scenario 20: update, insert, delete at full speed from two threads: every write is found converted."""
    served(any_shop)
    recreate(any_shop)
    any_shop.configure(policy={**any_shop.settings["policy"], "settle": "100ms"})
    any_shop.declare("products", *HALVED)
    over = threading.Event()
    written: list[dict[str, float | None]] = [{}, {}]
    threads = [threading.Thread(target=_write, args=(any_shop, mine, over, at)) for at, mine in enumerate(written)]
    for thread in threads:
        thread.start()

    def stop_when_it_settles(event: Any) -> None:
        if getattr(event, "operation", "") == "settle_documents":
            threading.Timer(0.3, over.set).start()

    try:
        any_shop.apply(on_event=stop_when_it_settles)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    last = written[0] | written[1]
    assert len(last) > COUNT
    stored = {key: any_shop.client.hget(key, "embedding") for key in last}
    expected = {key: None if number is None else narrow(number) for key, number in last.items()}
    assert stored == expected
    assert kept_beside(any_shop) == []
    alive = sum(number is not None for number in last.values()) + sum(f"products:{n}" not in last for n in range(COUNT))
    assert any_shop.count() == alive
    any_shop.assert_settled()


def _write(shop: Shop, mine: dict[str, float | None], over: threading.Event, at: int) -> None:
    """70 updates, 20 insertions, 10 deletions of 100; each key is one thread's; at most 1,000 a second."""
    import random

    import redis

    chance, inserted = random.Random(at), 0
    with redis.from_url(shop.url.replace("redis+cluster", "redis")) as client:
        while not over.is_set():
            kind, number = chance.random(), float(chance.randrange(500))
            key = f"products:{chance.randrange(at, COUNT, 2)}"
            if kind < 0.2:
                inserted += 1
                key = f"products:{at}-{inserted}"
            if kind > 0.9:
                client.delete(key)
                mine[key] = None
            else:
                client.hset(key, mapping={"title": "written", "price": 1, "embedding": wide(number)})
                mine[key] = number
            over.wait(0.001)


def test_steps_of_a_recreate(shop: Shop) -> None:
    """Everything that can fail comes before the drop; the drop comes before the first write."""
    served(shop)
    recreate(shop)
    shop.declare("products", *HALVED)
    assert operations(shop.plan()) == [
        *("rehearse_rewrite", "drop_index", "rewrite_documents", "create_index", "await_build", "point_alias"),
        *("verify_index", "settle_documents"),
    ]
