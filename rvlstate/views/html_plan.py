"""A plan as a page: what and how much, hazards, indexes, changes, the graph of the steps, how to apply."""

from __future__ import annotations

from rvlstate.plan.plan import IndexPlan, Plan, Step
from rvlstate.views.change_lines import CLASS_WORDS, created_definitions
from rvlstate.views.html_diff import index_part
from rvlstate.views.html_elements import Content, Html, element, joined, name
from rvlstate.views.html_graph import lanes_drawn, lay_out, rail
from rvlstate.views.html_page import figures, render_page, section
from rvlstate.views.html_tables import Column, table
from rvlstate.views.index_block import holds, refusals
from rvlstate.views.plan_costs import downtime, duration, rewritten
from rvlstate.views.plan_words import Offer, is_held_back, is_settled, next_words, server_words, totals, worth_telling
from rvlstate.views.quantities import count, number

LONGEST_COMMAND = 20_000
COLUMNS = (
    Column(title="Index"),
    Column(title="Action", word=True),
    Column(title="Class", word=True),
    Column(title="Documents", number=True),
    Column(title="Rewrites"),
    Column(title="Takes", number=True),
    Column(title="Search downtime", number=True),
)
REFUSED = "Apply refuses the whole plan until what is refused is mended."
LEGEND = (
    "Read downwards: a step waits for all that lead to it. "
    "A hollow node cannot be undone; a node with a ring around it has a hazard."
)


def render_plan_page(plan: Plan, offer: Offer) -> str:
    """The whole plan as one HTML file."""
    told = [index for index in plan.indexes if worth_telling(index)]
    created = created_definitions(plan)
    parts = [
        _hazards(plan),
        _held_back(plan),
        _warnings(plan),
        section("Indexes", _overview(told)) if told else None,
        section("Changes", *(index_part(index, created.get(index.name)) for index in told)) if told else None,
        section("Steps", element("p", LEGEND, class_="quiet"), graph(plan.steps)) if plan.steps else None,
        _next(plan, offer),
    ]
    return render_page(
        title=plan.project,
        kind="rvlstate plan",
        head=_head(plan, offer),
        sections=[part for part in parts if part is not None],
        foot=_foot(plan),
    )


def graph(steps: tuple[Step, ...]) -> Html:
    """The steps, each in a row with its node and its lanes, and behind a click what it sends and how it is undone."""
    rows = lay_out(steps)
    numbers = {step.id: place for place, step in enumerate(steps, start=1)}
    return element(
        "ol",
        *(
            element("li", rail(row, _tone(step)), element("div", _step(step, numbers), class_="step"))
            for row, step in zip(rows, steps, strict=True)
        ),
        class_=f"graph lanes-{lanes_drawn(rows)}",
    )


def badge(text: str, tone: str) -> Html:
    """A word that catches the eye."""
    return element("span", text, class_=f"badge {tone}")


def _head(plan: Plan, offer: Offer) -> Html:
    summary = f"No changes. Live matches the declared set. {totals(plan)}" if is_settled(plan) else totals(plan)
    reversible = sum(step.operation.reversible for step in plan.steps)
    steps = f"{number(len(plan.steps))}, {number(reversible)} reversible" if plan.steps else ""
    search = downtime(plan.indexes)
    held_back = sum(is_held_back(index) for index in plan.indexes)
    pairs = [
        ("Held back", count(held_back, "index", "indexes") if held_back else "", "bad"),
        ("Steps", steps, ""),
        ("Takes", duration(plan.indexes), ""),
        ("Rewrites", rewritten(plan.indexes) or ("no document" if plan.steps else ""), ""),
        ("Search downtime", search if plan.steps else "", "good" if search == "none" else "bad"),
    ]
    return joined(
        element("h1", plan.project),
        element("p", summary, class_="summary"),
        element("p", server_words(plan, offer), class_="quiet"),
        figures(pairs) if plan.steps or held_back else None,
    )


