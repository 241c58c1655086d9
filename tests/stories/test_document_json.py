"""Stories of JSON documents that change, and of hashes that become JSON."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from document_shop import (
    COUNT,
    OTHERS,
    assert_complete,
    configure,
    embedding,
    figures,
    get_json,
    knn,
    put_json,
    recreate,
    served,
    wide,
)
from kit import Shop, operations, tag, text, vector

pytest_plugins = ("story_fixtures",)

BACKFILL = ["rehearse_rewrite", "rewrite_documents", "add_fields", "settle_documents"]


def json_shop(shop: Shop) -> list[Any]:
    """Documents of JSON with nested things and several vectors, behind an index; the documents."""
    made: list[Any] = [
        {
            "title": f"shoe {number}",
            "deep": {"old": {"name": f"n{number}", "kept": [0.1, {"x": None}]}, "é": "ü"},
            "embedding": [number, 0.5, -1, 2],
            "views": [{"v": [number, 1, 2, 3], "by": "a"}, {"v": [4, 5, 6, number]}],
            "tags": ["a", "b"],
        }
        for number in range(COUNT)
    ]
    del made[1]["embedding"], made[2]["deep"]["old"]["name"]
    made[3]["views"] = []
    for number, document in enumerate(made):
        put_json(shop, f"products:{number}", document)
    shop.declare("products", *json_fields(name="$.deep.old.name", dims=4), storage_type="json")
    shop.apply()
    return made


def json_fields(*, name: str, dims: int) -> tuple[dict[str, Any], ...]:
    """The fields of these documents."""
    views = vector("views", algorithm="flat", dims=dims, path="$.views[*].v")
    one = embedding(dims=dims, path="$.embedding")
    return (text("title", path="$.title"), tag("name", path=name), one, views)


@pytest.mark.requires("json")
def test_json_paths_change_and_their_siblings_do_not(any_shop: Shop) -> None:
    """Scenario 31: arrays truncated, several of one document too, a nested path renamed, missing ones left missing."""
    made = json_shop(any_shop)
    fields = {
        "embedding": {"transform": "truncate"},
        "views": {"transform": "truncate"},
        "label": {"renamed_from": "name"},
    }
    siblings = ("$.title", "$.deep.old.kept", '$.deep["é"]', "$.tags", "$.views[*].by")

    def kept() -> list[bytes]:
        get = any_shop.client.execute_command
        return [get("JSON.GET", f"products:{at}", path) for at in range(COUNT) for path in siblings]

    before = kept()
    recreate(any_shop, fields=fields)
    title, _, *both = json_fields(name="", dims=2)
    any_shop.declare("products", title, tag("label", path="$.deep.new.name"), *both, storage_type="json")
    report = any_shop.apply()
    assert figures(report)["documents_bad"] == 0
    assert kept() == before
    for number, document in enumerate(made):
        if "embedding" in document:
            document["embedding"] = document["embedding"][:2]
        for view in document["views"]:
            view["v"] = view["v"][:2]
        if "name" in document["deep"]["old"]:
            document["deep"]["new"] = {"name": document["deep"]["old"].pop("name")}
        assert get_json(any_shop, f"products:{number}") == document
    assert any_shop.count("@label:{n7}") == 1
    assert knn(any_shop, struct.pack("<2f", 7, 0.5)) == [b"products:7"]
    assert_complete(any_shop)


@pytest.mark.requires("json")
def test_a_new_path_is_filled_in_under_a_live_index(any_shop: Shop) -> None:
    """A backfill on JSON: objects on the way are made, what is there already stays."""
    made = json_shop(any_shop)
    any_shop.client.execute_command("JSON.SET", "products:5", "$.shown", json.dumps({"as": "mine"}))
    configure(any_shop, fields={"shown": {"transform": "copy", "reads": ["title"]}})
    fields = json_fields(name="$.deep.old.name", dims=4)
    any_shop.declare("products", *fields, text("shown", path="$.shown.as"), storage_type="json")
    assert operations(any_shop.plan()) == BACKFILL
    any_shop.apply()
    assert get_json(any_shop, "products:6") == {**made[6], "shown": {"as": "shoe 6"}}
    assert get_json(any_shop, "products:5")["shown"] == {"as": "mine"}
    assert any_shop.count("@shown:shoe") == COUNT - 1
    assert_complete(any_shop)


@pytest.mark.requires("json")
def test_hashes_become_json_and_hashes_again(any_shop: Shop) -> None:
    """Each document turns into the other type with its expiry and with what the index does not know, and back."""
    served(any_shop)
    any_shop.client.hset("products:1", "more", "kept")
    any_shop.client.expire("products:2", 100_000)
    before = {number: any_shop.client.hgetall(f"products:{number}") for number in range(COUNT)}
    recreate(any_shop)
    paths = [{**item, "path": f"$.{item['name']}"} for item in (*OTHERS, embedding())]
    any_shop.declare("products", *paths, storage_type="json")
    any_shop.apply()
    assert get_json(any_shop, "products:1") == {
        "title": "shoe 1",
        "category": "b",
        "price": 1,
        "embedding": [1, 1.25, -1, 1],
        "more": "kept",
    }
    assert any_shop.count("@price:[1 1] @category:{b}") == 1
    assert knn(any_shop, wide(9)) == [b"products:9"]
    assert_complete(any_shop)
    any_shop.declare("products", *OTHERS, embedding())
    any_shop.apply()
    assert {number: any_shop.client.hgetall(f"products:{number}") for number in range(COUNT)} == before
    assert 0 < any_shop.client.ttl("products:2") <= 100_000
    assert any_shop.count() == COUNT
    assert_complete(any_shop)
