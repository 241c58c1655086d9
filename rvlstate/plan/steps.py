"""Steps: the operations of all indexes as one ordered sequence, each with what it needs done before."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from rvlstate.plan.operations import AnyOperation, DropAlias, DropIndex, ForgetIndex, PointAlias, TakeName
from rvlstate.plan.order import Edge, sequence
from rvlstate.plan.plan import Step
from rvlstate.plan.work import Work

CLEARING_UP = ("replaced", "deleted")
"""Why an index is dropped at the end of the work on it; names may lead to it until then."""


def ordered_steps(works: list[Work]) -> tuple[Step, ...]:
    """All steps in order: within an index, then what depends on what, then names taken before their index goes."""
    rank: dict[str, tuple[int, int]] = {}
    operations: dict[str, tuple[str, AnyOperation]] = {}
    ids: dict[str, list[str]] = {}
    for place, work in enumerate(sorted(works, key=lambda item: item.plan.name)):
        for number, operation in enumerate(work.operations, start=1):
            step = f"{work.plan.name}/{number}"
            rank[step] = (place, number)
            operations[step] = (work.plan.name, operation)
            ids.setdefault(work.plan.name, []).append(step)
    edges = [*_chains(ids), *_dependencies(works, ids, operations), *_handovers(works, operations)]
    needs: dict[str, list[str]] = {}
    for before, after in edges:
        needs.setdefault(after, []).append(before)
    return tuple(
        Step(
            id=step, index=operations[step][0], operation=operations[step][1], needs=tuple(sorted(needs.get(step, [])))
        )
        for step in sequence(operations, edges, rank)
    )


def _chains(ids: dict[str, list[str]]) -> list[Edge]:
    return [pair for steps in ids.values() for pair in itertools.pairwise(steps)]


def _dependencies(
    works: list[Work], ids: dict[str, list[str]], operations: dict[str, tuple[str, AnyOperation]]
) -> list[Edge]:
    """What an index depends on is served first; of deleted ones, what depends on others goes first."""
    edges = []
    deleted = {work.plan.name for work in works if work.plan.action == "delete"}
    for work in works:
        for other in work.depends_on:
            mine, theirs = ids.get(work.plan.name), ids.get(other)
            if mine and theirs:
                both_go = work.plan.name in deleted and other in deleted
                edges.append((mine[-1], theirs[0]) if both_go else (_served_by(theirs, operations), mine[0]))
    return edges


def _served_by(ids: list[str], operations: dict[str, tuple[str, AnyOperation]]) -> str:
    """The step after which an index is served; clearing up after that need not be waited for."""
    serving = [step for step in ids if not isinstance(operations[step][1], DropAlias | DropIndex | ForgetIndex)]
    return serving[-1] if serving else ids[-1]


def _handovers(works: list[Work], operations: dict[str, tuple[str, AnyOperation]]) -> list[Edge]:
    """A name that leads to an index which goes is pointed elsewhere before, so that it never stops answering.

    A takeover does not wait for what depends on it: a name of such an index answers nothing meanwhile, which is told.
    """
    claims: dict[str, list[tuple[str, str]]] = {}
    for step, (owner, operation) in operations.items():
        if isinstance(operation, PointAlias) and operation.before is not None:
            claims.setdefault(operation.before, []).append((step, owner))
    depends_on = {work.plan.name: work.depends_on for work in works}
    return [
        (claim, release)
        for release, (owner, going) in operations.items()
        for claim, other in claims.get(_dropped(going) or "", ())
        if other != owner and not (isinstance(going, TakeName) and _needs(other, owner, depends_on))
    ]


def _dropped(operation: AnyOperation) -> str | None:
    """The physical index that a step drops though names may lead to it."""
    if isinstance(operation, TakeName):
        return operation.name
    return operation.physical if isinstance(operation, DropIndex) and operation.because in CLEARING_UP else None


def _needs(name: str, wanted: str, depends_on: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an index depends on another, directly or not."""
    seen, todo = set[str](), [name]
    while todo:
        for other in depends_on.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return wanted in seen
