"""The closed unions, walked: every operation, fact, hazard, error and attribute has its case and its page of docs."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from plan_cases import Case, load_cases

from rvlstate import errors
from rvlstate.diff.facts import AttributeChanged, Fact, SettingChanged
from rvlstate.errors import RvlstateError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Algorithm, Field, VectorField
from rvlstate.model.hazard import HAZARD_CODES
from rvlstate.plan import remedies
from rvlstate.plan.build import build_plan
from rvlstate.plan.effects import Pace
from rvlstate.plan.judge import comparison_of
from rvlstate.plan.operations import AnyOperation, RewriteDocuments
from rvlstate.plan.plan import Plan
from rvlstate.plan.remedies import ATTRIBUTES, SETTINGS, Remedy, remedy_for
from rvlstate.plan.rollback import Rollback, rollback_steps
from rvlstate.plan.situation import situate_all

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "operations"
OPERATIONS: dict[str, type[AnyOperation]] = {
    operation.__dataclass_fields__["operation"].default: operation for operation in get_args(AnyOperation)
}
ERRORS: dict[str, type[RvlstateError]] = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, RvlstateError)
}
BASES = frozenset({"PlanError"})
"""Errors that only stand for those under them."""

HEADINGS = ("## Commands", "## Undo", "## Hazards", "## When it is killed")
ASPECTS = ("**Appears**", "**Allow**", "**Avoid**")
ALIKE = frozenset({"name", "type"})
"""What identifies a field and what a fact of its own tells of: no attributes."""


@cache
def cases() -> tuple[Case, ...]:
    """The plan cases that have a plan."""
    return tuple(case for case in load_cases() if "error" not in case.expected)


@cache
def plans() -> tuple[Plan, ...]:
    """The plan of each case; `test_plan_cases.py` holds that they are as written."""
    return tuple(build_plan(case.desired, case.world, targets=case.targets) for case in cases())


@cache
def planned_operations() -> dict[str, tuple[AnyOperation, ...]]:
    """The operations of all plan cases by name, and those of a rollback of what they do to documents."""
    found: dict[str, list[AnyOperation]] = defaultdict(list)
    for case, plan in zip(cases(), plans(), strict=True):
        for operation in [step.operation for step in plan.steps]:
            found[operation.operation].append(operation)
            if isinstance(operation, RewriteDocuments):
                rollback = Rollback(rewrite=replace(operation.rewrite, dropped=True), backup="kept", pace=Pace())
                for back in rollback_steps(rollback, case.world):
                    found[back.operation].append(back)
    return {name: tuple(operations) for name, operations in found.items()}


@cache
def judged_facts() -> tuple[tuple[Fact, Remedy], ...]:
    """The facts of all plan cases, each with its remedy."""
    return tuple(
        (fact, remedy_for(fact, situation.definition, situation.wanted))
        for case in cases()
        for situation in situate_all(case.desired, case.world).values()
        if situation.definition is not None
        for fact in comparison_of(situation).facts
    )


def sections(page: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def absent(wanted: Iterable[str], text: str) -> list[str]:
    """What a text does not mention."""
    return [word for word in wanted if word not in text]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_a_page_that_says_all(name: str) -> None:
    """The page is called like the operation, and tells its commands, undo, hazards, and what a kill leaves."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert absent(HEADINGS, text) == []
    assert f"({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")


