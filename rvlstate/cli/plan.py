"""`rvlstate plan`."""

from __future__ import annotations

from pathlib import Path

import click

from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show, show_json
from rvlstate.cli.streams import write_result

CHANGES, REFUSED = 2, 3


@click.command("plan", cls=Command)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Save the plan, for apply FILE."
)
@format_option("text", "json", "markdown")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there is anything to do, 0 if not.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=declared_names,
    help="Only this index and what it depends on; may be repeated.",
)
@global_options
@pass_globals
def command(settings: Globals, out: Path | None, form: str, detailed_exitcode: bool, targets: tuple[str, ...]) -> int:
    """Compare declared, applied and live, and show what would be done.

    Writes nothing to the server and runs no code of the project. Exits with 3 if the plan holds a change that cannot
    be made.
    """
    with open_project(settings) as project:
        plan = project.plan(targets)
        told = offer(settings, project, plan_file=str(out) if out else "")
    if out is not None:
        from rvlstate.files.plan_file import save_plan

        save_plan(out, plan)
    if form == "json":
        from rvlstate.views.plan_json import plan_data

        show_json(plan_data(plan))
    elif form == "markdown":
        from rvlstate.views.plan_markdown import render_plan

        write_result(render_plan(plan, told))
    else:
        from rvlstate.views.plan_text import Detail, write_plan

        show(settings, lambda paper: write_plan(paper, plan, told, Detail(everything=settings.verbose)))
    if out is not None:
        note(settings, f"Saved the plan to {out}.")
    if any(index.refused for index in plan.indexes):
        return REFUSED
    return CHANGES if detailed_exitcode and not plan.empty else 0
