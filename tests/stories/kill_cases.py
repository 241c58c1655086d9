"""The plans of the kill matrix: each with the server before it, the edit behind it, and what must go on answering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from kit import Shop, numeric, tag, text, vector
from observe import await_built, load_products

Edit: TypeAlias = Callable[[Shop], None]

PRODUCTS = 60
BACKUP = "kept"
"""The folder of a project in which original values are kept, if they are."""

APPLY = ("apply", "--yes")
IMPORT = ("import", "--all")
FIELDS = (text("title"), tag("category"), vector("embedding", m=8))
BUILD = ("create_index", "await_build", "verify_index")
CUTOVER = (*BUILD, "point_alias", "drop_index")
DELETES = ("DELETES_INDEX",)
BECOMES_ALIAS = ("NAME_BECOMES_ALIAS",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One plan: `before` makes the server as it is, `change` edits the files, `answers` are names that always answer.

    `operations` are the kinds of steps that the plan must have, so that the case stays what it is called.
    `may_rebuild`: killed between its names, it is built once more, under the next revision: an index that an alias
    leads to is not taken up, since it would be removed if its build failed. `rewrites`: documents change, and are
    compared at the end only. `soak`: left to the long runs.
    """

    name: str
    before: Edit
    change: Edit
    operations: tuple[str, ...] = ()
    answers: tuple[str, ...] = ("products",)
    allow: tuple[str, ...] = ()
    command: tuple[str, ...] = APPLY
    may_rebuild: bool = False
    rewrites: bool = False
    soak: bool = False


