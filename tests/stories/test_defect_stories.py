"""What the peer loses or breaks: each of its defects as a story."""

from __future__ import annotations

import pytest
import yaml
from kit import FIELDS, Shop, managed, rebuilt, tag, text, vector
from observe import (
    await_built,
    create_products,
    documents,
    index_facts,
    is_at_work_on,
    live_names,
    load_products,
    resolves_to,
)
from proxy import Hold, Proxy

pytest_plugins = ("story_fixtures",)


def test_aliases_survive_a_rebuild(shop: Shop) -> None:
    """D5: the name and every declared alias answer from the new index; none is lost with the old one."""
    shop.configure(indexes={"products": {"aliases": ["catalogue", "wares"]}})
    managed(shop)
    rebuilt(shop, *FIELDS[1:])
    assert {resolves_to(shop.client, name) for name in ("products", "catalogue", "wares")} == {"products@2"}
    shop.assert_settled()


@pytest.mark.parametrize(("at", "step"), [("EVAL run_start", ""), ("FT.SYNDUMP products@1", "drop products@1")])
def test_what_is_behind_an_alias_is_dropped_by_its_own_name_only(shop: Shop, proxy: Proxy, at: str, step: str) -> None:
    """D5: FT.DROPINDEX follows aliases; a physical name that turns into an alias meanwhile is not dropped through it.

    Neither when that happens after the plan was made, nor when it happens after the last look before the drop.
    """
    managed(shop)
    shop.client.execute_command("FT.CREATE", "other", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    shop.declare("parts", text("title"))
    shop.undeclare("products")

    def turn_into_an_alias() -> None:
        shop.client.execute_command("FT.DROPINDEX", "products@1")
        shop.client.execute_command("FT.ALIASADD", "products@1", "other")

    hold = Hold(at, also=lambda: is_at_work_on(shop.client, step), act=turn_into_an_alias)
    hold.let_go.set()
    proxy.rearm(watch=hold)
    shop.url = proxy.url
    shop.apply(allow=("DELETES_INDEX",))
    assert hold.reached.is_set()
    assert resolves_to(shop.client, "products@1") == "other"
    assert "other" in live_names(shop.client)


RICH = (
    *("FILTER", "@price >= 30", "LANGUAGE", "german", "LANGUAGE_FIELD", "lang", "SCORE", "0.5", "SCORE_FIELD", "rank"),
    *("NOHL", "NOFREQS", "STOPWORDS", "2", "und", "oder"),
)
RICH_SCHEMA = ("title", "AS", "headline", "TEXT", "WEIGHT", "2", "price", "NUMERIC", "category", "AS", "kind", "TAG")


def test_what_redisvl_cannot_say_survives_import_and_rebuild(shop: Shop) -> None:
    """D6, D7: filter, language, score, stopwords, `field AS alias` and synonyms, through import and a build."""
    load_products(shop.client)
    create_products(shop.client, *RICH, schema=RICH_SCHEMA)
    shop.client.execute_command("FT.SYNUPDATE", "products", "g1", "schuh", "sneaker")
    shop.client.execute_command("FT.SYNUPDATE", "products", "g2", "schuh", "boot")
    await_built(shop.client, "products")
    before = index_facts(shop.client, "products")
    assert shop.count("@headline:running @kind:{boots}") == 10
    with shop.project(schemas="optional") as project:
        project.import_indexes(("products",))
    shop.assert_settled()
    schema = yaml.safe_load(shop.schema_file("products").read_text())
    for field in schema["fields"]:
        if field["name"] == "headline":
            field["attrs"] = {**field.get("attrs", {}), "weight": 5.0}
    shop.schema_file("products").write_text(yaml.safe_dump(schema))
    shop.apply(allow=("NAME_BECOMES_ALIAS",))
    after = index_facts(shop.client, "products")
    assert after["physical"] == "products@1"
    assert after["index_definition"] == before["index_definition"]
    assert after["index_options"] == before["index_options"]
    assert after["stopwords_list"] == before["stopwords_list"]
    assert {term: sorted(groups) for term, groups in after["synonyms"].items()} == {
        "schuh": ["g1", "g2"],
        "sneaker": ["g1"],
        "boot": ["g2"],
    }
    headline = next(field for field in after["attributes"] if "headline" in field)
    assert headline[headline.index("WEIGHT") + 1] == "5"
    assert shop.count("@headline:running @kind:{boots}") == 10
    assert shop.count() == 30
    shop.assert_settled()


def test_a_filter_under_which_most_documents_do_not_fall(shop: Shop) -> None:
    """D6, scenario 25: with 60 % of the documents outside of the filter, a build is compared with what is inside."""
    shop.configure(indexes={"products": {"definition": {"filter": "@price >= 36"}}})
    managed(shop)
    assert shop.count() == 24
    rebuilt(shop, *FIELDS[1:])
    assert resolves_to(shop.client, "products") == "products@2"
    assert shop.count() == 24
    shop.assert_settled()


def test_what_the_server_hides_is_kept_exactly(shop: Shop) -> None:
    """D8: EF_RUNTIME, EPSILON, INITIAL_CAP, BLOCK_SIZE and PHONETIC come from the state, build after build."""
    hidden = (
        text("title", phonetic_matcher="dm:en"),
        vector("embedding", ef_runtime=77, epsilon=0.2, initial_cap=500),
        vector("flat", algorithm="flat", block_size=2048),
    )
    load_products(shop.client)
    shop.declare("products", *hidden)
    shop.apply()
    plan = shop.plan()
    assert plan.indexes[0].unverifiable == ()
    shop.declare("products", *hidden, tag("category"))
    shop.apply()
    changed = text("title", phonetic_matcher="dm:en", weight=2.0)
    shop.declare("products", changed, *hidden[1:], tag("category"))
    shop.apply()
    record = shop.state().record("products")
    assert record is not None
    shown = str(record.definition)
    for part in ("ef_runtime=77", "epsilon=0.2", "initial_cap=500", "block_size=2048", "phonetic_matcher='dm:en'"):
        assert part in shown
    shop.declare("products", changed, vector("embedding", ef_runtime=78, epsilon=0.2, initial_cap=500), *hidden[2:])
    changes = {change.address: (change.before, change.after) for change in shop.plan().indexes[0].changes}
    assert changes["products.fields.embedding.ef_runtime"] == (77, 78)


def test_what_was_not_sent_by_us_is_unknown_and_not_guessed(shop: Shop) -> None:
    """D8: of an imported index the hidden attributes are told as unverifiable, and no difference is claimed."""
    load_products(shop.client)
    hnsw = ("VECTOR", "HNSW", "8", "TYPE", "FLOAT32", "DIM", "4", "DISTANCE_METRIC", "COSINE", "EF_RUNTIME", "77")
    create_products(shop.client, schema=("title", "TEXT", "embedding", *hnsw))
    shop.declare("products", text("title"), vector("embedding"))
    plan = shop.plan()
    assert plan.indexes[0].changes == ()
    assert "products.fields.embedding.ef_runtime" in plan.indexes[0].unverifiable


def test_a_geoshape_index_can_be_read_and_imported(shop: Shop) -> None:
    """D8: a type that redisvl does not have is neither an error nor skipped."""
    shop.client.hset("products:1", mapping={"title": "park", "area": "POLYGON((1 1, 1 5, 5 5, 5 1, 1 1))"})
    create_products(shop.client, schema=("title", "TEXT", "area", "GEOSHAPE", "FLAT"))
    with shop.project(schemas="optional") as project:
        project.import_indexes(("products",))
    shop.assert_settled()
    assert shop.state().records[0].definition.field("area") is not None


def test_keys_of_other_types_are_no_failure(shop: Shop) -> None:
    """D15, scenario 24: counters, streams, lists, JSON under the prefix are not counted, and a build goes through."""
    managed(shop)
    shop.client.set("products:counter", 5)
    shop.client.xadd("products:stream", {"a": 1})
    shop.client.rpush("products:list", "a")
    shop.client.execute_command("JSON.SET", "products:json", "$", '{"title": "json"}')
    kept = documents(shop.client)
    rebuilt(shop, *FIELDS[1:])
    assert resolves_to(shop.client, "products") == "products@2"
    assert shop.count() == 60
    assert documents(shop.client) == kept
    shop.assert_settled()


def test_an_empty_prefix_does_not_index_what_is_ours(shop: Shop) -> None:
    """Scenario 27: an index over every key counts documents, not the state, the lock or the reports of rvlstate."""
    load_products(shop.client)
    shop.declare("products", text("title"), prefix="")
    shop.apply()
    assert shop.count() == 60
    rebuilt(shop)
    assert shop.count() == 60
    shop.assert_settled()


def test_key_separator_is_no_difference(shop: Shop) -> None:
    """The server knows nothing of key_separator, so another one in the schema is no change, for ever or otherwise."""
    managed(shop)
    shop.declare("products", *FIELDS, key_separator="/")
    assert shop.plan().empty
