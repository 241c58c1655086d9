"""What stories about an index with a filter share: documents on both sides of it, and what must be so then."""

from __future__ import annotations

from typing import Any

from document_shop import ALLOWED, COUNT, OTHERS, embedding, load, narrow, wide
from kit import FieldSpec, Shop, text
from observe import documents, live_names
from test_phase_stories import AS_JSON, HALVED, ours

BOUND = 30
FILTER = {"filter": f"@price >= {BOUND}"}
HEADLINE = {"fields": {"headline": {"renamed_from": "title"}}}
ODD = "products:odd"
"""Outside of the filter, and no transform can make anything of it."""

KINDS: dict[str, tuple[tuple[FieldSpec, ...], dict[str, Any], dict[str, Any]]] = {
    "by rename": (HALVED, {}, {}),
    "by writing back": ((text("headline"), *OTHERS[1:], embedding()), {}, HEADLINE),
    "under another prefix": ((*OTHERS, embedding("float16")), {"prefix": "goods:"}, {}),
    "as JSON": (AS_JSON, {"storage_type": "json"}, {}),
}


def before_the_change(shop: Shop, *, retain_old: str = "0s", **settings: Any) -> None:
    """An index whose filter lets half of the documents in."""
    load(shop)
    shop.client.hset(ODD, mapping={"title": "draft", "price": 1, "embedding": b"odd"})
    shop.configure(policy={"settle": "0s", "allow": list(ALLOWED), "retain_old": retain_old})
    configured(shop, **settings)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    assert shop.count() == COUNT - BOUND


def configured(shop: Shop, **settings: Any) -> None:
    """The settings of the index, with its filter unless they have another one."""
    shop.configure(indexes={"products": {"definition": FILTER, **settings}})


def declared(shop: Shop, kind: str, **settings: Any) -> None:
    """A change of a kind is wanted."""
    fields, index, more = KINDS[kind]
    configured(shop, **more, **settings)
    shop.declare("products", *fields, **index)


def numbered(*some: Any) -> set[str]:
    """The identities of documents with these numbers."""
    return {str(each) for each in some}


INSIDE = numbered(*range(BOUND, COUNT))


def found(shop: Shop) -> set[str]:
    """The identities of the documents that a search by name finds, whether by themselves or by their copies."""
    reply = shop.client.execute_command("FT.SEARCH", "products", "*", "NOCONTENT", "LIMIT", "0", "1000")
    keys = [key.decode() for key in reply[1:]]
    identities = {key.rpartition(":")[2] for key in keys}
    assert len(identities) == len(keys), keys
    return identities


def price(shop: Shop, number: int, value: int) -> None:
    """An application changes the price alone, in whichever layout the document is."""
    key = f"products:{number}"
    if shop.client.type(key) == b"hash":
        shop.client.hset(key, "price", value)
    else:
        shop.client.execute_command("JSON.SET", key, "$.price", value)


def moved(shop: Shop) -> set[str]:
    """One document comes in, one leaves, one leaves and is back, one of each side is deleted; who is in by then."""
    for number, value in ((1, 40), (40, 2), (41, 3), (41, 41)):
        price(shop, number, value)
    for number in (50, 5):
        shop.client.delete(f"products:{number}")
    return INSIDE - numbered(40, 50) | numbered(1)


def outside(shop: Shop) -> dict[bytes, str]:
    """The digests of the documents that the filter leaves out as they are now."""
    return {key: told for key, told in documents(shop.client).items() if _is_outside(shop, key)}


def _is_outside(shop: Shop, key: bytes) -> bool:
    return shop.client.type(key) == b"hash" and float(shop.client.hget(key, "price")) < BOUND


def in_new_layout(shop: Shop, kind: str, number: int) -> bool:
    """Whether a document that nobody wrote to is as the change wants it."""
    client, key = shop.client, f"products:{number}"
    match kind:
        case "by rename":
            return bool(client.hget(key, "embedding") == narrow(number))
        case "by writing back":
            values = client.hmget(key, "title", "headline", "embedding")
            return bool(values == [None, f"shoe {number}".encode(), wide(number)])
        case "under another prefix":
            return bool(client.hget(f"goods:{number}", "embedding") == narrow(number) and not client.exists(key))
    return bool(client.type(key) == b"ReJSON-RL")


def helpers(shop: Shop) -> list[str]:
    """The indexes that tell which documents the filter lets in."""
    return sorted(name for name in live_names(shop.client) if name.endswith("~members"))


def assert_done(shop: Shop, kind: str, *, finds: set[str]) -> None:
    """Complete: what the filter lets in is found, in the new layout, by one index; nothing of ours is left."""
    assert found(shop) == finds
    for number in sorted(map(int, finds & INSIDE - numbered(41))):
        assert in_new_layout(shop, kind, number), number
    shop.assert_settled()
    (physical,) = live_names(shop.client)
    assert physical.endswith("@3" if kind == "by writing back" else "@2")
    assert (ours(shop), shop.state().rewrites, shop.state().intents) == ([], (), ())
