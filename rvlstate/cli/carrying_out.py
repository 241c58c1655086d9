"""A plan shown, asked about and carried out, with its report: what apply, cutover and complete have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rvlstate.cli.aside import aside
from rvlstate.cli.asking import ask
from rvlstate.cli.opening import offer
from rvlstate.cli.options import Globals
from rvlstate.cli.output import progress_view, show, show_aside, show_json
from rvlstate.cli.streams import write_result
from rvlstate.model.hazard import HAZARD_CODES

if TYPE_CHECKING:
    from rvlstate.events import OnEvent
    from rvlstate.plan.plan import Plan
    from rvlstate.project import Project
    from rvlstate.runtime.admit import ApplyOptions
    from rvlstate.runtime.outcome import Report
    from rvlstate.views.paper import Paper

QUESTIONS = {
    "apply": ("Carry out", "not applied"),
    "cutover": ("Cut over with", "not cut over"),
    "complete": ("Complete with", "not completed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a command was called: which, whether it may ask, the form of its result, and who else hears of the run."""

    settings: Globals
    command: str
    yes: bool
    form: str
    heard: Callable[[OnEvent], OnEvent]


def carry_out(call: Call, project: Project, plan: Plan, options: ApplyOptions, run: Callable[[OnEvent], Report]) -> int:
    """Show the plan, ask, run it, and show what came of it; the exit code."""
    from rvlstate.views.history import write_outcome
    from rvlstate.views.report import report_data, write_report

    settings = call.settings
    asks = not call.yes and can_be_applied(project, plan, options)
    if call.form == "text":
        show(settings, _plan_writer(settings, project, plan, options))
        write_result("\n")
    elif asks:
        show_aside(settings, _plan_writer(settings, project, plan, options))
    if asks:
        _ask(call, project, plan)
    with aside(settings), progress_view(settings, plan) as progress:
        report = run(call.heard(progress))
    if call.form == "json":
        show_json(report_data(report))
        return 0
    recorded, told = project.run(report.run) if report.run else None, offer(settings, project)

    def write(paper: Paper) -> None:
        write_report(paper, report, told, call.command)
        if recorded is not None:
            write_outcome(paper, recorded)

    show(settings, write)
    return 0


def can_be_applied(project: Project, plan: Plan, options: ApplyOptions) -> bool:
    """Whether there is anything to ask about: what apply refuses, or has nothing to do for, needs no answer."""
    from rvlstate.views.plan_words import is_held_back

    if not plan.steps or any(is_held_back(index) for index in plan.indexes):
        return False
    return not _open_questions(project, plan, options)


def _open_questions(project: Project, plan: Plan, options: ApplyOptions) -> frozenset[str]:
    """The hazard codes that nobody has agreed to: neither now, nor by policy, nor when the change was begun."""
    from rvlstate.runtime.admit import not_agreed

    if options.reviewed or not plan.hazards:
        return frozenset()
    state = project.state()
    agreed_before = state.run.allowed if state.run is not None and not state.run.finished else ()
    allowed = (*options.allow, *project.desired.policy.allow, *agreed_before)
    return frozenset(hazard.code for hazard in not_agreed(plan, state, allowed))


def _plan_writer(settings: Globals, project: Project, plan: Plan, options: ApplyOptions) -> Callable[[Paper], None]:
    """What writes the plan down, without the command that is being run already."""
    from rvlstate.views.plan_text import Detail, Ending, write_plan

    unanswered = _open_questions(project, plan, options)
    told = offer(settings, project, allowed=tuple(code for code in HAZARD_CODES if code not in unanswered))
    detail = Detail(everything=settings.verbose, ending=Ending.WITHOUT_COMMAND)
    return lambda paper: write_plan(paper, plan, told, detail)


def _ask(call: Call, project: Project, plan: Plan) -> None:
    from rvlstate.views.quantities import count

    verb, refused = QUESTIONS[call.command]
    ask(f"{verb} {count(len(plan.steps), 'step')} for", project, refused=refused)
