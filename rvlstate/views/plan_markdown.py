"""A plan as markdown, for a comment on a pull request: totals first, then hazards, a table, the changes, the steps."""

from __future__ import annotations

from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.plan import IndexPlan, Plan
from rvlstate.views.alike import BLOCKS_SHOWN, Group, alike
from rvlstate.views.change_lines import (
    CLASS_WORDS,
    ChangeLine,
    change_lines,
    created_definitions,
    created_lines,
    physical_words,
)
from rvlstate.views.impact_words import basis_words, impact_words
from rvlstate.views.index_block import holds, refusals, unverifiable
from rvlstate.views.markdown import cell, code, fence, folded, prose, table
from rvlstate.views.plan_words import Offer, is_held_back, next_words, server_words, totals, worth_telling
from rvlstate.views.quantities import count, number

NO_CHANGES = "**No changes.** Live matches the declared set."
MOST_CHARACTERS = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""

ROWS_SHOWN = 200
HAZARDS_SHOWN = 40


def render_plan(plan: Plan, offer: Offer) -> str:
    """The whole plan, or as much as fits into a comment: totals and hazards always, details as far as they go."""
    told = [index for index in plan.indexes if worth_telling(index)]
    head = [*_head(plan, offer), *_hazards(plan), *_held_back(plan), *_table(told)]
    tail = _next(plan, offer)
    room = MOST_CHARACTERS - _size(head) - _size(tail)
    details, left_out = _details(plan, told, room)
    room -= _size(details)
    steps = _steps(plan)
    if _size(steps) > room:
        steps, left_out = [], [*left_out, "the steps"] if plan.steps else left_out
    missing = ["", f"_Left out for length: {', '.join(left_out)}; `rvlstate plan` shows all._"] if left_out else []
    return "\n".join([*head, *details, *steps, *missing, *tail]) + "\n"


def _head(plan: Plan, offer: Offer) -> list[str]:
    reversible = sum(step.operation.reversible for step in plan.steps)
    steps = f" {count(len(plan.steps), 'step')}, {reversible} reversible." if plan.steps else ""
    summary = f"**{totals(plan)}**{steps}" if plan.steps or not plan.empty else f"{NO_CHANGES} {totals(plan)}"
    lines = [f"### rvlstate plan: {code(plan.project)}", "", summary, "", f"_{prose(server_words(plan, offer))}_", ""]
    return lines + [line for warning in plan.warnings for line in ("> [!WARNING]", f"> {prose(warning)}", "")]


def _hazards(plan: Plan) -> list[str]:
    found = [(index.name, hazard) for index in plan.indexes for hazard in index.hazards]
    if not found:
        return []
    lines = [f"> - `{hazard.code}` {code(name)}: {prose(hazard.message)}" for name, hazard in found[:HAZARDS_SHOWN]]
    if len(found) > HAZARDS_SHOWN:
        lines.append(f"> - and {number(len(found) - HAZARDS_SHOWN)} more")
    return ["> [!WARNING]", "> **Hazards**", *lines, ""]


def _held_back(plan: Plan) -> list[str]:
    lines = []
    for index in plan.indexes:
        lines += [f"> - refused: {prose(reason)}" for reason in refusals(index)]
        lines += [f"> - not yet: {code(index.name)}: {prose(text)}" for text in holds(index)]
    return ["> [!CAUTION]", "> **Held back**", *lines, ""] if lines else []


def _table(told: list[IndexPlan]) -> list[str]:
    if not told:
        return []
    rows = [_table_row(index) for index in told[:ROWS_SHOWN]]
    more = [f"_and {number(len(told) - ROWS_SHOWN)} more indexes_", ""] if len(told) > ROWS_SHOWN else []
    head = ("index", "action", "class", "physical", "documents", "hazards")
    return [*table(head, rows), "", *more]


def _table_row(index: IndexPlan) -> tuple[str, ...]:
    documents = index.impact.documents
    renamed = f" (renamed from {cell(index.renamed_from)})" if index.renamed_from else ""
    return (
        cell(index.name) + renamed,
        f"{index.action}, held back" if is_held_back(index) else index.action,
        CLASS_WORDS.get(index.classification or "", "") if index.action == "update" else "",
        cell(physical_words(index.physical_before, index.physical_after)),
        "?" if documents is None else number(documents),
        " ".join(sorted({f"`{hazard.code}`" for hazard in index.hazards})),
    )


def _details(plan: Plan, told: list[IndexPlan], room: int) -> tuple[list[str], list[str]]:
    """A block for each index as long as there is room, and what was left out."""
    lines: list[str] = []
    blocks = _blocks(plan, told)
    for place, block in enumerate(blocks):
        room -= _size(block)
        if room < 0:
            return lines, [f"the changes of {count(len(blocks) - place, 'index', 'indexes')}"]
        lines += block
    return lines, []


def _blocks(plan: Plan, told: list[IndexPlan]) -> list[list[str]]:
    created = created_definitions(plan)
    groups = alike(told, created) if len(told) > BLOCKS_SHOWN else []
    grouped = {name for group in groups for name in group.names}
    single = [index for index in told if index.name not in grouped]
    return [*(_block(index, created.get(index.name)) for index in single), *(_group(group) for group in groups)]


def _group(group: Group) -> list[str]:
    names = ", ".join(code(name) for name in group.names)
    return [f"**{number(len(group.names))} indexes alike**: {names}", "", *_diff(group.lines), ""]


def _block(index: IndexPlan, definition: IndexDefinition | None) -> list[str]:
    lines = (*change_lines(index), *(created_lines(definition) if definition else ()))
    remarks = [f"- {prose(note)}" for note in index.notes]
    remarks += [f"- {prose(text)}" for text in unverifiable(index)]
    impact = impact_words(index)
    remarks += [f"- impact: {prose('; '.join(impact))} ({prose(basis_words(index))})"] if basis_words(index) else []
    if not lines and not remarks:
        return []
    diff = _diff(lines) if lines else []
    return [f"**{code(index.name)}**", "", *diff, *([""] if diff and remarks else []), *remarks, ""]


def _diff(lines: tuple[ChangeLine, ...]) -> list[str]:
    return fence([_diff_line(line) for line in lines], "diff")


def _diff_line(line: ChangeLine) -> str:
    """A line as a diff colours it: `!` is what diff viewers have for "changed"."""
    symbol = {"~": "!", "x": "!", ".": " "}.get(line.symbol, line.symbol)
    return f"{symbol} {line.subject}  {line.value}{f'    # {line.verdict}' if line.verdict else ''}"


def _steps(plan: Plan) -> list[str]:
    if not plan.steps:
        return []
    numbers = {step.id: place for place, step in enumerate(plan.steps, start=1)}
    rows = [
        (
            str(numbers[step.id]),
            cell(step.operation.summary),
            ", ".join(str(numbers[needed]) for needed in step.needs),
            " ".join(sorted({f"`{hazard.code}`" for hazard in step.operation.hazards})),
            "yes" if step.operation.reversible else "no",
        )
        for step in plan.steps
    ]
    title = f"{count(len(plan.steps), 'step')}"
    return [*folded(title, table(("", "step", "needs", "hazards", "reversible"), rows)), ""]


def _next(plan: Plan, offer: Offer) -> list[str]:
    return [
        f"- {words.label}{prose(words.text) if words.text else ''}{code(words.command) if words.command else ''}"
        for words in next_words(plan, offer)
    ]


def _size(lines: list[str]) -> int:
    return sum(len(line) + 1 for line in lines)
