"""Bring the search indexes to what is declared, as a step of a deployment.

python deploy.py                      the project in this folder
python deploy.py --env production     as it is in an environment
python deploy.py --dry-run            only say what would be done
python deploy.py --repair             undo what somebody changed by hand, and do nothing else

Exits with 0 once live is as declared, with 3 where somebody has to look first, and as rvlstate does where it fails.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rvlstate import ApplyOptions, Event, Plan, Project, RvlstateError
from rvlstate.events import StepFailed, StepFinished, StepStarted

HERE = Path(__file__).parent
ALLOWED = ("SLOW_BUILD",)
"""Consequences that need nobody's consent here; everything else stops the deployment."""

NEEDS_A_PERSON = 3


def deploy(env: str, *, dry_run: bool) -> int:
    """Plan, look at what the plan would do, and carry it out; the exit code."""
    with Project.load(HERE, env=env) as project:
        plan = project.plan()
        describe(plan)
        if plan.empty or dry_run:
            return 0
        stopping = blockers(plan, project)
        for reason in stopping:
            print(f"stopped: {reason}")
        if stopping:
            return NEEDS_A_PERSON
        report = project.apply(plan, options=ApplyOptions(allow=ALLOWED, lock_timeout=60), on_event=tell)
    print(f"{report.result} in {report.seconds:.1f} s; nothing left to do: {report.plan_empty}")
    return 0


def repair(env: str, *, dry_run: bool) -> int:
    """Lead back to what was last applied, whatever the schema files say by now; the exit code."""
    with Project.load(HERE, env=env, schemas="ignored") as project:
        drift = project.drift()
        proposed = project.propose_repair(drift)
        for note in proposed.left:
            print(f"left as it is: {note}")
        if proposed.plan is None:
            print("nothing to repair")
            return NEEDS_A_PERSON if drift.found else 0
        describe(proposed.plan)
        if not dry_run:
            project.apply(proposed.plan, options=ApplyOptions(reviewed=True, lock_timeout=60), on_event=tell)
            print(f"drift: {project.drift().found}")
    return 0


def describe(plan: Plan) -> None:
    """One line for each index that something is done about."""
    for index in plan.indexes:
        if index.action != "no-op":
            counted = f"{len(index.changes)} changes, {len(index.hazards)} hazards"
            print(f"{index.action} {index.name}: {index.classification}, {counted}")
    if plan.empty:
        print("nothing to do")


def blockers(plan: Plan, project: Project) -> list[str]:
    """Why somebody has to look: changes that cannot be made, changes by hand, consequences that nobody agreed to."""
    refused = [f"{index.name}: {reason}" for index in plan.indexes for reason in index.refused]
    refused += [f"{index.name}: changed by hand (--repair undoes it)" for index in plan.indexes if index.drift]
    allowed = {*ALLOWED, *project.desired.policy.allow}
    return [*refused, *(f"{hazard.code}: {hazard.message}" for hazard in plan.hazards if hazard.code not in allowed)]


def tell(event: Event) -> None:
    """Progress, as it happens; there are more events than these (see rvlstate.events)."""
    match event:
        case StepStarted():
            print(f"[{event.number}/{event.total}] {event.summary}")
        case StepFinished() if event.note:
            print(f"      {event.note}")
        case StepFailed():
            print(f"      failed: {event.error}")
        case _:
            pass


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Bring the search indexes to what is declared.")
    parser.add_argument("--env", default="", help="environment")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--repair", action="store_true", help="undo what somebody changed by hand")
    wanted = parser.parse_args()
    try:
        return (repair if wanted.repair else deploy)(wanted.env, dry_run=wanted.dry_run)
    except RvlstateError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
