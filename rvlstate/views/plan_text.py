"""A plan as text for a person: what happens to each index, the steps, and what to run next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rvlstate.plan.plan import Plan, Step
from rvlstate.views.alike import BLOCKS_SHOWN, Group, alike
from rvlstate.views.change_lines import created_definitions
from rvlstate.views.index_block import write_change_lines, write_index
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import RUN, Offer, is_settled, next_words, server_words, totals, worth_telling
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

NO_CHANGES = "No changes. Live matches the declared set."
STEPS_SHOWN = 60
"""Of more steps than this, only the first are listed."""

NAMES_SHOWN = 12
WIDEST_SUMMARY = 66
FINGERPRINT_SHOWN = len("sha256:") + 8


class Ending(Enum):
    """Whether the text ends with the command to run, which whoever is about to apply needs no more."""

    WITH_COMMAND = "with command"
    WITHOUT_COMMAND = "without command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much is told: `everything` shortens nothing, and adds the Redis commands and the undo of each step."""

    everything: bool = False
    ending: Ending = Ending.WITH_COMMAND


def write_plan(paper: Paper, plan: Plan, offer: Offer, detail: Detail = Detail()) -> None:
    """The whole plan."""
    paper.line(Cell(text=f"Project {printable(plan.project)} {server_words(plan, offer)}", style="dim"))
    for warning in plan.warnings:
        paper.paragraph(printable(warning), style="yellow", first="! warning: ", rest="  ")
    paper.blank()
    _write_indexes(paper, plan, detail)
    if is_settled(plan):
        paper.words(Cell(text=NO_CHANGES, style="bold green"))
    if plan.steps:
        _write_steps(paper, plan, detail)
        paper.blank()
    paper.words(totals(plan))
    for words in next_words(plan, offer):
        if words.label == RUN and detail.ending is Ending.WITHOUT_COMMAND:
            continue
        paper.offer(Cell(text=words.label, style=words.style), printable(words.text), printable(words.command))


def _write_indexes(paper: Paper, plan: Plan, detail: Detail) -> None:
    told = [index for index in plan.indexes if worth_telling(index)]
    created = created_definitions(plan)
    groups = [] if detail.everything or len(told) <= BLOCKS_SHOWN else alike(told, created)
    grouped = {name for group in groups for name in group.names}
    for index in told:
        if index.name not in grouped:
            write_index(paper, index, created.get(index.name))
            paper.blank()
    for group in groups:
        _write_group(paper, group)
        paper.blank()


def _write_group(paper: Paper, group: Group) -> None:
    more = f" and {len(group.names) - NAMES_SHOWN:,} more" if len(group.names) > NAMES_SHOWN else ""
    names = f"{', '.join(printable(name) for name in group.names[:NAMES_SHOWN])}{more}"
    symbol, style = group.head
    paper.line(Cell(text=f"{symbol} {len(group.names):,} indexes alike", style=style))
    paper.paragraph(names, style="dim", first="    ", rest="    ")
    write_change_lines(paper, group.lines)


def _write_steps(paper: Paper, plan: Plan, detail: Detail) -> None:
    reversible = sum(step.operation.reversible for step in plan.steps)
    live, desired = plan.live_fingerprint[:FINGERPRINT_SHOWN], plan.desired_fingerprint[:FINGERPRINT_SHOWN]
    paper.words(
        Cell(text=f"Plan: {count(len(plan.steps), 'step')}, {reversible} reversible", style="bold"),
        Cell(text=f"   live {live}, declared {desired}", style="dim"),
    )
    numbers = {step.id: number for number, step in enumerate(plan.steps, start=1)}
    shown = plan.steps if detail.everything else plan.steps[:STEPS_SHOWN]
    paper.rows([_step_row(step, numbers) for step in shown], widest=WIDEST_SUMMARY)
    if len(shown) < len(plan.steps):
        paper.line(Cell(text=f"  ... and {len(plan.steps) - len(shown):,} more; -v shows all of them", style="dim"))
    if detail.everything:
        paper.blank()
        _write_commands(paper, plan)


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


def _write_commands(paper: Paper, plan: Plan) -> None:
    paper.line(Cell(text="Commands", style="bold"))
    width = len(str(len(plan.steps)))
    for number, step in enumerate(plan.steps, start=1):
        for command in step.operation.commands:
            paper.line(f"  {number:>{width}}  ", Cell(text=printable(command), style="cyan"))
        if step.operation.commands:
            undo = Cell(text=f"  {' ' * width}  undo: {printable(step.operation.undo)}", style="dim")
            if step.operation.undo[:1].isupper():  # a command, which is to be copied
                paper.line(undo)
            else:
                paper.words(undo, hang=width + 6)
