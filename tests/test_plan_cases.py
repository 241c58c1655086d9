"""Every hand-written plan case (`cases/plan/*.yaml`) plans exactly as its author expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from plan_cases import Case, load_cases

from rvlstate import errors
from rvlstate.plan.build import build_plan
from rvlstate.plan.plan import IndexPlan, Plan

CASES = load_cases()
LEAST = 90
"""Cases that there must be at least, so that losing a file is noticed."""


@pytest.mark.parametrize("case", [case for case in CASES if "error" not in case.expected], ids=lambda case: case.id)
def test_case_plans_as_expected(case: Case) -> None:
    """Changes, classes, physical names, steps in their order, hazards, drift and refusals are those of the case."""
    plan = build_plan(case.desired, case.world, targets=case.targets)
    exact, phrases = shown(plan), phrases_of(plan)
    assert exact == {**{key: type(value)() for key, value in exact.items()}, **exactly(case)}
    for key, found in phrases.items():
        expected = case.expected.get(key, [])
        assert len(found) == len(expected), f"{key}: {found}"
        for phrase, text in zip(expected, found, strict=True):
            assert phrase in text
    for name, figures in case.expected.get("impact", {}).items():
        planned = index_of(plan, name)
        assert {key: getattr(planned.impact, key) for key in figures} == figures
    for code, phrase in case.expected.get("messages", {}).items():
        assert any(phrase in hazard.message for hazard in plan.hazards if hazard.code == code), plan.hazards


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case.expected], ids=lambda case: case.id)
def test_case_fails_as_expected(case: Case) -> None:
    """What cannot be planned at all raises the named error, which says why."""
    name, phrase = case.expected["error"]
    with pytest.raises(getattr(errors, name), match=phrase):
        build_plan(case.desired, case.world, targets=case.targets)


def test_case_names_are_unique_and_many() -> None:
    """No case hides another one, and none is lost."""
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) >= LEAST


def exactly(case: Case) -> dict[str, Any]:
    """The expectations that are compared as a whole."""
    return {key: case.expected[key] for key in EXACT if key in case.expected}


EXACT = ("plan", "changes", "steps", "hazards", "drift", "unverifiable", "unmanaged")


def shown(plan: Plan) -> dict[str, Any]:
    """What the expectations of a case say about a plan."""
    return {
        "plan": {index.name: outcome(index) for index in plan.indexes},
        "changes": {change.address: change.classification for index in plan.indexes for change in index.changes},
        "steps": [step.operation.summary.replace("; documents stay)", ")") for step in plan.steps],
        "hazards": codes(hazard.code for hazard in plan.hazards),
        "drift": {change.address: passage(change.before, change.after) for i in plan.indexes for change in i.drift},
        "unverifiable": [address for index in plan.indexes for address in index.unverifiable],
        "unmanaged": list(plan.unmanaged),
    }


def phrases_of(plan: Plan) -> dict[str, list[str]]:
    """The texts of a plan, of which a case quotes a part."""
    return {
        "refused": [line for index in plan.indexes for line in index.refused],
        "held": [line for index in plan.indexes for line in index.held],
        "warnings": list(plan.warnings),
        "notes": [line for index in plan.indexes for line in index.notes],
    }


def outcome(index: IndexPlan) -> str:
    """Action, class, and where the index is and will be: `update shadow goods@1 -> goods@2`."""
    before, after = index.physical_before or "-", index.physical_after or "-"
    where = before if before == after else f"{before} -> {after}"
    return " ".join(word for word in (index.action, index.classification, where) if word)


def passage(before: object, after: object) -> str:
    """What something was and became; the parts of a field are left to the address."""
    words = ["added" if isinstance(value, Mapping) else str(value) for value in (before, after)]
    return f"{words[0]} -> {words[1]}"


def codes(found: Iterable[str]) -> list[str]:
    """Hazard codes, each once."""
    return sorted(set(found))


def index_of(plan: Plan, name: str) -> IndexPlan:
    """The plan of one index."""
    return next(index for index in plan.indexes if index.name == name)
