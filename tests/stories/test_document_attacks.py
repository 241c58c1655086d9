"""Attacks on changes of documents: what an engineer who means harm, or does not look, found to go wrong."""

from __future__ import annotations

import json
import shutil
from random import Random
from typing import Any

import pytest
from document_shop import (
    COUNT,
    OTHERS,
    EndedError,
    embedding,
    ends_while,
    own_code,
    pending,
    put_json,
    recreate,
    served,
    vectors,
    wide,
)
from kit import Shop, text, vector

from rvlstate.cli.main import run
from rvlstate.errors import ChangeRefusedError, InterruptedRunError, RvlstateError, SpecError, StepFailedError
from rvlstate.events import Event, StepProgressed, StepStarted

pytest_plugins = ("story_fixtures",)


@pytest.mark.requires("json")
def test_json_vectors_of_many_digits_come_back(shop: Shop) -> None:
    """The server reads one long decimal in ten as its neighbour: that is not a write of somebody else."""
    random = Random(7)
    made: list[Any] = [{"title": f"t{number}", "v": [random.gauss(0, 1) for _ in range(32)]} for number in range(COUNT)]
    for number, document in enumerate(made):
        put_json(shop, f"products:{number}", document)
    held = [shop.client.execute_command("JSON.GET", f"products:{number}") for number in range(COUNT)]
    of_json = {"storage_type": "json"}
    shop.declare("products", text("title"), vector("v", algorithm="flat", dims=32, path="$.v"), **of_json)
    shop.apply()
    recreate(shop, backup="kept", fields={"v": {"transform": "own:grow", "version": 1}})
    own_code(shop, "def grow(vectors):\n    return vectors.astype('float64') * 1.1\n")
    shop.apply()
    grown = json.loads(shop.client.execute_command("JSON.GET", "products:7"))["v"]
    assert grown == pytest.approx([1.1 * value for value in made[7]["v"]], rel=1e-6)
    assert run(shop.arguments("rollback", "products", "--yes")) == 0
    assert [shop.client.execute_command("JSON.GET", f"products:{number}") for number in range(COUNT)] == held


def test_a_backup_that_is_deleted_while_it_is_written_stops_the_run(shop: Shop) -> None:
    """Nothing more is overwritten, and the error says that search is down."""
    served(shop)
    recreate(shop, backup="kept", batch_size=10)
    shop.declare("products", *OTHERS, embedding("float16"))

    def delete(event: Event) -> None:
        if isinstance(event, StepProgressed) and event.phase == "rewriting":
            shutil.rmtree(shop.folder / "kept", ignore_errors=True)

    with pytest.raises(StepFailedError, match="deleted while it was written") as failure:
        shop.apply(on_event=delete)
    assert "Search on products is down" in failure.value.why


def test_a_schema_that_goes_in_the_middle_is_missed(shop: Shop) -> None:
    """Its documents are half rewritten: forgetting it would leave them so for good."""
    served(shop)
    recreate(shop, backup="kept", batch_size=5, max_docs_per_second=60)
    shop.declare("products", *OTHERS, embedding("float16"))
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_while("rewriting"))
    assert pending(shop).dropped
    shop.configure(indexes={})
    shop.undeclare("products")
    shop.declare("others", text("title"))
    with pytest.raises(ChangeRefusedError, match="rvlstate rollback products"):
        shop.apply(allow=("DELETES_INDEX",))
    assert run(shop.arguments("rollback", "products", "--yes", "--backup", str(shop.folder / "kept"))) == 0
    assert vectors(shop, 0, 1, COUNT - 1) == [wide(0), wide(1), wide(COUNT - 1)]


@pytest.mark.parametrize("how", ["stopped", "broken"])
def test_whatever_ends_a_recreate_after_the_drop_says_that_search_is_down(shop: Shop, how: str) -> None:
    """Also an order to stop, and code of the user's own that cannot be imported any more."""
    served(shop)
    recreate(shop, fields={"embedding": {"transform": "own:same", "version": 1}})
    own_code(shop, "def same(vectors):\n    return vectors\n")

    def stop(event: Event) -> None:
        if isinstance(event, StepStarted) and event.operation == "rewrite_documents":
            raise InterruptedRunError("stopped on an order") if how == "stopped" else EndedError

    with pytest.raises((InterruptedRunError, EndedError)) as failure:
        shop.apply(on_event=stop)
    if how == "broken":
        own_code(shop, "def same(vectors:\n")
        with pytest.raises(SpecError) as failure:
            shop.apply()
        with shop.project() as project:
            assert project.history(1)[0].result == "failed"
    assert isinstance(failure.value, RvlstateError)
    assert "Search on products is down" in failure.value.why


def test_a_rollback_without_any_original_is_refused(shop: Shop) -> None:
    """The old index over documents in the new layout would find none of them."""
    served(shop)
    recreate(shop, backup="kept")
    shop.declare("products", *OTHERS, embedding("float16"))
    shop.apply()
    for segment in (shop.folder / "kept").glob("*/*.segment"):
        segment.unlink()
    assert run(shop.arguments("rollback", "products", "--yes")) == 3
    assert shop.count() == COUNT
