"""The plans of the kill matrix that change documents; every transform would show if it were applied twice."""

from __future__ import annotations

from typing import Any

from document_shop import COUNT, OTHERS, configure, embedding, load, own_code
from kill_cases import BACKUP, PLAIN, PRODUCTS, Case, Edit, applied, in_turn, with_synonyms
from kit import FieldSpec, Shop, tag, text

assert COUNT == PRODUCTS

ADD = "def add(prices):\n    return [int(price) + 1000 for price in prices]\n"
FILTER = {"filter": "@price >= 10"}
"""What is let in stays so when a thousand is added, and what is left out is left alone."""

SERVED_ANEW = ("create_index", "await_build")
BACKFILL = ("rehearse_rewrite", "rewrite_documents", "add_fields", "settle_documents")


def filled(form: str = "f", count: int = COUNT) -> Edit:
    """Documents, some of which expire in a long time, as a whole or in part; the user's own code."""

    def edit(shop: Shop) -> None:
        load(shop, count, form=form)
        shop.client.pexpireat("products:21", 4_102_444_800_000)
        shop.client.hpexpireat("products:22", 4_102_444_800_001, "embedding", "title")
        own_code(shop, ADD)

    return edit


def settings(**options: Any) -> Edit:
    """Settings of the index."""
    return lambda shop: configure(shop, **options)


def declared(*fields: FieldSpec, **index: Any) -> Edit:
    """The schema."""
    return lambda shop: shop.declare("products", *fields, **index)


def recreated(*kinds: str, drops: tuple[str, ...] = ("drop_index",)) -> tuple[str, ...]:
    """The steps of a recreate with documents."""
    return ("rehearse_rewrite", *drops, "rewrite_documents", *SERVED_ANEW, *kinds, "verify_index", "settle_documents")


STAGED = ("stage_documents", *SERVED_ANEW, "stage_documents", "verify_index")
"""The steps in front of the cutover of a staged change."""

KEPT: dict[str, Any] = {"definition": FILTER, "aliases": ["wares"]}
CHANGED: dict[str, Any] = {
    "strategy": "recreate",
    "batch_size": 20,
    "fields": {"price": {"transform": "own:add", "version": 1}, "headline": {"renamed_from": "title"}},
}
SHOWN: dict[str, Any] = {
    "shown": {"transform": "join", "reads": ["category", "title"]},
    "kind": {"transform": {"constant": "x"}},
}
HALVED = declared(*OTHERS, embedding("float16"))
SERVED = in_turn(filled(), declared(*OTHERS, embedding()), applied, with_synonyms)

DOCUMENT_CASES = (
    Case(
        name="recreate-over-alias",
        before=in_turn(filled("e"), settings(**KEPT), declared(*OTHERS, embedding("float16")), applied, with_synonyms),
        change=in_turn(
            settings(**KEPT, **CHANGED),
            declared(text("headline"), *OTHERS[1:], embedding("bfloat16")),
        ),
        operations=recreated("point_alias", "point_alias"),
        answers=(),
        rewrites=True,
    ),
    Case(
        name="recreate-over-physical-name",
        before=in_turn(PLAIN, SERVED),
        change=in_turn(settings(strategy="recreate", batch_size=20), HALVED),
        operations=recreated("record_index"),
        answers=(),
        rewrites=True,
    ),
    Case(
        name="backfill",
        before=SERVED,
        change=in_turn(
            settings(fields=SHOWN, batch_size=20), declared(*OTHERS, embedding(), text("shown"), tag("kind"))
        ),
        operations=BACKFILL,
        rewrites=True,
    ),
    Case(
        name="backfill-with-a-build",
        before=in_turn(settings(definition=FILTER), filled(), declared(*OTHERS, embedding()), applied),
        change=in_turn(
            settings(definition=FILTER, fields=SHOWN, batch_size=20),
            declared(text("title", weight=2.0), *OTHERS[1:], embedding(), text("shown"), tag("kind")),
        ),
        operations=(
            *("rehearse_rewrite", "rewrite_documents", *SERVED_ANEW, "verify_index", "point_alias", "drop_index"),
            "settle_documents",
        ),
        answers=(),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="recreate-with-another-prefix",
        before=SERVED,
        change=in_turn(
            settings(strategy="recreate", batch_size=20, fields={"price": {"transform": "own:add", "version": 1}}),
            declared(*OTHERS, embedding("float16"), prefix="goods:"),
        ),
        operations=recreated("point_alias"),
        answers=(),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="recreate-as-json",
        before=in_turn(load, declared(*OTHERS, embedding()), applied),
        change=in_turn(
            settings(strategy="recreate", batch_size=20),
            declared(
                *({**field, "path": f"$.{field['name']}"} for field in (*OTHERS, embedding())), storage_type="json"
            ),
        ),
        operations=recreated("point_alias"),
        answers=(),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="recreate-with-backup",
        before=SERVED,
        change=in_turn(settings(strategy="recreate", batch_size=20, backup=BACKUP), HALVED),
        operations=recreated("point_alias"),
        answers=(),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="staged-by-rename",
        before=SERVED,
        change=in_turn(settings(batch_size=20), HALVED),
        operations=(*STAGED, "point_alias", "drop_index", "promote_documents", "settle_documents"),
        rewrites=True,
    ),
    Case(
        name="staged-by-writing-back",
        before=in_turn(filled(), settings(aliases=["wares"]), declared(*OTHERS, embedding()), applied, with_synonyms),
        change=in_turn(
            settings(aliases=["wares"], batch_size=20, fields={"headline": {"renamed_from": "title"}}),
            declared(text("headline"), *OTHERS[1:], embedding()),
        ),
        operations=(
            *(*STAGED, "point_alias", "point_alias", "drop_index", "promote_documents", *SERVED_ANEW),
            *("promote_documents", "verify_index", "point_alias", "point_alias", "drop_index", "settle_documents"),
        ),
        answers=("products", "wares"),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="staged-by-writing-back-with-a-filter",
        before=in_turn(filled(), settings(**KEPT), declared(*OTHERS, embedding()), applied, with_synonyms),
        change=in_turn(
            settings(**KEPT, batch_size=20, fields={"headline": {"renamed_from": "title"}}),
            declared(text("headline"), *OTHERS[1:], embedding()),
        ),
        operations=(
            *(*STAGED, "point_alias", "point_alias", "drop_index", "promote_documents", *SERVED_ANEW),
            *("promote_documents", "verify_index", "point_alias", "point_alias", "drop_index", "settle_documents"),
        ),
        answers=(),
        rewrites=True,
    ),
    Case(
        name="staged-over-physical-name",
        before=in_turn(PLAIN, SERVED),
        change=in_turn(settings(batch_size=20, backup=BACKUP), HALVED),
        operations=(*STAGED, "take_name", "promote_documents", "settle_documents"),
        allow=("NAME_BECOMES_ALIAS",),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="staged-with-another-prefix",
        before=SERVED,
        change=in_turn(settings(batch_size=20), declared(*OTHERS, embedding("float16"), prefix="goods:")),
        operations=(*STAGED, "point_alias", "drop_index", "promote_documents", "settle_documents"),
        rewrites=True,
        soak=True,
    ),
    Case(
        name="staged-as-json",
        before=in_turn(load, declared(*OTHERS, embedding()), applied),
        change=in_turn(
            settings(batch_size=20),
            declared(
                *({**field, "path": f"$.{field['name']}"} for field in (*OTHERS, embedding())), storage_type="json"
            ),
        ),
        operations=(*STAGED, "point_alias", "drop_index", "promote_documents", "settle_documents"),
        rewrites=True,
        soak=True,
    ),
)