def _hazards(plan: Plan) -> Html | None:
    found = [(index, hazard) for index in plan.indexes for hazard in index.hazards]
    if not found:
        return None
    rows = [
        element("li", badge(hazard.code, "bad"), " ", name(index.name), " ", element("span", hazard.message))
        for index, hazard in found
    ]
    return section("Hazards", element("ul", *rows, class_="notices"), kind="bad")


def _held_back(plan: Plan) -> Html | None:
    rows = []
    for index in plan.indexes:
        refused = [(badge("refused", "bad"), text) for text in refusals(index)]
        waiting = [(badge("waiting", "warn"), text) for text in holds(index)]
        rows += [element("li", label, " ", name(index.name), " ", text) for label, text in (*refused, *waiting)]
    told = element("p", REFUSED, class_="quiet") if any(index.refused for index in plan.indexes) else None
    return section("Held back or waiting", told, element("ul", *rows, class_="notices"), kind="warn") if rows else None


def _warnings(plan: Plan) -> Html | None:
    rows = [element("li", warning) for warning in plan.warnings]
    return section("Good to know", element("ul", *rows, class_="notices")) if rows else None


def _overview(told: list[IndexPlan]) -> Html:
    return table("What happens to each index, and what it costs", COLUMNS, [_overview_row(index) for index in told])


def _overview_row(index: IndexPlan) -> list[Content]:
    documents = index.impact.documents
    working = index.action == "update" and not is_held_back(index)
    renamed: list[Html | str] = [" renamed from ", name(index.renamed_from)] if index.renamed_from else []
    return [
        [name(index.name), *renamed],
        f"{index.action}, held back" if is_held_back(index) else index.action,
        CLASS_WORDS.get(index.classification or "", "") if index.action == "update" else "",
        "" if documents is None else number(documents),
        (rewritten([index]) or "no document") if working else "",
        duration([index]) if working else "",
        downtime([index]) if working else "",
    ]


def _tone(step: Step) -> str:
    return " ".join(
        word
        for word, holds_true in (("final", not step.operation.reversible), ("hazard", bool(step.operation.hazards)))
        if holds_true
    )


def _step(step: Step, numbers: dict[str, int]) -> list[Html]:
    operation = step.operation
    codes = sorted({hazard.code for hazard in operation.hazards})
    needs = ", ".join(str(numbers[needed]) for needed in step.needs if needed in numbers)
    undo = joined("Undo: ", operation.undo) if operation.reversible else joined("Cannot be undone: ", operation.undo)
    return [
        element("p", element("span", str(numbers[step.id]), class_="number"), " ", operation.summary, class_="what"),
        element("p", *(part for code in codes for part in (badge(code, "bad"), " "))) if codes else Html(""),
        element(
            "details",
            element("summary", "Details", element("span", f" of step {numbers[step.id]}", class_="unseen")),
            element("p", undo),
            element("p", f"Waits for step {needs}." if needs else "Waits for no other step."),
            element("pre", *_commands(step)) if operation.commands else None,
        ),
    ]


def _commands(step: Step) -> list[Html]:
    return [joined(name(command, longest=LONGEST_COMMAND), Html("\n")) for command in step.operation.commands]


def _next(plan: Plan, offer: Offer) -> Html | None:
    words = next_words(plan, offer)
    rows = [
        element(
            "li",
            word.label,
            word.text,
            element("pre", name(word.command, longest=LONGEST_COMMAND)) if word.command else None,
        )
        for word in words
    ]
    return section("How to apply" if plan.steps else "Next", element("ul", *rows, class_="notices")) if rows else None


def _foot(plan: Plan) -> Html:
    made = f"Planned {plan.created_at} by rvlstate {plan.rvlstate_version}." if plan.created_at else ""
    prints = [("live", plan.live_fingerprint), ("declared", plan.desired_fingerprint), ("plan", plan.id)]
    return joined(
        element("p", made, " ", count(len(plan.indexes), "index", "indexes"), " looked at."),
        element("dl", *(element("div", element("dt", word), element("dd", name(value))) for word, value in prints)),
    )
