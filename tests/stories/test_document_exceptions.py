"""Stories of documents that cannot or must not be changed: malformed ones, excluded ones, those of a sibling."""

from __future__ import annotations

import struct

import pytest
from document_shop import (
    COUNT,
    OTHERS,
    assert_complete,
    configure,
    embedding,
    figures,
    kept_beside,
    load,
    narrow,
    recreate,
    served,
    vectors,
)
from kit import Shop, numeric, operations, text, vector
from observe import documents

from rvlstate.errors import ChangeRefusedError, GateFailedError

pytest_plugins = ("story_fixtures",)

HALVED = (*OTHERS, embedding("float16"))


BAD = {
    1: (b"12345", "5 bytes"),
    2: (struct.pack("<4f", 1, float("nan"), 3, 4), "NaN"),
    3: (struct.pack("<4f", 1, float("inf"), 3, 4), "infini"),
    4: (struct.pack("<4f", 1, 1e6, 3, 4), "float16"),
    5: (b"", "0 bytes"),
    6: (struct.pack("<3f", 1, 2, 3), "12 bytes"),
}


def with_bad_rows(shop: Shop) -> dict[bytes, str]:
    """An index over documents of which some are malformed, and one has no vector; all as they are."""
    load(shop)
    for number, (blob, _) in BAD.items():
        shop.client.hset(f"products:{number}", "embedding", blob)
    shop.client.hdel("products:7", "embedding")
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    shop.declare("products", *HALVED)
    return documents(shop.client)


def test_malformed_vectors_are_found_before_the_drop(any_shop: Shop) -> None:
    """D9, D18, scenario 23: refused with count, keys and reasons; the index serves, no document is touched."""
    before = with_bad_rows(any_shop)
    recreate(any_shop)
    plan = any_shop.plan()
    notes = " ".join(plan.indexes[0].notes)
    assert f"{len(BAD)} of {COUNT} sampled documents cannot be transformed" in notes
    found = any_shop.count()
    with pytest.raises(GateFailedError, match=f"{len(BAD)} of {COUNT} documents cannot be transformed") as caught:
        any_shop.apply()
    assert "products:" in caught.value.why
    assert "and 1 more" in caught.value.why
    assert caught.value.exit_code == 3
    assert documents(any_shop.client) == before
    assert "drop_index" in operations(any_shop.plan())
    assert any_shop.count() == found
    assert any_shop.state().rewrites == ()
    assert kept_beside(any_shop) == []


def test_malformed_vectors_that_are_accepted_are_left_and_listed(
    any_shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """D9, scenario 23: with max_bad_rows the rest goes on; what is malformed stays as it is, listed in the history."""
    before = with_bad_rows(any_shop)
    recreate(any_shop, max_bad_rows=len(BAD))
    report = any_shop.apply()
    after = documents(any_shop.client)
    left = {f"products:{number}".encode() for number in (*BAD, 7)}
    assert {key for key in before if after[key] == before[key]} == left
    assert vectors(any_shop, 0, 8, 59) == [narrow(0), narrow(8), narrow(59)]
    assert figures(report)["documents_bad"] == len(BAD)
    from rvlstate.cli.main import run

    capsys.readouterr()
    assert run(any_shop.arguments("history", report.run)) == 0
    history = capsys.readouterr().out
    for number, (_, reason) in BAD.items():
        line = next(line for line in history.splitlines() if f"products:{number} " in f"{line} ".replace(":  ", " "))
        assert reason in line
    assert any_shop.count() == COUNT - len(BAD)
    assert_complete(any_shop)


def test_text_that_is_no_number_is_a_bad_row(shop: Shop) -> None:
    """Scenario 23: "nan", "inf" and words where a number is to be made of a text."""
    load(shop)
    for number, word in enumerate(("nan", "inf", "-Infinity", "cheap", "")):
        shop.client.hset(f"products:{number}", "price", word)
    shop.declare("products", text("title"))
    shop.apply()
    shop.declare("products", text("title"), numeric("cost"))
    fields = {"cost": {"transform": "number", "reads": ["price"]}}
    configure(shop, fields=fields)
    with pytest.raises(GateFailedError, match=r"\d of 60 documents cannot be transformed"):
        shop.apply()
    configure(shop, fields=fields, max_bad_rows=5)
    bad = figures(shop.apply())["documents_bad"]
    assert shop.client.hexists("products:0", "cost") is False
    assert shop.count("@cost:[0 100]") == COUNT - 5
    assert bad in (4, 5)
    assert_complete(shop)


def test_a_sibling_that_would_lose_its_documents_refuses(any_shop: Shop) -> None:
    """D14, scenario 26: another index reads the same vectors: the plan names it, and nothing is done."""
    load(any_shop)
    any_shop.declare("products", *OTHERS, embedding())
    any_shop.declare("sibling", vector("embedding"), prefix="products:")
    any_shop.apply()
    assert any_shop.count(name="sibling") == COUNT
    before = documents(any_shop.client)
    recreate(any_shop)
    any_shop.declare("products", *HALVED)
    with pytest.raises(ChangeRefusedError, match=r"sibling\}?@1 reads the same ones"):
        any_shop.apply()
    assert (any_shop.count(name="sibling"), any_shop.count()) == (COUNT, COUNT)
    assert documents(any_shop.client) == before


def test_a_sibling_over_other_fields_is_not_disturbed(any_shop: Shop) -> None:
    """Scenario 26: a new field beside, and one that the sibling does not read: it keeps every document."""
    load(any_shop)
    any_shop.declare("products", *OTHERS, embedding())
    any_shop.declare("sibling", text("title"), numeric("price"), prefix="products:")
    any_shop.apply()
    recreate(any_shop)
    any_shop.declare("products", *HALVED)
    any_shop.apply()
    assert any_shop.count(name="sibling") == any_shop.count() == COUNT
    assert_complete(any_shop)


def test_what_the_filter_leaves_out_is_left_alone(any_shop: Shop) -> None:
    """D15, scenarios 24, 25: most documents do not qualify, some keys are of other types; all stay byte-identical."""
    client = any_shop.client
    definition = {"definition": {"filter": "@price >= 45"}}
    configure(any_shop, **definition)
    served(any_shop)
    client.set("products:counter", 5)
    client.xadd("products:stream", {"a": 1})
    client.rpush("products:list", "a")
    client.execute_command("JSON.SET", "products:json", "$", '{"price": 50, "embedding": [1, 2, 3, 4]}')
    before = documents(client)
    recreate(any_shop, **definition)
    any_shop.declare("products", *HALVED)
    told = figures(any_shop.apply())
    assert (told["documents_seen"], told["documents_written"]) == (64, 15)
    assert told["documents_excluded"] + told["keys_of_other_types"] == 49
    after = documents(client)
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {f"products:{number}".encode() for number in range(45, 60)}
    assert any_shop.count() == 15
    assert_complete(any_shop)
