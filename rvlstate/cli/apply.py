"""`rvlstate apply`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import progress_view, show, show_aside, show_json
from rvlstate.cli.streams import write_log, write_result
from rvlstate.errors import RvlstateError, UsageError
from rvlstate.model.hazard import HAZARD_CODES

if TYPE_CHECKING:
    from rvlstate.plan.plan import Plan
    from rvlstate.project import Project
    from rvlstate.runtime.admit import ApplyOptions
    from rvlstate.views.paper import Paper

YES = "yes"


def a_number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """The value; a range of click lets `nan` pass."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds.")
    return value


@click.command("apply", cls=Command)
@click.argument("planfile", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice(sorted(HAZARD_CODES)),
    metavar="HAZARD",
    help="Agree to this consequence of the plan; may be repeated.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=declared_names,
    help="Only this index and what it depends on; may be repeated.",
)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0, max=31_536_000),
    callback=a_number,
    default=0.0,
    metavar="S",
    help="Seconds to wait while another run holds the lock. Default: 0.",
)
@format_option("text", "json")
@global_options
@pass_globals
def command(
    settings: Globals,
    *,
    planfile: Path | None,
    yes: bool,
    allow: tuple[str, ...],
    targets: tuple[str, ...],
    lock_timeout: float,
    form: str,
) -> int:
    """Carry out a plan, after asking.

    Without PLANFILE the plan is made now. A plan file is carried out as it was reviewed, its consequences included, or
    refused if the world has moved since. A run that was interrupted is gone on with by running apply again.
    """
    if planfile is not None and targets:
        raise UsageError("--target and a plan file exclude each other", next_step="make the plan file with --target.")
    if not yes and not sys.stdin.isatty():
        raise UsageError(
            "apply asks before it changes anything, and there is no terminal to ask on",
            next_step="review the plan (rvlstate plan --out plan.json), then: rvlstate apply plan.json --yes",
        )
    from rvlstate.runtime.admit import ApplyOptions

    replan = yes and planfile is None  # nobody has read the plan that is shown
    options = ApplyOptions(allow=allow, lock_timeout=lock_timeout, reviewed=planfile is not None, replan=replan)
    with open_project(settings) as project:
        plan = _plan(project, planfile, targets)
        asks = not yes and _can_be_applied(project, plan, options)
        if form == "text":
            show(settings, _plan_writer(settings, project, plan, options))
            write_result("\n")
        elif asks:
            show_aside(settings, _plan_writer(settings, project, plan, options))
        if asks:
            _ask(project, plan)
        with progress_view(settings, plan) as progress:
            report = project.apply(plan, options=options, on_event=progress)
        told = project.run(report.run) if report.run and form == "text" else None
    from rvlstate.views.history import write_outcome
    from rvlstate.views.report import report_data, write_report

    if form == "json":
        show_json(report_data(report))
    else:

        def write(paper: Paper) -> None:
            write_report(paper, report)
            if told is not None:
                write_outcome(paper, told)

        show(settings, write)
    return 0


def _plan(project: Project, planfile: Path | None, targets: tuple[str, ...]) -> Plan:
    if planfile is None:
        return project.plan(targets)
    from rvlstate.files.plan_file import load_plan

    return load_plan(planfile)


def _plan_writer(settings: Globals, project: Project, plan: Plan, options: ApplyOptions) -> Callable[[Paper], None]:
    """What writes the plan down, without the command that is being run already."""
    from rvlstate.views.plan_text import Detail, Ending, write_plan

    told = offer(settings, project, allowed=tuple(HAZARD_CODES) if options.reviewed else options.allow)
    detail = Detail(everything=settings.verbose, ending=Ending.WITHOUT_COMMAND)
    return lambda paper: write_plan(paper, plan, told, detail)


def _can_be_applied(project: Project, plan: Plan, options: ApplyOptions) -> bool:
    """Whether there is anything to ask about: what apply refuses, or has nothing to do for, needs no answer."""
    from rvlstate.views.plan_words import is_held_back, not_allowed

    if not plan.steps or any(is_held_back(index) for index in plan.indexes):
        return False
    run = project.state().run
    agreed_before = run.allowed if run is not None and not run.finished else ()
    return options.reviewed or not not_allowed(plan, (*options.allow, *project.desired.policy.allow, *agreed_before))


def _ask(project: Project, plan: Plan) -> None:
    """Ask on the terminal. Raises RvlstateError unless the answer is yes."""
    from rvlstate.model.secret import redact_url
    from rvlstate.views.quantities import count
    from rvlstate.views.untrusted import printable

    where = printable(f"{project.name} on {redact_url(project.redis_url)}")
    write_log(f"Carry out {count(len(plan.steps), 'step')} for {where}? Only yes is taken: ")
    if sys.stdin.readline().strip() != YES:
        raise RvlstateError("not applied", why="The answer was not yes; nothing was changed.")
    write_log("\n")
