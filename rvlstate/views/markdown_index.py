"""The indexes of a plan as markdown: a row in the table for each, and its changes in a block that can be folded."""

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
from rvlstate.views.index_block import unverifiable
from rvlstate.views.markdown import cell, code, fence, folded, prose, table_row, tagged
from rvlstate.views.plan_costs import downtime, duration, rewritten
from rvlstate.views.plan_words import is_held_back
from rvlstate.views.quantities import count, number

HEAD = ("index", "action", "class", "documents", "cost", "search downtime", "hazards")
SHOWN_AT_ONCE = 2
"""The changes of so few indexes are not folded."""

LINES_SHOWN = 60
NAMES_SHOWN = 100


def index_row(index: IndexPlan) -> str:
    """The row of an index in the table."""
    documents = index.impact.documents
    renamed = f" (renamed from {cell(index.renamed_from)})" if index.renamed_from else ""
    working = index.action == "update" and not is_held_back(index)
    return table_row(
        (
            cell(index.name) + renamed,
            f"{index.action}, held back" if is_held_back(index) else index.action,
            CLASS_WORDS.get(index.classification or "", "") if index.action == "update" else "",
            "?" if documents is None else number(documents),
            ", ".join(part for part in (rewritten([index]), duration([index])) if part) if working else "",
            downtime([index]) if working else "",
            " ".join(sorted({f"`{hazard.code}`" for hazard in index.hazards})),
        )
    )


def index_blocks(plan: Plan, told: list[IndexPlan]) -> list[list[str]]:
    """A folded block for each index that is told about; of many, those that change alike share one."""
    created = created_definitions(plan)
    groups = alike(told, created) if len(told) > BLOCKS_SHOWN else []
    grouped = {name for group in groups for name in group.names}
    single = [index for index in told if index.name not in grouped]
    shown = len(told) <= SHOWN_AT_ONCE
    blocks = [_block(index, created.get(index.name), shown=shown) for index in single]
    return [block for block in (*blocks, *(_group(group) for group in groups)) if block]


def _group(group: Group) -> list[str]:
    more = f" and {number(len(group.names) - NAMES_SHOWN)} more" if len(group.names) > NAMES_SHOWN else ""
    names = ", ".join(code(name) for name in group.names[:NAMES_SHOWN])
    title = f"{number(len(group.names))} indexes alike"
    return [*folded(title, [f"{names}{more}", "", *_diff(group.lines)]), ""]


def _block(index: IndexPlan, definition: IndexDefinition | None, *, shown: bool) -> list[str]:
    lines = (*change_lines(index), *(created_lines(definition) if definition else ()))
    remarks = _remarks(index)
    if not lines and not remarks:
        return []
    about = [index.action if index.action != "update" else CLASS_WORDS.get(index.classification or "", "update")]
    about += [count(len(lines), "change")] if index.action == "update" else []
    diff = [*_diff(lines), ""] if lines else []
    title = ", ".join(["held back"] if is_held_back(index) else about)
    return [*folded(f"{tagged(index.name)}: {title}", [*diff, *remarks], shown=shown), ""]


def _remarks(index: IndexPlan) -> list[str]:
    where = physical_words(index.physical_before, index.physical_after)
    remarks = [f"- physical index: {code(where)}"] if where else []
    remarks += [f"- {prose(note)}" for note in index.notes]
    remarks += [f"- {prose(text)}" for text in unverifiable(index)]
    basis = f" ({prose(basis_words(index))})" if basis_words(index) else ""
    return [*remarks, *([f"- impact: {prose('; '.join(impact_words(index)))}{basis}"] if impact_words(index) else [])]


def _diff(lines: tuple[ChangeLine, ...]) -> list[str]:
    more = [f"  ... and {number(len(lines) - LINES_SHOWN)} more"] if len(lines) > LINES_SHOWN else []
    return fence([*(_diff_line(line) for line in lines[:LINES_SHOWN]), *more], "diff")


def _diff_line(line: ChangeLine) -> str:
    """A line as a diff colours it: `!` is what diff viewers have for "changed"."""
    symbol = {"~": "!", "x": "!", ".": " "}.get(line.symbol, line.symbol)
    return f"{symbol} {line.subject}  {line.value}{f'    # {line.verdict}' if line.verdict else ''}"
