"""What changes about one index, as a part of a page: its lines as a diff, remarks, and what it costs."""

from __future__ import annotations

from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.plan import IndexPlan
from rvlstate.views.change_lines import CLASS_WORDS, ChangeLine, Tone, change_lines, created_lines, physical_words
from rvlstate.views.html_elements import Html, element, name
from rvlstate.views.impact_words import basis_words, impact_words
from rvlstate.views.index_block import unverifiable
from rvlstate.views.plan_words import is_held_back
from rvlstate.views.quantities import count

SPOKEN: dict[Tone, str] = {
    "add": "added",
    "change": "changed",
    "remove": "removed",
    "drift": "drifted",
    "refused": "refused",
    "idle": "not applied",
}
TONES = {"create": "good", "delete": "bad", "adopt": "plain", "no-op": "plain", "update": "accent"}


def index_part(index: IndexPlan, definition: IndexDefinition | None) -> Html:
    """All that is said about one index."""
    lines = (*change_lines(index), *(created_lines(definition) if definition else ()))
    where = physical_words(index.physical_before, index.physical_after)
    held_back = is_held_back(index)
    word = (
        "held back"
        if held_back
        else CLASS_WORDS.get(index.classification or "", "")
        if index.action == "update"
        else ""
    )
    about = [count(len(lines), "change")] if lines and index.action == "update" else []
    return element(
        "article",
        element("h3", name(index.name)),
        element(
            "p",
            element("span", word or index.action, class_=f"badge {'bad' if held_back else TONES[index.action]}"),
            " ",
            ", ".join(about),
            *((" on " if about else "", name(where)) if where else ()),
            class_="quiet",
        ),
        _diff(lines) if lines else None,
        _remarks(index),
    )


def _diff(lines: tuple[ChangeLine, ...]) -> Html:
    return element("ul", *(_line(line) for line in lines), class_="diff")


def _line(line: ChangeLine) -> Html:
    sign = element("span", line.symbol, class_="sign", aria_hidden="true")
    spoken = element("span", f"{SPOKEN[line.tone]}: ", class_="unseen")
    body = element("span", element("b", line.subject), " ", line.value, class_="body")
    why = element("span", line.verdict, class_="why") if line.verdict else None
    return element("li", sign, spoken, body, why, class_=line.tone)


def _remarks(index: IndexPlan) -> Html | None:
    impact = [element("li", "Cost: ", "; ".join(impact_words(index)), ".")] if impact_words(index) else []
    basis = [element("li", "Basis: ", basis_words(index), ".")] if basis_words(index) else []
    rows = [*(element("li", text) for text in (*index.notes, *unverifiable(index))), *impact, *basis]
    return element("ul", *rows, class_="remarks") if rows else None
