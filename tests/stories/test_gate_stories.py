"""Gates in front of a cutover and after it: good builds pass with their figures, poor ones never serve."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from kit import Shop, numeric, operations, tag, text, vector
from observe import KEYS, documents, load_products

from rvlstate.errors import GateFailedError
from rvlstate.events import Event, StepStarted
from rvlstate.plan.operations import TakeBaseline, VerifyIndex
from rvlstate.runtime.outcome import Report

pytest_plugins = ("story_fixtures",)

DIMS, COUNT = 32, 1500
KNN = {"knn": "embedding", "samples": 40, "k": 10, "min_overlap": 0.95}
BOOTS = {"query": "@category:{boots}", "compare": "count"}
GOOD: dict[str, Any] = {"m": 16, "ef_construction": 200}
POOR: dict[str, Any] = {"m": 2, "ef_construction": 2}


class EndedError(Exception):
    """The process ended there."""


def load(shop: Shop) -> None:
    """Products with vectors in clusters, as embeddings are."""
    import numpy as np

    chance = np.random.default_rng(11)
    centres = chance.standard_normal((40, DIMS))
    pipeline = shop.client.pipeline(transaction=False)
    for number in range(COUNT):
        values = (centres[number % 40] + 0.5 * chance.standard_normal(DIMS)).astype(np.float32)
        category = ("shoes", "boots", "socks")[number % 3]
        pipeline.hset(f"products:{number}", mapping={"category": category, "embedding": values.tobytes()})
    pipeline.execute()


def declare(shop: Shop, *, algorithm: str = "hnsw", **parameters: Any) -> None:
    """Products with these parameters of the vector index."""
    embedding = vector("embedding", algorithm=algorithm, dims=DIMS, **parameters)
    shop.declare("products", tag("category"), embedding)


def served(shop: Shop, *checks: dict[str, Any], algorithm: str = "hnsw", **settings: Any) -> None:
    """Products behind an alias, with checks for what comes next."""
    load(shop)
    declare(shop, algorithm=algorithm, **(GOOD if algorithm == "hnsw" else {}))
    shop.apply()
    shop.configure(indexes={"products": {"checks": list(checks), **settings}})


def figures_of(report: Report, summary: str = "verify") -> dict[str, float]:
    """What the gate measured."""
    return next(step.figures for step in report.steps if step.summary.startswith(summary))


def indexes(shop: Shop) -> set[bytes]:
    """What the server has."""
    return set(shop.client.execute_command("FT._LIST"))


def test_a_good_rebuild_passes_with_its_recall(any_shop: Shop) -> None:
    """FLAT becomes HNSW under gates: overlap, recall and counts are in the report, and nothing is left to do."""
    served(any_shop, KNN, BOOTS, algorithm="flat")
    declare(any_shop, **GOOD)
    figures = figures_of(any_shop.apply())
    assert figures["embedding overlap@10"] >= 0.95
    assert figures["embedding recall@10 before"] == 1.0
    assert 0.95 <= figures["embedding recall@10 after"] <= 1.0
    assert figures["found by @category:{boots}"] == figures["found before by @category:{boots}"] == COUNT / 3
    any_shop.assert_settled()


def test_a_poor_rebuild_never_serves(any_shop: Shop) -> None:
    """HNSW with m 2 fails min_overlap with its figures; it is removed, and what served before still serves."""
    served(any_shop, KNN, BOOTS)
    before, physical = documents(any_shop.client), any_shop.state().record("products")
    was = indexes(any_shop)
    declare(any_shop, **POOR)
    with pytest.raises(GateFailedError, match="fails 1 of 2 checks") as caught:
        any_shop.apply()
    assert caught.value.exit_code == 3
    assert "FAILED  knn embedding, k 10" in caught.value.why
    assert "required: overlap 0.95" in caught.value.why
    assert "recall 1.000 before" in caught.value.why or "recall 0.9" in caught.value.why
    assert "passed  query @category:{boots}" in caught.value.why
    assert "was removed again; what served before still serves" in caught.value.why
    assert indexes(any_shop) == was
    assert any_shop.state().record("products") == physical
    assert any_shop.count("@category:{boots}") == COUNT // 3
    assert documents(any_shop.client) == before


def test_who_accepts_it_lowers_what_is_required(shop: Shop) -> None:
    """The check is the user's: with a lower threshold the same build serves, and the report tells what it found."""
    served(shop, {**KNN, "min_overlap": 0.001})
    declare(shop, **POOR)
    assert figures_of(shop.apply())["embedding overlap@10"] < 0.9
    shop.assert_settled()


def test_a_better_index_is_not_refused_for_differing(shop: Shop) -> None:
    """What a poor graph answered wrongly need not be answered by the good one."""
    served(shop, {**KNN, "min_overlap": 0.001})
    declare(shop, **POOR)
    shop.apply()
    shop.configure(indexes={"products": {"checks": [{**KNN, "min_overlap": 1.0}]}})
    declare(shop, algorithm="flat")
    figures = figures_of(shop.apply())
    assert figures["embedding recall@10 before"] < 0.9
    assert figures["embedding overlap@10"] == figures["embedding recall@10 after"] == 1.0


