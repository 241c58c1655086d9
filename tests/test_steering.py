"""What `cutover` and `complete` plan, from each place where a run may have left a change."""

from __future__ import annotations

import pytest
from plan_cases import load_cases

from rvlstate.errors import ChangeRefusedError
from rvlstate.plan.steering import completing, cutting_over

CASES = {case.id.removeprefix("14_phases/"): case for case in load_cases() if case.id.startswith("14_phases/")}


def test_complete_tidies_up_behind_a_change_that_is_settled() -> None:
    """Killed before the state said that it is complete: status names this command, and it goes on."""
    case = CASES["settled_and_not_tidied_up"]
    plan = completing(case.desired, "goods").plan(case.world)
    (step,) = plan.steps
    assert step.operation.summary == "remove what the change of the documents of goods kept beside them"


@pytest.mark.parametrize("name", ["staging_given_up", "another_change_declared_while_promoting"])
def test_neither_gives_a_change_up(name: str) -> None:
    """Where another one is declared they say so, and what to do about it."""
    case = CASES[name]
    for errand in (cutting_over(case.desired, "goods"), completing(case.desired, "goods")):
        with pytest.raises(ChangeRefusedError, match="another change is declared now"):
            errand.plan(case.world)
