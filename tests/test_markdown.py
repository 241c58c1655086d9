"""A plan as the comment of a pull request: what stands where, how long it is, and how it ends when it is cut."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_kit import dangers, seen_by_github, tokens_of
from page_cases import many_changed, usual
from render_cases import CASES, CATEGORIES, PLACE, declared, live, make_plan, plus
from view_kit import OFFER

from rvlstate.views.graph import mermaid_graph
from rvlstate.views.plan_markdown import MOST_CHARACTERS, render_plan
from rvlstate.views.plan_words import Offer

LIMIT = 65_536
"""Of the body of a pull request on GitHub, in code points; a comment may have 262,144 bytes, which is never less."""

JOB = "https://ci.example/shop/-/jobs/17"


@pytest.mark.parametrize("name", CASES)
def test_a_comment_is_well_formed(name: str) -> None:
    """Every plan that is kept is parsed by GitHub's parser into nothing but what we mean."""
    assert dangers(render_plan(CASES[name](), OFFER)) == []


def test_a_comment_says_first_what_matters() -> None:
    """Summary with cost and downtime, hazards, table, changes, graph, steps, how to apply: in this order."""
    text = render_plan(usual(), OFFER)
    marks = [
        *(
            "### rvlstate plan: `shop`",
            "**2 to create, 2 to update",
            "search downtime: none but on what is deleted.",
            "> [!CAUTION]",
        ),
        *("`DELETES_INDEX`", "| index | action | class |", "<code>categories</code>", "```diff", "```mermaid"),
        *("<summary>16 steps</summary>", "**How to apply**", "- Run: `rvlstate apply --allow DELETES_INDEX`"),
    ]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_summary_tells_what_searches_notice() -> None:
    """No downtime, some milliseconds, or how long."""
    assert "search downtime: none." in render_plan(CASES["shadow_alias"](), OFFER)
    assert "search downtime: some milliseconds." in render_plan(CASES["shadow_physical"](), OFFER)


def test_the_graph_is_the_one_of_the_graph_command() -> None:
    """The fence holds what `rvlstate graph` writes, whole, so that the forge can draw it."""
    plan = usual()
    fences = [token for token in tokens_of(render_plan(plan, OFFER)) if token.type == "fence"]
    assert [token.content for token in fences if token.info == "mermaid"] == [mermaid_graph(plan)]


def test_the_changes_are_diffs() -> None:
    """Each line begins with what a diff viewer colours."""
    plan = CASES["shadow_alias"]()
    (diff,) = (token for token in tokens_of(render_plan(plan, OFFER)) if token.info == "diff")
    assert [line[0] for line in diff.content.splitlines()] == ["+", "!", "!", "-"]


def test_few_indexes_are_shown_at_once_and_many_are_folded() -> None:
    """What fits on a screen need not be clicked."""
    assert ("details open", "") in seen_by_github(render_plan(CASES["in_place"](), OFFER)).attributes
    assert ("details open", "") not in seen_by_github(render_plan(usual(), OFFER)).attributes


def test_what_is_long_is_folded_so_that_the_end_is_seen() -> None:
    """Of 300 indexes a reader sees the summary, the hazards and how to apply: all else is behind a few titles."""
    shown, depth = [], 0
    for line in render_plan(many_changed(), OFFER).splitlines():
        depth -= line == "</details>"
        shown += [line] if not depth else []
        depth += line.startswith("<details")
    assert depth == 0
    assert len(shown) < 30
    assert any("300 to update" in line for line in shown)
    assert any("`rvlstate apply" in line for line in shown)
    assert not any(line.startswith("|") for line in shown)


@pytest.mark.parametrize("text", ["", "<b>|`@team #1 " * 20, "\U0001f480" * 150], ids=["usual", "hostile", "wide"])
def test_three_hundred_changes_fit_and_are_well_formed(text: str) -> None:
    """Whatever the names are: within the limit, everything closed, and what is missing is said with where it is."""
    plan = many_changed(300, text)
    comment = render_plan(plan, Offer(plan_file="plan.json"), job_url=JOB)
    assert len(comment) <= MOST_CHARACTERS <= LIMIT
    assert len(comment.encode()) <= 4 * LIMIT
    assert dangers(comment.replace(f"[the CI job]({JOB})", "")) == []
    assert "300 to update (300 in place)" in comment
    assert "`LOSES_PRECISION` on 297 more indexes" in comment
    assert re.search(r"_Left out for length: .*the changes of \d+ indexes.*`rvlstate plan` shows all of it", comment)
    assert "the plan file `plan.json` holds it" in comment
    assert f"[the CI job]({JOB}) made it" in comment
    assert "- Run: `rvlstate apply plan.json`" in comment


@pytest.mark.parametrize("number", [1, 30, 60, 150, 800])
def test_any_number_of_changes_fits(number: int) -> None:
    """The cut comes at the end of a block wherever it comes."""
    comment = render_plan(many_changed(number, "_with_a_rather_long_name"), OFFER)
    assert len(comment) <= MOST_CHARACTERS
    assert dangers(comment) == []
    assert ("Left out for length" in comment) == (number > 60)


@pytest.mark.parametrize("most", range(3_000, 30_000, 1_300))
def test_a_comment_keeps_to_whatever_room_it_has(most: int) -> None:
    """At every size the text is whole, and uses most of what it was given while something is left out."""
    comment = render_plan(many_changed(60), OFFER, most=most)
    assert len(comment) <= most
    assert dangers(comment) == []
    assert len(comment) > most * 0.5


def test_a_command_that_is_too_long_is_not_shown_in_part() -> None:
    """Half a command would do half of it."""
    plan = make_plan(
        [declared(name, plus(CATEGORIES, PLACE)) for name in (f"{'x' * 300}{place}" for place in range(30))],
        [live(f"{'x' * 300}{place}", CATEGORIES) for place in range(30)],
    )
    targeted = render_plan(replace(plan, targets=tuple(index.name for index in plan.indexes)), OFFER)
    assert "the command is too long to be shown here" in targeted
    assert "--target" not in targeted


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/](https://evil)", "https://x/ y", "https://x/)!["])
def test_the_address_of_the_job_is_a_link_only_if_it_is_one(url: str) -> None:
    """It comes from the environment."""
    comment = render_plan(many_changed(300), OFFER, job_url=url)
    assert dangers(comment) == []
