"""What a change of a schema leads to: in place, a build beside the old index, nothing at all, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from kit import FIELDS, Shop, managed, numeric, operations, tag, text, vector
from observe import (
    asking,
    eventually,
    index_facts,
    live_names,
    load_products,
    resolves_to,
)
from proxy import Proxy, label
from queries import found

from rvlstate.errors import ChangeRefusedError

pytest_plugins = ("story_fixtures",)


def test_adding_a_field_is_never_noticed(shop: Shop) -> None:
    """Scenario 15: while FT.ALTER scans, every query answers with every document."""
    load_products(shop.client, 2000)
    shop.declare("products", *FIELDS[:3])
    shop.apply()
    shop.declare("products", *FIELDS[:3], FIELDS[3])
    with asking(shop.url, "products") as answers:
        report = shop.apply()
        so_far = len(answers)
        eventually(lambda: len(answers) > so_far + 20)
    assert [step.summary for step in report.steps] == ["add embedding to products@1"]
    assert set(answers) == {2000}
    assert len(answers) > 50
    shop.assert_settled()


def test_the_33rd_text_field_needs_another_index(shop: Shop) -> None:
    """Scenario 15: without MAXTEXTFIELDS the server takes 32, so one more is a shadow build, and it is carried out."""
    managed(shop, *[text(f"t{number}") for number in range(32)])
    shop.declare("products", *[text(f"t{number}") for number in range(33)])
    plan = shop.plan()
    (index,) = plan.indexes
    assert index.classification == "shadow"
    shop.apply(plan)
    assert "MAXTEXTFIELDS" in index_facts(shop.client, "products")["index_options"]
    shop.assert_settled()


def test_the_33rd_text_field_is_in_place_where_there_is_room(shop: Shop) -> None:
    """Scenario 15: with max_text_fields declared before, it is one FT.ALTER."""
    shop.configure(indexes={"products": {"definition": {"max_text_fields": True}}})
    managed(shop, *[text(f"t{number}") for number in range(32)])
    shop.declare("products", *[text(f"t{number}") for number in range(33)])
    assert operations(shop.plan()) == ["add_fields"]
    shop.apply()
    assert live_names(shop.client) == {"products@1"}
    shop.assert_settled()


def test_three_fields_are_one_command(shop: Shop, proxy: Proxy) -> None:
    """Scenario 16: three fields in one commit are one FT.ALTER, so one scan."""
    managed(shop, text("title"))
    shop.declare("products", text("title"), tag("category"), numeric("price"), vector("embedding"))
    proxy.rearm()
    shop.url = proxy.url
    shop.apply()
    sent = [label(command) for command in proxy.seen]
    assert [command for command in sent if command.startswith(("FT.ALTER", "FT.CREATE"))] == ["FT.ALTER products@1"]
    assert found(shop.client, "products", "@category:{boots} @price:[1 1]") == 1


def test_a_field_and_a_weight_are_one_build(shop: Shop, proxy: Proxy) -> None:
    """Scenario 16: an added field beside a change that needs a build is part of that build, not a scan before it."""
    managed(shop, text("title"), tag("category"))
    shop.declare("products", text("title", weight=2.0), tag("category"), numeric("price"))
    proxy.rearm()
    shop.url = proxy.url
    shop.apply()
    sent = [label(command) for command in proxy.seen]
    assert [command for command in sent if command.startswith(("FT.ALTER", "FT.CREATE"))] == ["FT.CREATE products@2"]
    shop.assert_settled()


def test_another_type_of_field_is_built_beside_the_old(shop: Shop, proxy: Proxy) -> None:
    """Scenario 17: from text to tag, old queries answer until the name moves, new ones from then on."""
    managed(shop, text("title"), text("category"))
    shop.declare("products", text("title"), tag("category"))
    assert shop.count("@category:boots") == 20
    answers: list[tuple[int, int]] = []

    def ask(_command: Any) -> None:
        answers.append((shop.count("@category:boots"), shop.count("@category:{boots}")))

    proxy.rearm(watch=ask)
    shop.url = proxy.url
    shop.apply()
    as_text, as_tag = (20, 0), (0, 20)
    moved = answers.index(as_tag)
    assert answers == [as_text] * moved + [as_tag] * (len(answers) - moved)
    assert [label(command) for command in proxy.seen][moved] == "FT.ALIASUPDATE products"
    shop.assert_settled()


def test_a_query_time_default_is_not_built(shop: Shop) -> None:
    """Scenario 18: another EF_RUNTIME alone is told as tuning of queries, and nothing is done until it is asked for."""
    managed(shop, vector("embedding", ef_runtime=10))
    shop.declare("products", vector("embedding", ef_runtime=77))
    plan = shop.plan()
    (index,) = plan.indexes
    assert plan.empty
    assert [(change.address, change.before, change.after) for change in index.changes] == [
        ("products.fields.embedding.ef_runtime", 10, 77)
    ]
    assert "queries" in index.changes[0].reason
    assert shop.apply().result == "nothing"
    shop.configure(indexes={"products": {"strategy": "shadow"}})
    assert shop.plan().indexes[0].classification == "shadow"
    shop.apply()
    assert resolves_to(shop.client, "products") == "products@2"
    shop.assert_settled()


def test_another_dimension_is_refused_without_a_transform(shop: Shop) -> None:
    """Scenario 19: stored vectors cannot become longer: the plan says so and what to declare; nothing is written."""
    managed(shop)
    shop.declare("products", *FIELDS[:3], vector("embedding", dims=8))
    plan = shop.plan()
    assert plan.indexes[0].classification == "refused"
    assert "transform" in plan.indexes[0].refused[0]
    state = shop.state()
    with pytest.raises(ChangeRefusedError):
        shop.apply(plan)
    assert shop.state() == state
    assert live_names(shop.client) == {"products@1"}
