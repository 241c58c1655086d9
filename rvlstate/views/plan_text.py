"""A plan as text for a person: what happens to each index, the steps, and what to run next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rvlstate.plan.plan import IndexPlan, Plan, Step
from rvlstate.views.change_lines import change_lines, created_definitions
from rvlstate.views.index_block import remarks, write_change_lines, write_head, write_index
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer, next_words, totals
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

NO_CHANGES = "No changes. Live matches the declared set."
BLOCKS_SHOWN = 25
"""From more changed indexes than this on, those that need no thought are told in one line each."""

STEPS_SHOWN = 60
"""Of more steps than this, only the first are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much is told: `commands` adds the Redis commands and the undo of each step, and shortens nothing."""

    commands: bool = False


def write_plan(paper: Paper, plan: Plan, offer: Offer, detail: Detail = Detail()) -> None:
    """The whole plan."""
    for warning in plan.warnings:
        paper.paragraph(printable(warning), style="yellow", first="! warning: ", rest="  ")
    paper.blank()
    changed = [index for index in plan.indexes if _is_worth_telling(index)]
    _write_indexes(paper, plan, changed, detail)
    paper.blank()
    if plan.empty:
        paper.line(Cell(text=NO_CHANGES, style="bold green"))
    if plan.steps:
        _write_steps(paper, plan, detail)
        paper.blank()
    paper.line(totals(plan))
    for words in next_words(plan, offer):
        paper.line(Cell(text=printable(words.label), style=words.style), printable(words.text))


def _is_worth_telling(index: IndexPlan) -> bool:
    return index.action != "no-op" or bool(index.changes or index.drift or index.notes or index.refused)


def _write_indexes(paper: Paper, plan: Plan, changed: list[IndexPlan], detail: Detail) -> None:
    if len(changed) <= BLOCKS_SHOWN or detail.commands:
        created = created_definitions(plan)
        for index in changed:
            write_index(paper, index, created.get(index.name))
            paper.blank()
        return
    for index in changed:
        write_head(paper, index)
        if index.changes or index.drift:
            write_change_lines(paper, change_lines(index))
        for remark in remarks(index, change_lines(index)):
            if remark.mark in "!xi":
                paper.paragraph(remark.text, style=remark.style, first=f"  {remark.mark} ", rest="    ")


def _write_steps(paper: Paper, plan: Plan, detail: Detail) -> None:
    reversible = sum(step.operation.reversible for step in plan.steps)
    paper.line(
        Cell(text=f"Plan: {count(len(plan.steps), 'step')}, {reversible} reversible", style="bold"),
        Cell(text=f"   live {_short(plan.live_fingerprint)}, declared {_short(plan.desired_fingerprint)}", style="dim"),
    )
    shown = plan.steps if detail.commands else plan.steps[:STEPS_SHOWN]
    numbers = {step.id: number for number, step in enumerate(plan.steps, start=1)}
    if detail.commands:
        for step in shown:
            paper.rows([_step_row(step, numbers)])
            _write_details(paper, step)
    else:
        paper.rows([_step_row(step, numbers) for step in shown])
    if len(shown) < len(plan.steps):
        paper.line(Cell(text=f"  ... and {len(plan.steps) - len(shown):,} more; -v shows all of them", style="dim"))


def _step_row(step: Step, numbers: dict[str, int]) -> tuple[Cell, ...]:
    width = len(str(len(numbers)))
    codes = sorted({hazard.code for hazard in step.operation.hazards})
    needs = f"needs {', '.join(str(numbers[needed]) for needed in step.needs)}" if step.needs else ""
    return (
        Cell(text=f"{numbers[step.id]:>{width}}"),
        Cell(text=printable(step.operation.summary)),
        Cell(text=needs, style="dim"),
        Cell(text=f"! {', '.join(codes)}" if codes else "", style="yellow"),
    )


def _write_details(paper: Paper, step: Step) -> None:
    for command in step.operation.commands:
        paper.line(Cell(text=f"       > {printable(command)}", style="cyan"))
    if step.operation.commands:
        paper.line(Cell(text=f"       undo: {printable(step.operation.undo)}", style="dim"))


def _short(fingerprint: str) -> str:
    return fingerprint[: len("sha256:") + 8]


def action_counts(plan: Plan) -> Counter[str]:
    """How many indexes each action has."""
    return Counter(index.action for index in plan.indexes)
