"""An index with a filter changes while applications write: drafts stay as they are, and nothing else is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from kit import Shop
from live import Load
from live_documents import Kind, fields_of
from live_story import (
    ROLLING,
    assert_nothing_lost,
    assert_unnoticed,
    at_work,
    declare_change,
    killed_until_done,
    serve,
)
from nursery import Nursery
from observe import documents, resolves_to

pytest_plugins = ("story_fixtures",)

LOAD = Load(documents=600)
FILTERED = {"definition": {"filter": "@version >= 0"}}
"""Applications count versions from 0 on; drafts have a lower one."""

DRAFTS, UNDECIDED = "products:draft:", "products:maybe:"
FOREIGN = (DRAFTS.encode(), UNDECIDED.encode())

Record = Callable[[str, object], None]


def draft(shop: Shop, load: Load, key: str) -> None:
    """A document in the old layout that the filter leaves out."""
    shop.client.hset(key, mapping={**fields_of(load.change.old, key, -1, 0, still=False), "kind": "draft"})


def drafts(shop: Shop) -> dict[bytes, str]:
    """The digests of the drafts."""
    return {key: told for key, told in documents(shop.client).items() if key.startswith(DRAFTS.encode())}


@contextmanager
def undecided(shop: Shop, load: Load) -> Iterator[None]:
    """Documents come in and leave, again and again until the cutover, and are outside from then on.

    Who comes in when all is complete is a late writer.
    """
    over = threading.Event()
    keys = [f"{UNDECIDED}{number}" for number in range(20 if load.change.takes_small_updates else 0)]

    def decide() -> None:
        before, number = resolves_to(shop.client, "products"), 0
        while keys and not over.wait(0.005) and resolves_to(shop.client, "products") == before:
            number += 1
            shop.client.hset(keys[number % len(keys)], "version", 0 if number // len(keys) % 2 else -1)
        for key in keys:
            shop.client.hset(key, "version", -1)

    for key in keys:
        draft(shop, load, key)
    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        shop.client.delete(*keys, "")


def story(shop: Shop, load: Load, change: Callable[[], Any], record_property: Record) -> None:
    """Drafts are there and documents come and go while the change is carried out."""
    shop.configure(indexes={"products": FILTERED})
    for number in range(200):
        draft(shop, load, f"{DRAFTS}{number}")
    serve(shop, load)
    before = drafts(shop)
    declare_change(shop, load, batch_size=100, **FILTERED)
    with at_work(shop, load, *ROLLING, foreign=FOREIGN) as (_, outcomes), undecided(shop, load):
        change()
    record_property("outcome", outcomes[0].line)
    assert drafts(shop) == before
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])


@pytest.mark.requires("float16_vectors")
def test_drafts_stay_as_they_are(shop: Shop, record_property: Record) -> None:
    """By rename, under a rolling deployment."""
    story(shop, LOAD, shop.apply, record_property)


@pytest.mark.soak
@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize("kind", ["dtype", "rename", "prefix", "json"])
def test_drafts_stay_as_they_are_whoever_is_killed(
    shop: Shop, kind: Kind, nursery: Nursery, record_property: Record
) -> None:
    """Each promotion, with the tool killed at random moments and run again."""

    def change() -> None:
        assert killed_until_done(shop, nursery, kills=6, longest=1.5) >= 2

    story(shop, replace(LOAD, kind=kind), change, record_property)
