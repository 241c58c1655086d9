"""Stories of documents that change, told through the whole tool: backfills, recreates, keys of all kinds, JSON."""

from __future__ import annotations

import struct
import threading
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
    knn,
    load,
    narrow,
    own_code,
    recreate,
    served,
    vectors,
    wide,
)
from kit import Shop, numeric, operations, summaries, tag, text
from observe import asking, documents, eventually

pytest_plugins = ("story_fixtures",)

BACKFILL = ["rehearse_rewrite", "rewrite_documents", "add_fields", "settle_documents"]


def test_a_field_is_filled_in_under_a_live_index(any_shop: Shop) -> None:
    """Scenario 15 for documents: written, then one FT.ALTER; who asks meanwhile gets every answer."""
    served(any_shop)
    fields = {
        "shown": {"transform": {"join": " / "}, "reads": ["category", "title"]},
        "kind": {"transform": {"constant": "shoe"}},
        "cost": {"transform": ["text", "number"], "reads": ["price"]},
    }
    configure(any_shop, fields=fields)
    any_shop.declare("products", *OTHERS, embedding(), text("shown"), tag("kind"), numeric("cost"))
    assert operations(any_shop.plan()) == BACKFILL
    with asking(any_shop.url.replace("redis+cluster", "redis"), "products") as answers:
        any_shop.apply()
        over = len(answers) + 20
        eventually(lambda: len(answers) > over)
    assert set(answers) == {COUNT}
    assert any_shop.client.hmget("products:3", "shown", "kind", "cost") == [b"b / shoe 3", b"shoe", b"3"]
    assert any_shop.count("@kind:{shoe} @cost:[3 3] @shown:shoe") == 1
    assert_complete(any_shop)


def test_a_backfill_obeys_the_filter(shop: Shop) -> None:
    """Scenario 25: documents that the index does not hold are not touched."""
    definition = {"filter": "@price >= 45"}
    configure(shop, definition=definition)
    served(shop)
    before = documents(shop.client)
    configure(shop, definition=definition, fields={"kind": {"transform": {"constant": "shoe"}}})
    shop.declare("products", *OTHERS, embedding(), tag("kind"))
    shop.apply()
    after = documents(shop.client)
    assert {key for key in before if after[key] != before[key]} == {f"products:{at}".encode() for at in range(45, 60)}
    assert shop.count("@kind:{shoe}") == 15
    assert_complete(shop)


def test_a_backfill_and_a_weight_are_one_build(shop: Shop) -> None:
    """What needs a build anyway gets its new field by it, and search by name never fails."""
    served(shop)
    configure(shop, fields={"kind": {"transform": {"constant": "shoe"}}})
    shop.declare("products", text("title", weight=2.0), *OTHERS[1:], embedding(), tag("kind"))
    assert [name for name in operations(shop.plan()) if name in ("create_index", "add_fields")] == ["create_index"]
    with asking(shop.url, "products") as answers:
        shop.apply()
    assert set(answers) == {COUNT}
    assert shop.count("@kind:{shoe}") == COUNT
    assert_complete(shop)


def test_values_of_all_kinds_in_one_recreate(any_shop: Shop) -> None:
    """Parts, numbers, lower case, places, shorter and normalised vectors, a field less, another renamed."""
    client = any_shop.client
    for number in range(COUNT):
        fields: dict[str, Any] = {
            "name": f"Doe, Jo{number}",
            "price": f"{number}.50",
            "kind": "BIG",
            "at": f"47.5,{number}",
            "old": "x",
        }
        client.hset(f"products:{number}", mapping={**fields, "embedding": struct.pack("<4f", 3, 4, number, 1)})
    any_shop.declare("products", text("name"), text("price"), tag("kind"), text("old"), embedding())
    any_shop.apply()
    fields = {
        "surname": {"transform": {"split": {"separator": ", ", "part": 0}}, "reads": ["name"]},
        "price": {"transform": "number"},
        "kind": {"transform": {"tag": {"lower": True}}, "version": 1},
        "place": {"transform": {"geo": {"order": "lat-lon"}}, "reads": ["at"]},
        "embedding": {"transform": ["truncate", "normalize"]},
        "old": {"transform": "drop"},
        "full": {"renamed_from": "name"},
    }
    recreate(any_shop, fields=fields)
    geo = {"name": "place", "type": "geo"}
    any_shop.declare("products", text("full"), text("surname"), numeric("price"), tag("kind"), geo, embedding(dims=2))
    any_shop.apply()
    stored = client.hgetall("products:7")
    assert struct.unpack("<2f", stored.pop(b"embedding")) == pytest.approx((0.6, 0.8))
    assert stored == {
        b"full": b"Doe, Jo7",
        b"surname": b"Doe",
        b"price": b"7.5",
        b"kind": b"big",
        b"place": b"7,47.5",
        b"at": b"47.5,7",
    }
    assert any_shop.count("@surname:doe @kind:{big} @price:[7.5 7.5] @place:[7 47.5 1 km]") == 1
    assert_complete(any_shop)