def test_every_page_is_of_an_operation() -> None:
    """No page is left of an operation that is gone."""
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *OPERATIONS}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_in_a_plan_case(name: str) -> None:
    """Some hand-written case plans it."""
    assert name in planned_operations()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_page_names_what_the_operation_needs_and_risks(name: str) -> None:
    """Each command and each hazard of the operation, as it is planned in the cases, is on its page."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    operations = planned_operations()[name]
    needed = {command for operation in operations for command in operation.permissions}
    sent = {line.split(" ", maxsplit=1)[0] for operation in operations for line in operation.commands}
    risked = {hazard.code for operation in operations for hazard in operation.hazards}
    assert absent(sorted(f"`{word}" for word in needed | sent | risked), text) == []


@pytest.mark.parametrize("fact", get_args(Fact), ids=lambda fact: fact.__name__)
def test_every_fact_is_in_a_plan_case(fact: type[Fact]) -> None:
    """Some hand-written case has a difference of this kind."""
    assert any(isinstance(found, fact) for found, _ in judged_facts())


def test_every_hazard_has_a_section_and_every_section_a_hazard() -> None:
    """docs/hazards.md is complete, and tells of no code that is gone."""
    assert sorted(sections("hazards.md").keys() - {"How to allow", "Planned, not carried out"}) == sorted(HAZARD_CODES)


@pytest.mark.parametrize("code", HAZARD_CODES)
def test_the_section_of_a_hazard_says_all(code: str) -> None:
    """Consequence, when it appears, how to allow it, how to avoid it, and where it is carried out."""
    page = sections("hazards.md")
    text = page[code]
    assert absent([*ASPECTS, f"--allow {code}"], text) == []
    assert text.startswith(f"\n\n{HAZARD_CODES[code]}\n")
    assert f"| [{code}](#{code.lower()}) | " in page["Planned, not carried out"]


@pytest.mark.parametrize("code", HAZARD_CODES)
def test_every_hazard_is_in_a_plan_case(code: str) -> None:
    """Some hand-written case expects the hazard."""
    assert any(code in case.expected.get("hazards", ()) for case in cases())


def test_every_hazard_that_is_raised_is_known() -> None:
    """No plan case has a hazard without a code of the list."""
    assert {hazard.code for plan in plans() for hazard in plan.hazards} <= HAZARD_CODES.keys()


def test_every_error_has_a_section_and_every_section_an_error() -> None:
    """docs/errors.md is complete, and tells of no class that is gone."""
    assert sorted(sections("errors.md")) == sorted(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_the_docs_tell_the_right_exit_code(name: str) -> None:
    """The section begins with the exit code of the class, and so does the tree in the module's docstring."""
    assert sections("errors.md")[name].lstrip().startswith(f"Exit code {ERRORS[name].exit_code}. ")
    assert re.search(rf"\b{name} +{ERRORS[name].exit_code} ", errors.__doc__ or "")


@pytest.mark.parametrize("name", sorted(ERRORS.keys() - BASES))
def test_every_error_is_raised_somewhere(name: str) -> None:
    """Some module of the package makes it; one that nobody makes is no error."""
    assert name in made_errors()


def test_a_base_is_not_raised_itself() -> None:
    """The list of bases names only classes that have others under them and that nobody makes."""
    assert BASES.isdisjoint(made_errors())
    assert all(ERRORS[name].__subclasses__() for name in BASES)


@cache
def made_errors() -> frozenset[str]:
    """The names that are called in the package outside of the module that defines the errors, and what they are."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "rvlstate").rglob("*.py"))
        if path.name != "errors.py" or path.parent.name != "rvlstate"
    ]
    calls = (node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return frozenset(call.id for call in calls if isinstance(call, ast.Name) and call.id in ERRORS)


def field_attributes() -> Iterator[tuple[str, str]]:
    """Type and attribute, for every attribute of every field type and algorithm."""
    for kind in get_args(Field):
        names = {item.name for item in fields(kind)} - ALIKE - ({"search"} if kind is VectorField else set())
        yield from ((kind.__name__, name) for name in sorted(names))
    for algorithm in get_args(Algorithm):
        yield from ((algorithm.__name__, item.name) for item in fields(algorithm))


@pytest.mark.parametrize(("kind", "attribute"), list(field_attributes()))
def test_every_attribute_of_a_field_has_a_remedy(kind: str, attribute: str) -> None:
    """The table has a row for whatever may change about a field."""
    assert attribute in ATTRIBUTES, kind


def test_every_setting_has_a_remedy_and_every_remedy_is_of_something() -> None:
    """The tables have a row for each setting of an index, and no row that nothing can reach."""
    assert sorted(SETTINGS) == sorted(item.name for item in fields(IndexDefinition) if item.name != "fields")
    assert sorted(ATTRIBUTES) == sorted({attribute for _, attribute in field_attributes()})


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_row_of_an_attribute_is_in_a_plan_case(attribute: str) -> None:
    """Some hand-written case changes the attribute."""
    assert any(isinstance(fact, AttributeChanged) and fact.attribute == attribute for fact, _ in judged_facts())


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_row_of_a_setting_is_in_a_plan_case(setting: str) -> None:
    """Some hand-written case changes the setting."""
    assert any(isinstance(fact, SettingChanged) and fact.setting == setting for fact, _ in judged_facts())


def test_every_remedy_of_the_table_is_given_in_a_plan_case() -> None:
    """No remedy is kept that no change ever gets."""
    named = {name: value for name, value in vars(remedies).items() if isinstance(value, Remedy)}
    rows = {**named, **{f"ATTRIBUTES[{key}]": value for key, value in ATTRIBUTES.items()}}
    rows |= {f"SETTINGS[{key}]": value for key, value in SETTINGS.items()}
    given = [remedy for _, remedy in judged_facts()]
    assert [name for name, remedy in rows.items() if remedy not in given] == []
