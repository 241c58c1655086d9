"""A plan as markdown, for a comment on a pull request: what and how much, hazards, indexes, changes, how to apply."""

from __future__ import annotations

import re

from rvlstate.plan.plan import IndexPlan, Plan, Step
from rvlstate.views.graph import mermaid_graph
from rvlstate.views.index_block import holds, refusals
from rvlstate.views.markdown import cell, code, fence_as_is, folded, prose, table_head, table_row
from rvlstate.views.markdown_index import HEAD, index_blocks, index_row
from rvlstate.views.markdown_room import Room
from rvlstate.views.plan_costs import cost_words
from rvlstate.views.plan_words import Offer, is_settled, next_words, server_words, totals, worth_telling
from rvlstate.views.quantities import count, number

NO_CHANGES = "**No changes.** Live matches the declared set."
MOST_CHARACTERS = 64_000
"""GitHub takes 65,536 characters (code points) of a body; what posts it adds a marker of its own."""

LONGEST_COMMAND = 2_000
"""A command that is longer cannot be shown whole, and a part of it must not be pasted."""

EACH_HAZARD = 3
"""Of each code so many hazards are told in full."""

ROWS_SHOWN, CHANGES = 25, "Changes"
"""A table of more rows is folded, and so are the changes of more indexes."""

HELD_BACK = "Held back: apply refuses the whole plan until this is mended"
NEEDS_SHOWN = 12
MERMAID_CHARACTERS, MERMAID_STEPS = 20_000, 100
"""Mermaid refuses 50,000 characters or 500 arrows; long before that nobody sees anything in the picture."""

_LINK = re.compile(r"https?://[\w.:/?=&%+~-]{1,500}(?:#[\w-]*)?")


def render_plan(plan: Plan, offer: Offer, *, job_url: str = "", most: int = MOST_CHARACTERS) -> str:
    """The whole plan, or as much as fits into `most` characters: what is left out is named, with where to see it.

    `job_url` is the address of the CI job that made the plan, "" if there is none.
    """
    told = [index for index in plan.indexes if worth_telling(index)]
    room = Room(left=most - 800)  # for what is said about what is missing
    head, tail = _head(plan, offer), _next(plan, offer)
    room.reserve([*head, *tail])
    alerts = [*_hazards(plan, room), *_held_back(plan, room), *_waiting(plan, room), *_warnings(plan, room)]
    table = _table(told, room)
    details = [*_details(plan, told, room), *_graph(plan, room), *_steps(plan, room)]
    missing = [_missing(room.missing, offer, job_url), ""] if room.missing else []
    return "\n".join([*head, *alerts, *table, *details, *missing, *tail]).rstrip("\n") + "\n"


def _head(plan: Plan, offer: Offer) -> list[str]:
    reversible = sum(step.operation.reversible for step in plan.steps)
    steps = f" {count(len(plan.steps), 'step')}, {reversible} reversible." if plan.steps else ""
    summary = f"{NO_CHANGES} {totals(plan)}" if is_settled(plan) else f"**{totals(plan)}**{steps}"
    costs = "; ".join(cost_words(plan))
    cost = f" {costs[:1].upper()}{costs[1:]}." if costs else ""
    return [
        f"### rvlstate plan: {code(plan.project)}",
        "",
        summary + cost,
        "",
        f"_{prose(server_words(plan, offer))}_",
        "",
    ]


def _hazards(plan: Plan, room: Room) -> list[str]:
    found: dict[str, list[str]] = {}
    for index in plan.indexes:
        for hazard in index.hazards:
            found.setdefault(hazard.code, []).append(f"{code(index.name)}: {prose(hazard.message)}")
    blocks = []
    for hazard_code, messages in sorted(found.items()):
        blocks += [[f"> - `{hazard_code}` {message}"] for message in messages[:EACH_HAZARD]]
        rest = len(messages) - EACH_HAZARD
        blocks += [[f"> - `{hazard_code}` on {count(rest, 'more index', 'more indexes')}"]] if rest > 0 else []
    return _alert("CAUTION", "Hazards", blocks, room, "hazards")


def _held_back(plan: Plan, room: Room) -> list[str]:
    blocks = []
    for index in plan.indexes:
        told = [reason.removeprefix(f"{index.name}.") for reason in refusals(index)]
        blocks += [[f"> - {code(index.name)}: refused: {prose(reason)}"] for reason in told]
    return _alert("WARNING", HELD_BACK, blocks, room, "what is held back")


def _waiting(plan: Plan, room: Room) -> list[str]:
    blocks = [[f"> - {code(index.name)}: {prose(text)}"] for index in plan.indexes for text in holds(index)]
    return _alert("NOTE", "Waiting", blocks, room, "changes that wait")


