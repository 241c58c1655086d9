"""Documents that do not fit a new index: none of them fits, some do not, and what is counted of the index before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cli_kit import Cli

from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.field import TextField
from rvlstate.model.state import Record, State
from rvlstate.plan.build import build_plan
from rvlstate.plan.operations import VerifyIndex
from rvlstate.plan.situation import World

pytest_plugins = ("cli_fixtures",)


def fill(cli: Cli, dims: int, numbers: range) -> None:
    """Documents with a vector of so many dims."""
    for number in numbers:
        vector = np.full(dims, number + 1, np.float32).tobytes()
        cli.client.hset(f"products:{number}", mapping={"title": f"shoe {number}", "vec": vector})


@pytest.fixture
def declared(cli: Cli) -> Cli:
    """An index over vectors of 128 dims, and nothing else."""
    (cli.folder / "indexes" / "categories.yaml").unlink()
    cli.declare("products", "title:text", "vec:vector:128")
    return cli


def test_a_new_index_that_no_document_fits_is_refused(declared: Cli) -> None:
    """With the figures and the last failure; the index is removed, and applies once the declaration is right."""
    fill(declared, 64, range(30))
    told = declared.run("apply", "--yes")
    assert told.code == 3
    assert "products@1 finds nothing: no document fits the declared index" in told.err
    assert "It holds 0 documents." in told.err
    assert "30 indexing failures; the last, on products:" in told.err
    assert declared.client.execute_command("FT._LIST") == []
    declared.declare("products", "title:text", "vec:vector:64")
    done = declared.run("apply", "--yes")
    assert (done.code, "warning" in done.out) == (0, False), done.err
    assert "30 documents" in done.out


def test_a_new_index_that_some_documents_do_not_fit_is_made_with_a_warning(declared: Cli) -> None:
    """They may be leftovers; how many they are is told."""
    fill(declared, 128, range(20))
    fill(declared, 64, range(20, 30))
    done = declared.run("apply", "--yes")
    assert done.code == 0, done.err
    assert "20 documents, 10 indexing failures" in done.out
    assert "warning: products: 10 indexing failures: documents that do not fit the declared index" in done.out
    steps = declared.run(
        "history", declared.run("history", "--format", "json").data["runs"][0]["id"], "--format", "json"
    )
    assert steps.data["steps"][-2]["figures"]["indexing_failures"] == 10


def test_a_new_index_over_nothing_is_none_of_that(declared: Cli) -> None:
    """Where there are no documents, none can be missing."""
    done = declared.run("apply", "--yes")
    assert (done.code, "warning" in done.out) == (0, False), done.err


def test_an_index_that_is_made_again_and_finds_nothing_is_told(declared: Cli) -> None:
    """After a recreate it serves already: exit code 3, and the words say so."""
    fill(declared, 128, range(5))
    declared.applied()
    fill(declared, 64, range(5))
    with (declared.folder / "rvlstate.yaml").open("a") as file:
        file.write("indexes: {products: {strategy: recreate}}\n")
    declared.declare("products", "vec:vector:128")
    told = declared.run("apply", "--yes", "--allow", "SEARCH_DOWNTIME", "--allow", "DELETES_INDEX")
    assert told.code == 3, told.out + told.err
    assert "finds nothing" in told.err
    assert "The cutover has been made" in told.err


@pytest.mark.parametrize(("physical", "known"), [("goods@1", 7), ("goods@0", 0)])
def test_failures_of_copies_are_known_to_the_gate_of_the_next_change(physical: str, known: int) -> None:
    """Those that the state has noted of the very index that serves, so that a new one may not have as many."""
    before = IndexDefinition(prefixes=("p:",), fields=(TextField(name="t", identifier="t"),))
    after = replace(before, filter="@t != ''")
    world = World(
        catalog=Catalog(indexes=(LiveIndex(name="goods@1", definition=mask(before)),), aliases=(("goods", "goods@1"),)),
        state=State(
            lineage="x", serial=1, records=(Record(name="goods", physical=physical, definition=before, failures=7),)
        ),
        server=ServerProfile(redis="8.2", search="2.10", capabilities=("alias_list", "atomic_takeover")),
    )
    desired = Desired(project="shop", indexes=(DesiredIndex(name="goods", definition=after),))
    operations = [step.operation for step in build_plan(desired, world).steps]
    (gate,) = [operation for operation in operations if isinstance(operation, VerifyIndex)]
    assert (gate.same_documents, gate.known_failures, gate.finds) == (False, known, False)
