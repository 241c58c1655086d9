"""Changes of every kind, for users of few rights to carry out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from document_shop import ALLOWED, OTHERS, embedding, load, put_json
from kit import FieldSpec, Shop, numeric, text

POLICY = {"settle": "0s", "allow": [*ALLOWED, "NAME_BECOMES_ALIAS", "DELETES_INDEX", "CUTOVER_GAP"]}
OWN = "def add(prices):\n    return [int(price) + 1000 for price in prices]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change of the index of products; `settings` are those of the index, `index` is of its schema."""

    name: str
    before: tuple[FieldSpec, ...] = (*OTHERS, embedding())
    after: tuple[FieldSpec, ...] = (*OTHERS, embedding())
    settings: Callable[[], dict[str, Any]] = dict
    index_before: Callable[[], dict[str, Any]] = dict
    index_after: Callable[[], dict[str, Any]] = dict
    later: Callable[[], dict[str, Any]] = dict
    rolls_back: bool = False
    on_clusters: bool = True

    def prepare(self, shop: Shop) -> None:
        """Documents, and the declaration before the change."""
        if self.index_before().get("storage_type") == "json":
            for number in range(60):
                fields = {"title": f"shoe {number}", "category": "ab"[number % 2], "price": number}
                put_json(shop, f"products:{number}", {**fields, "embedding": [number, 1.0, 2.0, 3.0]})
        else:
            load(shop)
            shop.client.expire("products:3", 100_000)
        (shop.folder / "own.py").write_text(OWN)
        shop.configure(indexes={"products": self.settings()}, policy=POLICY)
        shop.declare("products", *self.before, **self.index_before())

    def change(self, shop: Shop) -> None:
        """Declare the change."""
        shop.configure(indexes={"products": {**self.settings(), **self.later()}}, policy=POLICY)
        shop.declare("products", *self.after, **self.index_after())

    def go_back(self, shop: Shop) -> None:
        """Take the change back, where that can be done."""
        if self.rolls_back:
            with shop.project() as project:
                project.rollback("products")


def supported(shop: Shop, case: Case) -> Shop:
    """The shop, if its server can carry the change out."""
    if "cluster" in shop.url and not case.on_clusters:
        pytest.skip("documents cannot go to another slot")
    return shop


JSON = {"storage_type": "json"}


def paths(*fields: FieldSpec) -> tuple[FieldSpec, ...]:
    """The fields of JSON documents."""
    return tuple({**field, "path": f"$.{field['name']}"} for field in fields)


CASES = (
    Case(name="add a field", after=(*OTHERS, embedding(), text("brand"))),
    Case(name="build anew", after=(text("title", weight=2.0), *OTHERS[1:], embedding())),
    Case(name="staged", after=(*OTHERS, embedding("float16"))),
    Case(
        name="staged, written back",
        after=(text("headline"), *OTHERS[1:], embedding()),
        later=lambda: {"fields": {"headline": {"renamed_from": "title"}}},
    ),
    Case(name="another prefix", index_after=lambda: {"prefix": "goods:"}, on_clusters=False),
    Case(name="hash to JSON", after=paths(*OTHERS, embedding()), index_after=lambda: JSON),
    Case(
        name="JSON",
        before=paths(*OTHERS, embedding()),
        after=paths(*OTHERS, embedding(dims=3)),
        index_before=lambda: JSON,
        index_after=lambda: JSON,
        later=lambda: {"fields": {"embedding": {"transform": "truncate"}}},
    ),
    Case(
        name="recreate",
        after=(*OTHERS, embedding("float16")),
        later=lambda: {"strategy": "recreate", "backup": "kept"},
        rolls_back=True,
    ),
    Case(
        name="filled",
        after=(*OTHERS, embedding(), numeric("later")),
        later=lambda: {"fields": {"later": {"transform": "own:add", "reads": ["price"]}}},
    ),
    Case(
        name="filtered",
        settings=lambda: {"definition": {"filter": "@price >= 10"}},
        after=(*OTHERS, embedding("float16")),
    ),
    Case(
        name="checked",
        settings=lambda: {
            "checks": [
                {"knn": "embedding", "samples": 5, "k": 3, "min_overlap": 0.1},
                {"query": "*", "compare": "count"},
            ]
        },
        after=(*OTHERS, embedding("float16")),
    ),
)