def test_a_change_that_loses_documents_of_a_query_fails(shop: Shop) -> None:
    """Another separator makes two tags of one: the index holds every document, and the query finds none of them."""
    for number in range(30):
        shop.client.hset(f"products:{number}", mapping={"category": "shoes|boots", "price": number})
    shop.declare("products", tag("category", separator="|"), numeric("price"))
    shop.apply()
    shop.configure(indexes={"products": {"checks": [BOOTS]}})
    shop.declare("products", tag("category"), numeric("price"))
    with pytest.raises(GateFailedError, match="fails 1 of 1 checks") as caught:
        shop.apply()
    assert "required: 30  found: 0" in caught.value.why
    assert shop.count("@category:{boots}") == 30


def test_a_query_that_cannot_be_asked_is_found_before_the_cutover(shop: Shop) -> None:
    """The server's own words are told, and the old index serves."""
    load_products(shop.client)
    shop.declare("products", text("title"), tag("category"))
    shop.apply()
    shop.configure(indexes={"products": {"checks": [{"query": "@category:{shoes"}]}})
    shop.declare("products", text("title", weight=2.0), tag("category"))
    with pytest.raises(GateFailedError, match="Syntax error"):
        shop.apply()
    assert shop.count("@category:{shoes}") == 20


class TestRecreate:
    """The old index is gone when the new one is checked: what it answered was kept."""

    ALLOW = ("SEARCH_DOWNTIME", "LOSES_PRECISION", "REWRITES_DOCUMENTS", "QUERY_ENCODING_CHANGES")

    def test_what_the_old_index_answered_is_compared(self, any_shop: Shop) -> None:
        """The plan measures first, drops then, and verifies last; what was kept is gone in the end."""
        served(any_shop, KNN, BOOTS, algorithm="flat", strategy="recreate")
        declare(any_shop, **GOOD)
        steps = operations(any_shop.plan())
        assert steps.index("take_baseline") < steps.index("drop_index") < steps.index("verify_index")
        report = any_shop.apply(allow=self.ALLOW)
        assert figures_of(report, "measure 2 checks")["embedding recall@10 before"] == 1.0
        figures = figures_of(report)
        assert figures["embedding overlap@10"] >= 0.95
        assert figures["found by @category:{boots}"] == COUNT / 3
        assert list(any_shop.client.scan_iter(match=f"{KEYS.tag}:run:*baseline*")) == []
        any_shop.assert_settled()

    def test_a_run_that_goes_on_after_the_drop_compares_with_what_was_kept(self, any_shop: Shop) -> None:
        """The process ends between drop and creation; the next one has no old index, and the gate is as strict."""
        served(any_shop, KNN, BOOTS, strategy="recreate")
        declare(any_shop, **POOR)

        def end_before_creation(event: Event) -> None:
            if isinstance(event, StepStarted) and event.operation == "create_index":
                raise EndedError

        with pytest.raises(EndedError):
            any_shop.apply(allow=self.ALLOW, on_event=end_before_creation)
        assert indexes(any_shop) == set()
        assert "take_baseline" not in operations(any_shop.plan())
        with pytest.raises(GateFailedError, match="fails 1 of 2 checks") as caught:
            any_shop.apply(allow=self.ALLOW)
        assert "required: overlap 0.95" in caught.value.why
        assert "passed  query" in caught.value.why

    @pytest.mark.requires("float16_vectors")
    def test_another_datatype_is_compared_with_the_vectors_before(self, shop: Shop) -> None:
        """The documents hold float16 by then."""
        served(shop, KNN, algorithm="flat", strategy="recreate", fields={"embedding": {"transform": "cast"}})
        declare(shop, algorithm="flat", datatype="float16")
        figures = figures_of(shop.apply(allow=self.ALLOW))
        assert figures["embedding overlap@10"] >= 0.98
        assert figures["embedding recall@10 after"] == 1.0
        assert len(shop.client.hget("products:7", "embedding")) == struct.calcsize(f"{DIMS}e")

    def test_a_poor_index_that_serves_already_stays_and_says_how_to_go_back(self, shop: Shop) -> None:
        """There is nothing to return to by itself: the error says so, and search goes on."""
        served(shop, KNN, strategy="recreate")
        declare(shop, **POOR)
        with pytest.raises(GateFailedError, match="fails 1 of 1 checks") as caught:
            shop.apply(allow=self.ALLOW)
        assert "The cutover has been made" in caught.value.why
        assert "to go back: rvlstate rollback products" in caught.value.next_step
        assert "was removed again" not in caught.value.why
        assert shop.count("@category:{boots}") == COUNT // 3
        assert caught.value.exit_code == 3
        shop.configure(indexes={"products": {"checks": [{**KNN, "min_overlap": 0.001}], "strategy": "recreate"}})
        shop.apply(allow=self.ALLOW)
        shop.assert_settled()


def test_the_gates_of_a_plan_are_its_steps(shop: Shop) -> None:
    """The plan holds the checks that are declared, so that a reviewed plan file carries out those."""
    served(shop, KNN, BOOTS, algorithm="flat")
    declare(shop, **GOOD)
    gates = [step.operation for step in shop.plan().steps if isinstance(step.operation, VerifyIndex | TakeBaseline)]
    assert [len(gate.checks) for gate in gates] == [2, 2]  # before the cutover, and behind the name after it
