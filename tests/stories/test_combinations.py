"""Combinations of changes and settings that met nobody before: what a field is made from changes too, and the like."""

from __future__ import annotations

from typing import Any

import pytest
from document_shop import (
    ALLOWED,
    OTHERS,
    EndedError,
    assert_complete,
    embedding,
    ends_at,
    get_json,
    load,
    narrow,
    own_code,
    put_json,
    wide,
)
from kit import FieldSpec, Shop, tag, text, vector
from observe import live_names, resolves_to

from rvlstate.errors import ChangeRefusedError

pytest_plugins = ("story_fixtures",)

COUNT = 12
SHORT = vector("short", algorithm="flat", dims=2)
SHORTENED: dict[str, Any] = {"short": {"transform": "truncate", "reads": ["embedding"]}}
strategies = pytest.mark.parametrize("strategy", ["auto", "recreate"])


def served(shop: Shop, *fields: FieldSpec) -> None:
    """Documents of which some expire, behind an index."""
    load(shop, COUNT)
    shop.client.hpexpireat("products:4", 4_102_444_800_001, "title", "price")
    own_code(shop, "def pair(one, other):\n    return [f'{a}/{b}' for a, b in zip(one, other)]\n")
    shop.configure(policy={"settle": "0s", "allow": list(ALLOWED)})
    shop.declare("products", *(fields or (*OTHERS, embedding())))
    shop.apply()


def settings(shop: Shop, strategy: str, fields: dict[str, Any], **more: Any) -> None:
    """How the fields of products come about."""
    shop.configure(indexes={"products": {"strategy": strategy, "batch_size": 5, "fields": fields, **more}})


def applied_in_pieces(shop: Shop) -> None:
    """Apply; each run is cut short at another step, until one is through."""
    for operation in ("stage_documents", "rewrite_documents", "point_alias", "promote_documents"):
        try:
            shop.apply(on_event=ends_at(operation))
        except EndedError:
            continue
        return
    shop.apply()


def values(shop: Shop, number: int, *names: str) -> list[bytes | None]:
    """Values of a document."""
    return list(shop.client.hmget(f"products:{number}", *names))


@strategies
def test_a_field_made_from_a_vector_that_is_cast_in_the_same_change(shop: Shop, strategy: str) -> None:
    """It is made from the value before the cast, once: the cast value is no input of a later pass."""
    served(shop)
    settings(shop, strategy, SHORTENED)
    shop.declare("products", *OTHERS, embedding("float16"), SHORT)
    applied_in_pieces(shop)
    for number in range(COUNT):
        assert values(shop, number, "embedding", "short") == [narrow(number), wide(number)[:8]]
    assert_complete(shop)


def test_a_field_made_from_a_vector_that_a_writer_of_the_new_layout_wrote_alone(shop: Shop) -> None:
    """It is made from the vector in its new form; the run goes on to its end."""
    served(shop)
    settings(shop, "auto", SHORTENED)
    shop.declare("products", *OTHERS, embedding("float16"), SHORT)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("point_alias"))
    shop.client.hset("products:1", "embedding", narrow(7))
    shop.client.hset("products:new", mapping={"title": "late", "price": 1, "embedding": narrow(8)})
    shop.apply()
    assert values(shop, 1, "embedding", "short") == [narrow(7), wide(7)[:8]]
    assert shop.client.hmget("products:new", "embedding", "short") == [narrow(8), wide(8)[:8]]
    assert shop.count() == COUNT + 1
    assert_complete(shop)


@strategies
@pytest.mark.parametrize("how", ["join", "own:pair"])
@pytest.mark.parametrize("named", ["title", "headline", "dropped"])
def test_a_field_made_from_one_that_goes_in_the_same_change(shop: Shop, strategy: str, how: str, named: str) -> None:
    """Renamed or dropped: what was made of it stays, whichever of its names is read."""
    served(shop)
    dropped = named == "dropped"
    gone: dict[str, Any] = {"title": {"transform": "drop"}} if dropped else {"headline": {"renamed_from": "title"}}
    reads = ["title" if dropped else named, "category"]
    settings(shop, strategy, {**gone, "both": {"transform": how, "reads": reads}})
    kept = () if dropped else (text("headline"),)
    shop.declare("products", *kept, *OTHERS[1:], embedding("float16"), text("both"))
    applied_in_pieces(shop)
    between = " " if how == "join" else "/"
    for number in range(COUNT):
        both = f"shoe {number}{between}{'ab'[number % 2]}".encode()
        headline = None if dropped else f"shoe {number}".encode()
        assert values(shop, number, "title", "headline", "both") == [None, headline, both]
    assert_complete(shop)


def test_what_was_made_of_a_field_that_is_gone_is_not_made_again_of_the_rest(shop: Shop) -> None:
    """A writer of the new layout changes another input before the change is complete."""
    served(shop)
    gone = {"headline": {"renamed_from": "title"}}
    settings(shop, "auto", {**gone, "both": {"transform": "join", "reads": ["title", "category"]}})
    shop.declare("products", text("headline"), *OTHERS[1:], embedding(), text("both"))
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    shop.client.hset("products:1", "category", "late")
    shop.apply()
    assert values(shop, 1, "category", "both") == [b"late", b"shoe 1 b"]
    assert_complete(shop)


