"""Steps: the operations of all indexes as one ordered sequence, each with what it needs done before."""

from __future__ import annotations

import itertools

from rvlstate.plan.operations import AnyOperation, DropAlias, PointAlias
from rvlstate.plan.order import Edge, sequence
from rvlstate.plan.plan import Step
from rvlstate.plan.work import Work


def ordered_steps(works: list[Work]) -> tuple[Step, ...]:
    """All steps in order: within an index, then what depends on what, then names given up before they are taken."""
    rank: dict[str, tuple[int, int]] = {}
    operations: dict[str, tuple[str, AnyOperation]] = {}
    ids: dict[str, list[str]] = {}
    for place, work in enumerate(sorted(works, key=lambda item: item.plan.name)):
        for number, operation in enumerate(work.operations, start=1):
            step = f"{work.plan.name}/{number}"
            rank[step] = (place, number)
            operations[step] = (work.plan.name, operation)
            ids.setdefault(work.plan.name, []).append(step)
    edges = [*_chains(ids), *_dependencies(works, ids), *_name_moves(operations)]
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


def _dependencies(works: list[Work], ids: dict[str, list[str]]) -> list[Edge]:
    """What an index depends on comes first; of deleted ones, what depends on others goes first."""
    edges = []
    deleted = {work.plan.name for work in works if work.plan.action == "delete"}
    for work in works:
        for other in work.depends_on:
            mine, theirs = ids.get(work.plan.name), ids.get(other)
            if mine and theirs:
                both_go = work.plan.name in deleted and other in deleted
                edges.append((mine[-1], theirs[0]) if both_go else (theirs[-1], mine[0]))
    return edges


def _name_moves(operations: dict[str, tuple[str, AnyOperation]]) -> list[Edge]:
    """A name must be given up before another index takes it."""
    edges = []
    for release, (owner, operation) in operations.items():
        if isinstance(operation, DropAlias):
            edges += [
                (release, claim)
                for claim, (other, taken) in operations.items()
                if other != owner and isinstance(taken, PointAlias) and taken.name == operation.name
            ]
    return edges
