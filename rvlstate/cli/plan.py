"""`rvlstate plan`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from rvlstate.cli.apply import POSTPONE
from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show, show_json
from rvlstate.cli.streams import write_result
from rvlstate.errors import UsageError

CHANGES, REFUSED = 2, 3


@click.command("plan", cls=Command)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Save the plan, for apply FILE."
)
@format_option("text", "json", "markdown", "html")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there is anything to do or waits.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=declared_names,
    help="Only this index and what it depends on; may be repeated.",
)
@click.option("--postpone-cutover", "postpone", is_flag=True, help=POSTPONE)
@click.option(
    "--against",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Plan without a server, against a saved state (state pull) or what a plan file was made for.",
)
@global_options
@pass_globals
def command(
    settings: Globals,
    *,
    out: Path | None,
    form: str,
    detailed_exitcode: bool,
    targets: tuple[str, ...],
    postpone: bool,
    against: Path | None,
) -> int:
    """Compare declared, applied and live, and show what would be done.

    Writes nothing to the server and runs no code of the project. Exits with 3 if the plan holds a change that cannot
    be made.
    """
    if against is not None and (out is not None or postpone):
        option = "--out" if out is not None else "--postpone-cutover"
        raise UsageError(
            f"--against and {option} exclude each other",
            why="What is planned against a file can be read, and not be applied.",
            next_step="run rvlstate plan --out FILE against the server.",
        )
    with open_project(settings) as project:
        plan = project.plan_against(against, targets) if against else project.plan(targets, postpone=postpone)
        told = offer(settings, project, plan_file=str(out) if out else "", postpone=postpone)
    if against is not None:
        told = replace(told, server=str(against))
    if out is not None:
        from rvlstate.files.plan_file import save_plan

        save_plan(out, plan)
    if form == "json":
        from rvlstate.views.plan_json import plan_data

        show_json(plan_data(plan))
    elif form == "markdown":
        from rvlstate.runtime.identity import identify
        from rvlstate.views.plan_markdown import render_plan

        write_result(render_plan(plan, told, job_url=identify().ci_url))
    elif form == "html":
        from rvlstate.views.html_plan import render_plan_page

        write_result(render_plan_page(plan, told))
    else:
        from rvlstate.views.plan_text import Detail, Ending, write_plan

        ending = Ending.WITHOUT_COMMAND if against else Ending.WITH_COMMAND
        detail = Detail(everything=settings.verbose, ending=ending)
        show(settings, lambda paper: write_plan(paper, plan, told, detail))
    if out is not None:
        note(settings, f"Saved the plan to {out}.")
    if any(index.refused for index in plan.indexes):
        return REFUSED
    return CHANGES if detailed_exitcode and (plan.waiting or not plan.empty) else 0
