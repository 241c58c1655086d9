"""Losses: names that answer now and will not once all is done, told as hazards of the index that they are lost with."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.address import BESIDE, REVISION, name_of
from rvlstate.model.catalog import Catalog
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations import AnyOperation, DropIndex, TakeName
from rvlstate.plan.phases import companions
from rvlstate.plan.plan import Step
from rvlstate.plan.situation import World
from rvlstate.plan.work import Work


def with_lost_names(works: list[Work], steps: tuple[Step, ...], catalog: Catalog) -> list[Work]:
    """The works, with a hazard for each name that goes with an index though no step is about that name.

    A name that is pointed elsewhere by a later step answers nothing until then.
    """
    lost: dict[str, set[Hazard]] = {}
    ends = _after(steps, catalog)
    for step in steps:
        after = step.operation.effect(catalog)
        for name, physical in _going(step.operation, catalog):
            if ends.resolve(name) is None:
                message = f"{name} stops answering: it goes with {physical}, to which it leads."
                lost.setdefault(step.index, set()).add(Hazard(code="DELETES_INDEX", message=message))
            elif after.resolve(name) is None:
                message = f"{name} answers nothing from the drop of {physical} until {ends.resolve(name)} serves it."
                lost.setdefault(step.index, set()).add(Hazard(code="SEARCH_DOWNTIME", message=message))
        catalog = after
    return [_warned(work, lost.get(work.plan.name, set())) for work in works]


def _after(steps: tuple[Step, ...], catalog: Catalog) -> Catalog:
    for step in steps:
        catalog = step.operation.effect(catalog)
    return catalog


def _going(operation: AnyOperation, catalog: Catalog) -> list[tuple[str, str]]:
    """The names that lead to an index when it is dropped; a physical name of our own making is nobody's business."""
    if isinstance(operation, TakeName):
        physical = operation.name
    elif isinstance(operation, DropIndex):
        physical = operation.physical
    else:
        return []
    recreated = operation.recreates if isinstance(operation, DropIndex) else None
    own = companions(name_of(physical) or physical)
    names = [alias for alias, target in catalog.aliases if target == physical and alias not in (recreated, *own)]
    if recreated is not None:
        return [(name, physical) for name in names]
    ours = REVISION.match(physical) or BESIDE.search(physical)
    if isinstance(operation, DropIndex) and not operation.hazards and not ours:
        names.append(physical)
    return [(name, physical) for name in names]


def _warned(work: Work, hazards: set[Hazard]) -> Work:
    if not hazards:
        return work
    return replace(work, plan=replace(work.plan, hazards=tuple(sorted({*work.plan.hazards, *hazards}))))


def unseen_aliases(steps: tuple[Step, ...], world: World) -> tuple[str, ...]:
    """A warning where indexes go whose aliases this server cannot list: those that nobody declared go unseen.

    To an index that this very plan makes, and gives up again, nobody can have pointed an alias.
    """
    replaced = {name for step in steps for name in _replaced(step.operation)}
    going = sorted(name for name in replaced if world.catalog.index(name) is not None)
    if not going or world.server.can("alias_list"):
        return ()
    return (
        (
            "this server does not tell its aliases (search 8.10 does): one that was not declared under aliases: and "
            f"leads to {', '.join(going)} stops answering when that index goes."
        ),
    )


def _replaced(operation: AnyOperation) -> tuple[str, ...]:
    """The physical index that goes since another one takes its place."""
    if isinstance(operation, TakeName):
        return (operation.name,)
    if isinstance(operation, DropIndex) and operation.because in ("replaced", "recreated"):
        return (operation.physical,)
    return ()
