"""Views of plans and graphs: what people and scripts are shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from render_cases import CASES, CATEGORIES, PLACE, PRODUCTS, declared, empty, live, make_plan, plus
from view_kit import OFFER, RENDERS, compare, rendered_text

from rvlstate.plan.plan import Plan
from rvlstate.views.graph import dot_graph, mermaid_graph
from rvlstate.views.plan_json import plan_data
from rvlstate.views.plan_markdown import render_plan
from rvlstate.views.plan_text import Detail
from rvlstate.views.plan_words import Offer, next_words


def rendered_json(plan: Plan) -> str:
    """The JSON view of a plan."""
    return json.dumps(plan_data(plan), indent=2) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_shown_as_it_was_reviewed(name: str) -> None:
    """Text, markdown and JSON of each case equal the files that were read by eye."""
    plan = CASES[name]()
    compare(RENDERS / name / "plan.txt", rendered_text(plan))
    compare(RENDERS / name / "plan.md", render_plan(plan, OFFER))
    if name != "many":  # a megabyte, which nobody reads; the round trip tests cover it
        compare(RENDERS / name / "plan.json", rendered_json(plan))


def test_every_kept_render_belongs_to_a_case() -> None:
    """A case that was renamed leaves no file behind."""
    assert {folder.name for folder in RENDERS.iterdir()} == {*CASES, "views"}


def test_the_plan_as_json_has_every_key_of_the_contract() -> None:
    """Scripts rely on these names; more may be added."""
    data = plan_data(CASES["shadow_physical"]())
    assert data.keys() >= {
        *("format_version", "project", "created_at", "rvlstate_version", "lineage", "serial", "live_fingerprint"),
        *("desired_fingerprint", "server", "indexes", "steps", "unmanaged", "summary"),
    }
    assert data["format_version"] == "1.0"
    assert data["server"].keys() >= {"redis", "search", "cluster", "capabilities"}
    (index,) = data["indexes"]
    assert index.keys() >= {
        *("name", "action", "classification", "physical", "changes", "drift", "unverifiable", "hazards", "impact"),
    }
    assert index["physical"] == {"before": "products", "after": "{products}@1"}
    assert index["changes"][0].keys() == {"address", "before", "after", "classification", "reason"}
    assert index["hazards"][0].keys() == {"code", "message"}
    assert index["impact"].keys() >= {
        *("documents", "documents_written", "bytes_written", "peak_memory_bytes", "estimated_seconds"),
        "search_downtime_seconds",
    }
    assert data["steps"][0].keys() >= {
        *("id", "index", "operation", "summary", "needs", "hazards", "undo", "commands"),
    }
    assert data["summary"].keys() >= {
        *("create", "update", "delete", "in_place", "backfill", "shadow", "recreate", "refused"),
    }


def test_a_field_that_comes_or_goes_is_an_object_on_one_side() -> None:
    """`before` or `after` is null, the other one holds the type and the attributes."""
    changes = {change["address"]: change for change in plan_data(CASES["shadow_alias"]())["indexes"][0]["changes"]}
    added, removed = changes["products.fields.colour"], changes["products.fields.price"]
    assert (added["before"], added["after"]["type"]) == (None, "tag")
    assert (removed["before"]["type"], removed["after"]) == ("numeric", None)


def test_the_summary_counts_what_the_plan_holds() -> None:
    """Unchanged indexes are counted apart, and a held back one in its class as well."""
    summary = plan_data(CASES["refused"]())["summary"]
    assert (summary["update"], summary["refused"], summary["in_place"], summary["held_back"]) == (2, 1, 1, 1)
    assert plan_data(empty())["summary"]["unchanged"] == 2


def test_hundreds_of_indexes_stay_readable() -> None:
    """300 indexes, of which 100 change in two ways, make less than a hundred lines; -v holds nothing back."""
    plan = CASES["many"]()
    short, whole = rendered_text(plan), rendered_text(plan, detail=Detail(everything=True))
    assert len(short.splitlines()) < 100
    assert "40 indexes alike" in short
    assert "tenant_299" not in short
    assert "200 indexes unchanged" in short
    assert "FT.CREATE tenant_299@1" in whole


def test_a_plan_of_thousands_still_fits_into_a_comment() -> None:
    """A comment holds 65,536 characters: totals and hazards stay, details go, and the text says so."""
    small = make_plan([declared("one", plus(CATEGORIES, PLACE))], [live("one", CATEGORIES)])
    names = [f"tenant_{place:04}" for place in range(2_000)]
    change = small.indexes[0].changes[0]
    own = [replace(change, address=f"{name}.fields.{name}") for name in names]
    plan = replace(
        small,
        indexes=tuple(
            replace(small.indexes[0], name=name, changes=(mine,)) for name, mine in zip(names, own, strict=True)
        ),
        steps=tuple(replace(small.steps[0], id=f"{name}/1", index=name) for name in names),
    )
    text = render_plan(plan, OFFER)
    assert len(text) < 65_536
    assert "**2,000 to update (2,000 in place).** 2,000 steps" in text
    assert re.search(r"Left out for length: .* rows of the table, the changes of .*, the graph, .* steps", text)


def test_the_command_that_is_offered_can_be_pasted() -> None:
    """Hazards that are allowed already are left out, targets, the project and the plan file are kept."""
    plan = CASES["shadow_physical"]()
    offers = {
        Offer(): "rvlstate apply --allow CUTOVER_GAP --allow MEMORY_PEAK --allow NAME_BECOMES_ALIAS",
        Offer(allowed=("CUTOVER_GAP", "MEMORY_PEAK", "NAME_BECOMES_ALIAS")): "rvlstate apply",
        Offer(program=("rvlstate", "--project", "my shop.yaml"), plan_file="a plan.json"): (
            "rvlstate --project 'my shop.yaml' apply 'a plan.json'"
        ),
    }
    for offer, expected in offers.items():
        assert next_words(plan, offer)[-1].command == expected
    targeted = replace(CASES["in_place"](), targets=("products",))
    assert next_words(targeted, Offer())[-1].command == "rvlstate apply --target products"


def test_nothing_is_offered_for_an_empty_plan() -> None:
    """There is nothing to run."""
    assert next_words(empty(), Offer()) == ()
    assert rendered_text(empty()).endswith("No changes. Live matches the declared set.\n2 indexes unchanged.\n")


def test_the_graph_of_a_plan_is_shown_as_it_was_reviewed() -> None:
    """Mermaid and dot have a box for each index, an arrow for each need, and dash what cannot be undone."""
    plan = make_plan(
        [declared("products", plus(PRODUCTS, PLACE), depends_on=("topics",)), declared("topics", CATEGORIES)],
        [live("products", PRODUCTS), live("old", CATEGORIES)],
    )
    mermaid, dot = mermaid_graph(plan), dot_graph(plan)
    compare(RENDERS / "views" / "graph.mmd", mermaid)
    compare(RENDERS / "views" / "graph.dot", dot)
    needs = sum(len(step.needs) for step in plan.steps)
    arrow = re.compile(r"^  s\d+ --?> s\d+;?$", re.MULTILINE)
    assert len(arrow.findall(mermaid)) == len(arrow.findall(dot)) == needs


def test_what_is_under_way_is_no_agreement_and_nothing_to_run() -> None:
    """Live is not as declared while a change waits, and no command is offered but those of the change itself."""
    plan = CASES["waiting"]()
    text = " ".join(rendered_text(plan).split())
    assert (plan.steps, plan.waiting) == ((), True)
    assert "No changes." not in text
    assert "No changes." not in render_plan(plan, OFFER)
    assert "2 under way." in text
    assert "Run: " not in text
    assert "rvlstate cutover categories" in text
    assert "rvlstate complete topics" in text


def test_a_postponed_plan_is_applied_as_such() -> None:
    """The flag goes with the command that is offered."""
    offer = Offer(postpone=True)
    assert next_words(CASES["in_place"](), offer)[-1].command == "rvlstate apply --postpone-cutover"
