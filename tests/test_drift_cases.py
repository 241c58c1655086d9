"""Every drift case (`cases/drift/*.yaml`) is told, and repaired, as its author expected; and laws for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan_cases import GIVEN, Book, begun
from test_plan_cases import passage

from rvlstate.model.state import Run
from rvlstate.plan.deviations import BY_HAND, KINDS
from rvlstate.plan.drift import Drift, find_drift
from rvlstate.plan.predict import predict
from rvlstate.plan.repair import DOCUMENTS, Repair, make_repair, repairing
from rvlstate.plan.situation import World

FOLDER = Path(__file__).parent / "cases" / "drift"
OWN = frozenset({"dropped", "moved", "counted", "killed"})
EXPECTED = frozenset({"drift", "changes", "unmanaged", "waits", "repair", "left"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One look, and what is expected of it."""

    id: str
    world: World
    expected: Mapping[str, Any] = field(default_factory=dict)

    @property
    def drift(self) -> Drift:
        """What is found."""
        return find_drift(self.world, "shop", retain_old=3600.0)

    @property
    def repair(self) -> Repair:
        """What undoes it."""
        return repaired(self.drift, self.world)


def repaired(drift: Drift, world: World) -> Repair:
    """The repair of a drift."""
    errand = repairing("shop", world.state, replace_policy())
    return make_repair(drift, world.state, lambda names: errand.plan(world, names))


def replace_policy() -> Any:
    """The policy of the project, which keeps old indexes."""
    from rvlstate.model.desired import Policy

    return Policy(retain_old=3600.0)


def load_cases() -> Iterator[Case]:
    """All cases of all files, in order; an unknown key is an error."""
    for path in sorted(FOLDER.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        book = Book(definitions=data["definitions"])
        for entry in data["cases"]:
            unknown = entry.keys() - GIVEN - OWN - EXPECTED
            assert not unknown, f"{entry['name']}: unknown keys {sorted(unknown)}"
            expected = {key: value for key, value in entry.items() if key in EXPECTED}
            yield Case(id=entry["name"], world=world_of(book, entry), expected=expected)


def world_of(book: Book, entry: Mapping[str, Any]) -> World:
    """The world of a case."""
    given = {key: value for key, value in entry.items() if key in GIVEN}
    world, desired = book._world(given), book._desired(given)
    for name, standing in entry.get("begun", {}).items():
        world = begun(name, standing, desired, world)
    catalog, state = world.catalog, world.state
    for physical in entry.get("dropped", ()):
        catalog = catalog.without_index(physical)
    for alias, physical in entry.get("moved", {}).items():
        catalog = catalog.with_alias(alias, physical)
    for name, number in entry.get("counted", {}).items():
        record = state.record(name)
        assert record is not None
        state = state.with_record(replace(record, counted=number))
    run = Run(id="r1", plan_id="p1", finished=not entry.get("killed", False))
    return replace(world, catalog=catalog, state=replace(state, run=run))


CASES = list(load_cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_is_found_as_expected(case: Case) -> None:
    """Kinds, differences, what is not managed, and what waits."""
    drift, expected = case.drift, case.expected
    assert {index.name: list(index.kinds) for index in drift.indexes} == expected.get("drift", {})
    changes = {
        change.address: passage(change.before, change.after) for index in drift.indexes for change in index.changes
    }
    if expected.get("changes") != "any":
        assert changes == expected.get("changes", {})
    assert list(drift.unmanaged) == expected.get("unmanaged", [])
    assert {one.name: one.phase for one in drift.waits} == expected.get("waits", {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_is_repaired_as_expected(case: Case) -> None:
    """The steps of the plan, and what it leaves."""
    repair, expected = case.repair, case.expected
    steps = (
        [step.operation.summary.replace("; documents stay)", ")") for step in repair.plan.steps] if repair.plan else []
    )
    wanted = expected.get("repair", [])
    assert (bool(steps), steps) == ((True, steps) if wanted == "any" else (bool(wanted), wanted))
    phrases = expected.get("left", [])
    assert len(repair.left) == len(phrases), repair.left
    assert all(phrase in text for phrase, text in zip(phrases, repair.left, strict=True)), repair.left


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_repair_leads_to_where_nothing_drifted_by_hand(case: Case) -> None:
    """Predicted from its steps; no step writes a document, and the plan of it would be the same again."""
    repair = case.repair
    if repair.plan is None:
        return
    assert repair.plan.basis == "recorded"
    assert not any(isinstance(step.operation, DOCUMENTS) for step in repair.plan.steps)
    operations = [step.operation for step in repair.plan.steps]
    catalog, state = predict(operations, case.world.catalog, case.world.state)
    after = find_drift(replace(case.world, catalog=catalog, state=state), "shop")
    left = {index.name for index in case.drift.indexes if any(index.name in reason for reason in repair.left)}
    assert {index.name for index in after.indexes if index.by_hand} <= left
    assert case.repair == repair


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_drifted_index_says_what_to_do(case: Case) -> None:
    """A command, or a note about what is to be done on the server."""
    assert [index.name for index in case.drift.indexes if not index.commands and not index.notes] == []


def test_every_kind_has_a_case_but_late_documents() -> None:
    """Those need documents: the stories have them."""
    found = {kind for case in CASES for index in case.drift.indexes for kind in index.kinds}
    found |= {"unmanaged" for case in CASES if case.drift.unmanaged}
    assert found == set(KINDS) - {"late"}
    assert found >= BY_HAND
    assert len({case.id for case in CASES}) == len(CASES) >= 29