def _warnings(plan: Plan, room: Room) -> list[str]:
    blocks = [[f"> - {prose(warning)}"] for warning in plan.warnings]
    return _alert("NOTE", "Good to know", blocks, room, "warnings")


def _alert(kind: str, title: str, blocks: list[list[str]], room: Room, noun: str) -> list[str]:
    frame = [f"> [!{kind}]", f"> **{title}**", ">", ""]
    lines, left_out = room.take(blocks, share=0.25, frame=frame)
    if left_out:
        room.missing.append(f"{number(left_out)} lines about {noun}")
    return [*frame[:3], *lines, ""] if lines else []


def _table(told: list[IndexPlan], room: Room) -> list[str]:
    """The table, folded where it is so long that nobody would find what comes after it."""
    title, head = count(len(told), "index", "indexes"), table_head(HEAD)
    is_long = len(told) > ROWS_SHOWN
    frame = [*(folded(title, head) if is_long else head), ""]
    rows, left_out = room.take([[index_row(index)] for index in told], share=0.45, frame=frame)
    if left_out:
        room.missing.append(f"{number(left_out)} rows of the table")
    return [*(folded(title, [*head, *rows]) if is_long else [*head, *rows]), ""] if rows else []


def _details(plan: Plan, told: list[IndexPlan], room: Room) -> list[str]:
    blocks = index_blocks(plan, told)
    is_long = len(blocks) > ROWS_SHOWN
    lines, left_out = room.take(blocks, frame=[*folded(CHANGES, []), ""] if is_long else ())
    if left_out:
        room.missing.append(f"the changes of {count(left_out, 'index', 'indexes')}")
    return [*folded(CHANGES, lines), ""] if is_long and lines else lines


def _graph(plan: Plan, room: Room) -> list[str]:
    if len(plan.steps) < 2:  # noqa: PLR2004 - one box shows nothing
        return []
    chart = mermaid_graph(plan).splitlines() if len(plan.steps) <= MERMAID_STEPS else []
    final = any(not step.operation.reversible for step in plan.steps)
    title = f"Graph of the steps{' (dashed: cannot be undone)' if final else ''}"
    block = [*folded(title, fence_as_is(chart, "mermaid")), ""]
    small = bool(chart) and sum(map(len, chart)) <= MERMAID_CHARACTERS
    lines, left_out = room.take([block]) if small else ([], 1)
    if left_out:
        room.missing.append("the graph")
    return lines


def _steps(plan: Plan, room: Room) -> list[str]:
    """The steps in a table: all of them, or as many as there is room for."""
    numbers = {step.id: place for place, step in enumerate(plan.steps, start=1)}
    head = table_head(("", "step", "needs", "hazards", "reversible"))
    frame = [*folded(count(len(plan.steps), "step"), head), ""]
    rows, left_out = room.take([[_step_row(step, numbers)] for step in plan.steps], frame=frame)
    if left_out:
        room.missing.append(f"{number(left_out)} steps")
    return [*folded(count(len(plan.steps), "step"), [*head, *rows]), ""] if rows else []


def _step_row(step: Step, numbers: dict[str, int]) -> str:
    return table_row(
        (
            str(numbers[step.id]),
            cell(step.operation.summary),
            ", ".join(str(numbers[needed]) for needed in step.needs[:NEEDS_SHOWN]) + _more(len(step.needs)),
            " ".join(sorted({f"`{hazard.code}`" for hazard in step.operation.hazards})),
            "yes" if step.operation.reversible else "no",
        )
    )


def _more(needs: int) -> str:
    return f" and {number(needs - NEEDS_SHOWN)} more" if needs > NEEDS_SHOWN else ""


def _missing(missing: list[str], offer: Offer, job_url: str) -> str:
    where = [f"{code(offer.command('plan'))} shows all of it"]
    where += [f"the plan file {code(offer.plan_file)} holds it"] if offer.plan_file else []
    if job_url:
        where.append(f"[the CI job]({job_url}) made it" if _LINK.fullmatch(job_url) else f"{code(job_url)} made it")
    return f"_Left out for length: {', '.join(missing)}._ {'; '.join(where)}."


def _next(plan: Plan, offer: Offer) -> list[str]:
    words = next_words(plan, offer)
    lines = [f"- {word.label}{prose(word.text) if word.text else ''}{_command(word.command)}" for word in words]
    return ["**How to apply**", "", *lines] if plan.steps else lines


def _command(command: str) -> str:
    if len(command) > LONGEST_COMMAND:
        return "(the command is too long to be shown here; `rvlstate plan` tells it)"
    return code(command, LONGEST_COMMAND) if command else ""
