"""Predict: the effect of all steps on the live catalog must be the declared set, or the planner is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.diff.compare import compare
from rvlstate.errors import PlannerBugError
from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.catalog import Catalog
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.state import State
from rvlstate.plan.operations import AnyOperation
from rvlstate.plan.remedies import remedy_for


def predict(operations: Iterable[AnyOperation], catalog: Catalog, state: State) -> tuple[Catalog, State]:
    """Catalog and state after all operations, as far as they can be known beforehand."""
    for operation in operations:
        catalog = operation.effect(catalog)
        state = operation.record(operation.intend(state))
    return catalog, state


def check(desired: Desired, catalog: Catalog, state: State, *, skip: frozenset[str]) -> None:
    """Raise PlannerBugError unless every declared index (but those in `skip`) is served as declared and recorded so."""
    for wanted in desired.indexes:
        if wanted.name not in skip:
            problem = _problem(wanted, catalog, state)
            if problem:
                raise PlannerBugError(
                    f"the plan would not lead to {wanted.name} as declared: {problem}",
                    why="This was found before anything was written.",
                    next_step="report this, with the schema and the output of: rvlstate state pull",
                )


def _problem(wanted: DesiredIndex, catalog: Catalog, state: State) -> str:
    physical = catalog.resolve(wanted.name)
    index = catalog.index(physical) if physical else None
    record = state.record(wanted.name)
    if index is None:
        return "nothing would answer to its name"
    if record is None or record.physical != physical:
        return "the state would not say what serves it"
    # The differ is slow, and most indexes are exactly as wanted as far as can be seen.
    exact = canonicalise(index.definition) == mask(wanted.definition)
    facts = () if exact else compare(wanted.name, index.definition, wanted.definition).facts
    if any(remedy_for(fact, index.definition, wanted).classification is not None for fact in facts):
        return "another definition would serve it"
    missing = [alias for alias in wanted.aliases if catalog.targets.get(alias) != physical]
    return f"alias {missing[0]} would not lead to it" if missing else ""