def test_a_place_on_earth_is_told_from_a_bad_row(shop: Shop) -> None:
    """Scenario 23: coordinates that no place has are listed, not written."""
    load(shop)
    shop.client.hset("products:1", "title", "47.5,700")
    shop.declare("products", text("title"))
    shop.apply()
    configure(shop, max_bad_rows=COUNT, fields={"place": {"transform": {"geo": "lat-lon"}, "reads": ["title"]}})
    shop.declare("products", text("title"), {"name": "place", "type": "geo"})
    assert figures(shop.apply())["documents_bad"] == COUNT
    assert not shop.client.hexists("products:1", "place")


WEIRD = (
    *(b"products:{a}b}", b"products:with space", b"products:*?[x]", b"products:new\nline", b"products:\xff\xfe\x00"),
    *(b"products:", b"products:" + b"k" * 4096, "products:äöü€".encode(), b"products:{}", b"products:%s%d"),
)


def test_any_bytes_make_a_key(any_shop: Shop) -> None:
    """Scenario 28: braces, spaces, wildcards, a newline, bytes that are no text, 4 KB: the exact key is written."""
    for number, key in enumerate(WEIRD):
        any_shop.client.hset(key, mapping={"title": "shoe", "embedding": wide(number)})
    any_shop.declare("products", text("title"), embedding())
    any_shop.apply()
    recreate(any_shop, fields={"headline": {"renamed_from": "title"}})
    any_shop.declare("products", text("headline"), embedding("float16"))
    any_shop.apply()
    assert {key: any_shop.client.hgetall(key) for key in WEIRD} == {
        key: {b"headline": b"shoe", b"embedding": narrow(number)} for number, key in enumerate(WEIRD)
    }
    ours = (b"{rvlstate:", b"rvlstate:")
    assert sorted(key for key in any_shop.client.scan_iter() if not key.startswith(ours)) == sorted(WEIRD)
    assert_complete(any_shop)


def test_an_empty_prefix_takes_every_document_and_nothing_of_ours(shop: Shop) -> None:
    """Scenario 27: the state, the lock, digests and reports are neither converted nor indexed."""
    load(shop)
    load(shop, 5, prefix="other/")
    shop.declare("products", *OTHERS, embedding(), prefix="")
    shop.apply()
    recreate(shop, fields={"headline": {"renamed_from": "title"}})
    shop.declare("products", text("headline"), *OTHERS[1:], embedding("float16"), prefix="")
    told = figures(shop.apply())
    assert told["documents_written"] == shop.count("@headline:shoe") == COUNT + 5
    assert shop.count() == COUNT + 5
    assert vectors(shop, 4, prefix="other/") == [narrow(4)]
    assert_complete(shop)


def test_overlapping_prefixes_change_each_document_once(any_shop: Shop) -> None:
    """Scenario 27: `doc`, `doc:` and `doc:v2:`; the transform adds one, and every value has one more."""
    for key in ("doc:1", "doc:v2:1", "document", "doc:v2:x:y"):
        any_shop.client.hset(key, mapping={"price": 5, "title": "shoe"})
    prefixes = ["doc", "doc:", "doc:v2:"]
    any_shop.declare("products", numeric("price"), text("title"), prefix=prefixes)
    any_shop.apply()
    own_code(any_shop, "def add(prices):\n    return [int(price) + 1 for price in prices]\n")
    recreate(any_shop, fields={"price": {"transform": "own:add", "version": 1}})
    any_shop.apply()
    prices = [any_shop.client.hget(key, "price") for key in ("doc:1", "doc:v2:1", "document", "doc:v2:x:y")]
    assert prices == [b"6"] * 4
    assert_complete(any_shop)


def test_documents_move_to_another_prefix_and_back(shop: Shop) -> None:
    """Scenario 27: each document moves once, with its expiry, while its vector changes; and the way back is as good."""
    load(shop, prefix="doc:")
    shop.client.expire("doc:3", 100_000)
    shop.declare("products", *OTHERS, embedding(), prefix="doc:")
    shop.apply()
    recreate(shop)
    shop.declare("products", *OTHERS, embedding("float16"), prefix="doc2:")
    shop.apply()
    assert sorted(shop.client.scan_iter("doc*")) == sorted(f"doc2:{number}".encode() for number in range(COUNT))
    assert vectors(shop, 0, 59, prefix="doc2:") == [narrow(0), narrow(59)]
    assert 0 < shop.client.ttl("doc2:3") <= 100_000
    assert shop.count() == COUNT
    assert_complete(shop)
    shop.declare("products", *OTHERS, embedding(), prefix="doc:")
    shop.apply()
    assert vectors(shop, 0, 59, prefix="doc:") == [wide(0), wide(59)]
    assert shop.count() == COUNT
    assert_complete(shop)


