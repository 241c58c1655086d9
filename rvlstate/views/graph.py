"""The steps of a plan as a graph: mermaid for pull requests, dot for Graphviz."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rvlstate.plan.plan import Plan, Step
from rvlstate.views.untrusted import harmless

LONGEST_LABEL = 200
"""A box with more text than this shows nothing of the graph."""

_ENTITIES = {char: f"#{ord(char)};" for char in '#"<>&;`|{}[]()@\\'}
"""Mermaid has no escapes but these, by code point."""


def mermaid_graph(plan: Plan) -> str:
    """A mermaid flowchart with a box for each index; steps that cannot be undone are dashed."""
    ids = _ids(plan)
    lines = ["flowchart TD"]
    for place, (index, steps) in enumerate(_by_index(plan)):
        lines.append(f'  subgraph i{place} ["{_mermaid_text(index)}"]')
        lines += [f'    {ids[step.id]}["{_mermaid_text(_label(step))}"]' for step in steps]
        lines.append("  end")
    lines += [f"  {ids[before]} --> {ids[after]}" for before, after in _edges(plan)]
    final = [ids[step.id] for step in plan.steps if not step.operation.reversible]
    if final:
        lines += ["  classDef final stroke-dasharray: 4 3", f"  class {','.join(final)} final"]
    return "\n".join(lines) + "\n"


def dot_graph(plan: Plan) -> str:
    """A Graphviz digraph with a cluster for each index; steps that cannot be undone are dashed."""
    ids = _ids(plan)
    lines = [f"digraph {_dot_text(plan.project)} {{", "  rankdir=TB;", '  node [shape=box, fontname="sans-serif"];']
    for place, (index, steps) in enumerate(_by_index(plan)):
        lines += [f"  subgraph cluster_{place} {{", f"    label={_dot_text(index)};"]
        for step in steps:
            style = "" if step.operation.reversible else ", style=dashed"
            lines.append(f"    {ids[step.id]} [label={_dot_text(_label(step))}{style}];")
        lines.append("  }")
    lines += [f"  {ids[before]} -> {ids[after]};" for before, after in _edges(plan)]
    return "\n".join([*lines, "}"]) + "\n"


def _ids(plan: Plan) -> dict[str, str]:
    return {step.id: f"s{number}" for number, step in enumerate(plan.steps, start=1)}


def _by_index(plan: Plan) -> list[tuple[str, list[Step]]]:
    found: dict[str, list[Step]] = {}
    for step in plan.steps:
        found.setdefault(step.index, []).append(step)
    return list(found.items())


def _edges(plan: Plan) -> Iterator[tuple[str, str]]:
    return ((needed, step.id) for step in plan.steps for needed in step.needs)


def _label(step: Step) -> str:
    codes = sorted({hazard.code for hazard in step.operation.hazards})
    return step.operation.summary + (f" ! {', '.join(codes)}" if codes else "")


def _mermaid_text(text: str) -> str:
    return "".join(_ENTITIES.get(char, char) for char in harmless(text, LONGEST_LABEL))


def _dot_text(text: str) -> str:
    """A quoted string of dot: only quotes and backslashes mean anything in it."""
    return json.dumps(harmless(text, LONGEST_LABEL), ensure_ascii=False)