def in_turn(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(shop: Shop) -> None:
        for each in edits:
            each(shop)

    return edit


def configure(**blocks: Any) -> Edit:
    """Blocks of the project file."""
    return lambda shop: shop.configure(**blocks)


def documents_of(*names: str) -> Edit:
    """The documents of some indexes."""

    def edit(shop: Shop) -> None:
        for name in names:
            load_products(shop.client, PRODUCTS, prefix=f"{name}:")

    return edit


def declare(name: str, *fields: dict[str, Any]) -> Edit:
    """One schema."""
    return lambda shop: shop.declare(name, *fields)


def applied(shop: Shop) -> None:
    """What is declared is live."""
    shop.apply()


def nothing(_shop: Shop) -> None:
    """The files are as they should be, or are to be written."""


def with_synonyms(shop: Shop) -> None:
    """Products have two groups of synonyms, which every rebuild must keep."""
    for group, terms in (("g1", ("shoe", "sneaker")), ("g2", ("running", "jogging"))):
        shop.client.execute_command("FT.SYNUPDATE", "products", group, *terms)
    await_built(shop.client, "products")


def hijacked(shop: Shop) -> None:
    """An application created a physical index that hides the alias."""
    schema = ("SCHEMA", "title", "TEXT", "category", "TAG")
    shop.client.execute_command("FT.CREATE", "products", "PREFIX", "1", "products:", *schema)
    await_built(shop.client, "products")


def foreign(shop: Shop) -> None:
    """An index of somebody else, with what redisvl's schema has no place for."""
    shop.client.execute_command(
        *("FT.CREATE", "products", "PREFIX", "1", "products:", "FILTER", "@price >= 0", "SCORE", "0.5"),
        *("SCHEMA", "title", "AS", "headline", "TEXT", "category", "TAG", "price", "NUMERIC"),
    )
    await_built(shop.client, "products")


def renamed(shop: Shop) -> None:
    """Products are called goods."""
    shop.undeclare("products")
    shop.configure(indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", *FIELDS, prefix="products:")


def goods_without_vectors(shop: Shop) -> None:
    """The index called goods loses a field, for which it is built anew."""
    shop.declare("goods", *FIELDS[:2], prefix="products:")


def parts_deleted(shop: Shop) -> None:
    """Parts are no longer declared."""
    shop.undeclare("parts")
    shop.configure(indexes={})


REWEIGHTED = declare("products", text("title", weight=3.0), tag("category", sortable=True), FIELDS[2])
PLAIN = configure(policy={"naming": "plain"})
WARES = configure(indexes={"products": {"aliases": ["wares"]}})
MANAGED = in_turn(documents_of("products"), declare("products", *FIELDS), applied, with_synonyms)
DECLARED_TWO = in_turn(
    configure(indexes={"parts": {"depends_on": ["products"]}}), declare("parts", *FIELDS), declare("products", *FIELDS)
)
TWO_MANAGED = in_turn(documents_of("products", "parts"), DECLARED_TWO, applied)

CASES = (
    Case(
        name="create",
        before=documents_of("products"),
        change=declare("products", *FIELDS),
        operations=(*BUILD, "point_alias"),
        answers=(),
    ),
    Case(
        name="create-plain",
        before=in_turn(PLAIN, documents_of("products")),
        change=declare("products", *FIELDS),
        operations=(*BUILD, "record_index"),
        answers=(),
        soak=True,
    ),
    Case(name="import", before=in_turn(documents_of("products"), foreign), change=nothing, command=IMPORT),
    Case(
        name="add-fields",
        before=MANAGED,
        change=declare("products", *FIELDS, numeric("price"), tag("brand", separator="|")),
        operations=("add_fields",),
    ),
    Case(name="shadow-over-alias", before=MANAGED, change=REWEIGHTED, operations=CUTOVER),
    Case(
        name="shadow-over-physical-name",
        before=in_turn(PLAIN, MANAGED),
        change=REWEIGHTED,
        operations=(*BUILD, "take_name"),
        allow=BECOMES_ALIAS,
    ),
    Case(
        name="delete", before=TWO_MANAGED, change=parts_deleted, operations=("drop_alias", "drop_index"), allow=DELETES
    ),
    Case(
        name="rename",
        before=MANAGED,
        change=renamed,
        operations=("point_alias", "drop_alias"),
        answers=("products|goods",),
        allow=DELETES,
    ),
    Case(
        name="rename-of-physical-name",
        before=in_turn(PLAIN, MANAGED),
        change=renamed,
        operations=("point_alias", "forget_index"),
        allow=DELETES,
    ),
    Case(
        name="rename-and-rebuild",
        soak=True,
        before=MANAGED,
        change=in_turn(renamed, goods_without_vectors),
        operations=(*CUTOVER, "forget_index"),
        answers=("products|goods",),
        allow=DELETES,
    ),
    Case(
        name="rename-of-physical-name-and-rebuild",
        before=in_turn(PLAIN, MANAGED),
        change=in_turn(renamed, goods_without_vectors),
        operations=(*CUTOVER, "forget_index"),
        answers=("products|goods",),
        allow=DELETES,
        soak=True,
    ),
    Case(
        name="two-with-dependency",
        before=documents_of("products", "parts"),
        change=DECLARED_TWO,
        operations=(*BUILD, "point_alias", *BUILD, "point_alias"),
        answers=(),
    ),
    Case(
        name="two-shadows",
        before=TWO_MANAGED,
        change=in_turn(REWEIGHTED, declare("parts", text("title", weight=2.0), *FIELDS[1:])),
        operations=(*BUILD, "point_alias", *CUTOVER, "drop_index"),
        answers=("products", "parts"),
        soak=True,
    ),
    Case(name="further-alias", before=MANAGED, change=WARES, operations=("point_alias", "record_index")),
    Case(
        name="further-alias-through-a-shadow",
        before=in_turn(WARES, MANAGED),
        change=REWEIGHTED,
        operations=(*BUILD, "point_alias", "point_alias", "drop_index"),
        answers=("products", "wares"),
    ),
    Case(
        name="further-alias-through-a-shadow-over-physical-name",
        before=in_turn(WARES, PLAIN, MANAGED),
        change=REWEIGHTED,
        operations=(*BUILD, "point_alias", "take_name"),
        answers=("products", "wares"),
        allow=BECOMES_ALIAS,
        may_rebuild=True,
        soak=True,
    ),
    Case(
        name="hijack-repair",
        before=in_turn(MANAGED, hijacked),
        change=nothing,
        operations=("drop_index", "point_alias"),
        allow=DELETES,
    ),
)