def test_a_prefix_below_the_old_one_moves_nothing(shop: Shop) -> None:
    """Scenario 27: `doc:` -> `doc:v2:` means fewer documents, and says so: no key is renamed, whatever it is called."""
    load(shop, prefix="doc:")
    load(shop, 5, prefix="doc:v2:")
    shop.declare("products", *OTHERS, embedding(), prefix="doc:")
    shop.apply()
    before = documents(shop.client)
    recreate(shop)
    shop.declare("products", *OTHERS, embedding(), prefix="doc:v2:")
    (change,) = shop.plan().indexes[0].changes
    assert change.reason.startswith("fewer documents are indexed, none moves")
    shop.apply()
    assert documents(shop.client) == before
    assert shop.count() == 5
    assert_complete(shop)


@pytest.mark.requires("bfloat16_vectors")
def test_a_cast_of_the_same_width_is_done_once(any_shop: Shop) -> None:
    """Scenario 29: float16 -> bfloat16, stopped in the middle, gone on with in other batches: converted once each."""
    served(any_shop, *OTHERS, embedding("float16"), form="e", count=120)
    recreate(any_shop, batch_size=10, max_docs_per_second=300)
    any_shop.declare("products", *OTHERS, embedding("bfloat16"))
    with pytest.raises(EndedError):
        any_shop.apply(on_event=ends_while("rewriting", after=30))
    expected = [struct.pack("<4f", *struct.unpack("<4e", narrow(number))) for number in range(120)]
    expected = [b"".join(blob[at + 2 : at + 4] for at in range(0, 16, 4)) for blob in expected]
    halfway = vectors(any_shop, *range(120))
    assert 0 < sum(one == other for one, other in zip(halfway, expected, strict=True)) < 120
    recreate(any_shop, batch_size=7)
    any_shop.apply()
    assert vectors(any_shop, *range(120)) == expected
    assert knn(any_shop, expected[7]) == [b"products:7"]
    assert_complete(any_shop)


def test_only_what_the_transform_reads_is_read(shop: Shop) -> None:
    """Scenario 32: documents of 20 KB, of which a vector of 16 bytes is read and one of 8 is written."""
    load(shop)
    for number in range(COUNT):
        shop.client.hset(f"products:{number}", "body", "x" * 20_000)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    recreate(shop)
    shop.declare("products", *OTHERS, embedding("float16"))
    told = figures(shop.apply())
    assert told["bytes_read"] == COUNT * 16
    assert told["bytes_written"] == COUNT * 8
    assert shop.client.hstrlen("products:1", "body") == 20_000


def test_a_raised_version_computes_values_once_more(shop: Shop) -> None:
    """Stopped in the middle and gone on with: each version adds one, once; what comes later is added to as well."""
    served(shop, count=120)
    own_code(shop, "def add(prices):\n    return [int(price) + 1000 for price in prices]\n")
    settings = {"fields": {"price": {"transform": "own:add", "version": 1}}}
    recreate(shop, **settings, batch_size=10, max_docs_per_second=300)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_while("rewriting", after=30))
    recreate(shop, **settings)
    shop.apply()
    assert [shop.client.hget(f"products:{number}", "price") for number in range(120)] == [
        str(number + 1000).encode() for number in range(120)
    ]
    assert shop.plan().empty
    settings["fields"]["price"]["version"] = 2
    recreate(shop, **settings)
    assert any("price by own:add" in line for line in summaries(shop.plan()))
    shop.apply()
    assert shop.client.hget("products:7", "price") == b"2007"
    assert_complete(shop)


def test_late_writers_are_waited_for(shop: Shop) -> None:
    """A rolling deployment: what the old program writes after the index serves again is converted, and then it ends."""
    served(shop)
    recreate(shop)
    shop.configure(policy={**shop.settings["policy"], "settle": "300ms"})
    shop.declare("products", *OTHERS, embedding("float16"))
    over = threading.Event()

    def write() -> None:
        import redis

        with redis.from_url(shop.url) as client:
            for number in range(10):
                client.hset("products:late", mapping={"title": "late", "embedding": wide(number)})
                over.wait(0.05)

    writer = threading.Thread(target=write)

    def begin(event: Any) -> None:
        if getattr(event, "operation", "") == "settle_documents":
            writer.start()

    report = shop.apply(on_event=begin)
    writer.join()
    assert shop.client.hget("products:late", "embedding") == narrow(9)
    assert figures(report, "settle")["documents_written"] >= 1
    assert shop.count("late") == 1
    assert_complete(shop)