def test_a_rename_onto_a_field_that_is_there_is_refused(shop: Shop) -> None:
    """Documents may hold both; a rename that was carried out stays declared all the same."""
    served(shop)
    settings(shop, "auto", {"category": {"renamed_from": "title"}})
    shop.declare("products", text("category"), OTHERS[2], embedding())
    with pytest.raises(ChangeRefusedError, match="the index has both"):
        shop.apply()
    settings(shop, "auto", {"category": {"transform": "drop"}})
    shop.declare("products", OTHERS[0], OTHERS[2], embedding())
    shop.apply()
    settings(shop, "auto", {"category": {"renamed_from": "title"}})
    shop.declare("products", text("category"), OTHERS[2], embedding())
    shop.apply()
    assert values(shop, 3, "title", "category") == [None, b"shoe 3"]
    shop.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "title", "TEXT")
    shop.apply()
    assert_complete(shop)


@pytest.mark.parametrize("storage", ["hash", "json"])
def test_a_field_that_is_renamed_as_the_storage_changes_is_not_kept_twice(shop: Shop, storage: str) -> None:
    """The value is under its new name alone."""
    paths = {"storage_type": "json"}
    old, new = text("title"), text("headline")
    shop.configure(policy={"settle": "0s", "allow": list(ALLOWED)})
    if storage == "hash":
        shop.client.hset("products:1", mapping={"title": "shoe", "price": 1})
        shop.declare("products", old)
    else:
        put_json(shop, "products:1", {"title": "shoe", "price": 1})
        shop.declare("products", {**old, "path": "$.title"}, **paths)
    shop.apply()
    settings(shop, "auto", {"headline": {"renamed_from": "title"}})
    if storage == "hash":
        shop.declare("products", {**new, "path": "$.named.headline"}, **paths)
    else:
        shop.declare("products", new)
    shop.apply()
    if storage == "hash":
        assert get_json(shop, "products:1") == {"named": {"headline": "shoe"}, "price": "1"}
    else:
        assert shop.client.hgetall("products:1") == {b"headline": b"shoe", b"price": b"1"}
    assert_complete(shop)


def test_a_rename_of_the_index_after_a_staged_change_is_no_drift(shop: Shop) -> None:
    """What the server counted on that index while copies were in it goes along with the new name."""
    served(shop)
    shop.declare("products", *OTHERS, embedding("float16"))
    shop.apply()
    shop.undeclare("products")
    shop.configure(indexes={"wares": {"renamed_from": "products"}})
    shop.declare("wares", *OTHERS, embedding("float16"), prefix="products:")
    shop.apply(allow=("DELETES_INDEX",))
    shop.assert_settled()
    shop.client.hset("products:late", mapping={"title": "late", "price": 1, "embedding": wide(1)})
    (drifted,) = shop.drift().indexes
    assert [change.address for change in drifted.changes] == ["wares.documents"]


@pytest.mark.parametrize("promotion", ["rename", "write_back"])
def test_an_alias_that_is_declared_while_documents_are_put_in_place(shop: Shop, promotion: str) -> None:
    """It leads to the new index in the end, and the run goes on."""
    served(shop)
    renamed = promotion == "write_back"
    fields: dict[str, Any] = {"headline": {"renamed_from": "title"}} if renamed else {}
    settings(shop, "auto", fields)
    shop.declare("products", text("headline") if renamed else OTHERS[0], *OTHERS[1:], embedding("float16"))
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    settings(shop, "auto", fields, aliases=["wares"])
    shop.apply()
    assert resolves_to(shop.client, "wares") == resolves_to(shop.client, "products")
    assert_complete(shop)


def test_an_index_whose_documents_are_being_put_in_place_is_not_removed(shop: Shop) -> None:
    """Forgotten, some of its documents would stay in the old layout and nobody could tell which."""
    served(shop)
    shop.declare("products", *OTHERS, embedding("float16"))
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("promote_documents"))
    shop.declare("others", tag("kind"))
    shop.undeclare("products")
    with pytest.raises(ChangeRefusedError, match="restore the schema file"):
        shop.apply(allow=("DELETES_INDEX",))
    shop.declare("products", *OTHERS, embedding("float16"))
    shop.apply()
    assert_complete(shop)


@pytest.mark.parametrize("change", ["cast", "backfill"])
def test_a_way_back_from_a_backup_leaves_nothing(shop: Shop, change: str) -> None:
    """No index that is known as ours and gone, and no late writes: the documents are as they are meant again."""
    served(shop)
    made: dict[str, Any] = {"both": {"transform": "join", "reads": ["title", "category"]}}
    settings(shop, "auto", made if change == "backfill" else {}, backup="kept")
    added = (text("both"),) if change == "backfill" else ()
    shop.declare("products", *OTHERS, embedding("float16" if change == "cast" else "float32"), *added)
    shop.apply()
    with shop.project() as project:
        project.rollback("products")
    settings(shop, "auto", {})
    shop.declare("products", *OTHERS, embedding())
    assert_complete(shop)


def test_no_temporary_index_is_made(shop: Shop) -> None:
    """The server would delete the documents with it."""
    load(shop, COUNT)
    shop.configure(indexes={"products": {"definition": {"temporary": 100_000}}})
    shop.declare("products", tag("category"))
    with pytest.raises(ChangeRefusedError, match="deletes the documents of a temporary index with it"):
        shop.apply()
    assert live_names(shop.client) == set()
