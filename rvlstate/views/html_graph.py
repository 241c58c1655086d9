"""The steps of a plan as a graph that is read downwards: each node in a row of its own, lanes for what waits.

The rows may be of any height, so that text wraps: what is drawn beside a row has fixed places near its top, where the
node is, and lines that stretch to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rvlstate.plan.plan import Step
from rvlstate.views.html_elements import Html, element

LANE, MARGIN = 16, 12
NODE_AT, TURN_BY = 20, 40
"""Where a node is, and by where a lane that begins at it has come to its place; a row is higher than that."""

LANES_DRAWN = 6
"""What would need more shares the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step: the lane of its node, lanes that pass it by, lanes that end in it, and the one that begins at it.

    `begins` None: nothing waits for the step.
    """

    step: str
    node: int
    passing: tuple[int, ...]
    ends: tuple[int, ...]
    begins: int | None


def lay_out(steps: Sequence[Step]) -> tuple[Row, ...]:
    """A row for each step, in the order of the steps, which is one in which all that a step needs comes before it."""
    waiting: dict[str, set[str]] = {}
    known = {step.id for step in steps}
    for step in steps:
        for needed in step.needs:
            if needed in known:
                waiting.setdefault(needed, set()).add(step.id)
    lanes: dict[int, str] = {}
    return tuple(_row(step, waiting, lanes) for step in steps)


def lanes_drawn(rows: Sequence[Row]) -> int:
    """How many lanes are drawn."""
    return 1 + max((_drawn(lane) for row in rows for lane in (row.node, *row.passing)), default=0)


def rail(row: Row, tone: str) -> Html:
    """What is drawn beside a row; `tone` is a class for the node."""
    node = _x(row.node)
    lines = [element("line", x1=_x(lane), y1=0, x2=_x(lane), y2="100%") for lane in sorted({*map(_drawn, row.passing)})]
    lines += [_curve(_x(lane), 0, node, NODE_AT) for lane in sorted({*map(_drawn, row.ends)})]
    if row.begins is not None:
        begun = _x(row.begins)
        lines.append(_curve(node, NODE_AT, begun, TURN_BY))
        lines.append(element("line", x1=begun, y1=TURN_BY, x2=begun, y2="100%"))
    return element(
        "svg",
        element("g", *lines, class_="lanes"),
        element("circle", cx=node, cy=NODE_AT, r=6, class_=f"node {tone}".rstrip()),
        class_="rail",
        aria_hidden="true",
        focusable="false",
    )


def _row(step: Step, waiting: Mapping[str, set[str]], lanes: dict[int, str]) -> Row:
    """One row; `lanes` tells from which step each lane comes that is in use, and is brought up to date."""
    ends = sorted(lane for lane, source in lanes.items() if step.id in waiting[source])
    for lane in ends:
        waiting[lanes[lane]].discard(step.id)
    passing = tuple(lane for lane in sorted(lanes) if waiting[lanes[lane]])
    for lane in [lane for lane, source in lanes.items() if not waiting[source]]:
        del lanes[lane]
    free = [lane for lane in ends if lane not in lanes]
    node = free[0] if free else _first_free(lanes)
    begins = None
    if waiting.get(step.id):
        begins = node
        lanes[begins] = step.id
    return Row(step=step.id, node=node, passing=passing, ends=tuple(ends), begins=begins)


def _first_free(lanes: Mapping[int, str]) -> int:
    return next(lane for lane in range(len(lanes) + 1) if lane not in lanes)


def _drawn(lane: int) -> int:
    return min(lane, LANES_DRAWN - 1)


def _x(lane: int) -> int:
    return MARGIN + LANE * _drawn(lane)


def _curve(x1: int, y1: int, x2: int, y2: int) -> Html:
    """From one lane to another, straight down if it is the same."""
    middle = (y1 + y2) / 2
    return element("path", d=f"M{x1} {y1}C{x1} {middle:g} {x2} {middle:g} {x2} {y2}")
