"""What a plan says to a commit: success or failure, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvlstate.plan.plan import Plan
from rvlstate.views.plan_words import totals
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import printable

LONGEST_DESCRIPTION, LONGEST_CONTEXT = 140, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A commit status: its state, its name in the list of checks, and one line of at most 140 characters."""

    state: Literal["success", "failure"]
    context: str
    description: str


def verdict_of(plan: Plan, environment: str = "") -> Verdict:
    """Failure if anything of the plan is refused; else success, with the consequences that an apply agrees to."""
    refused = sum(bool(index.refused) for index in plan.indexes)
    codes = sorted({hazard.code for hazard in plan.hazards})
    agreed = f" Applying the file agrees to {', '.join(codes)}." if codes and not refused else ""
    text = totals(plan) + agreed
    names = "/".join(name for name in ("rvlstate", plan.project, environment) if name)
    return Verdict(
        state="failure" if refused else "success",
        context=_short(printable(names), LONGEST_CONTEXT),
        description=_short(
            f"{count(refused, 'index', 'indexes')} refused. {text}" if refused else text, LONGEST_DESCRIPTION
        ),
    )


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
