"""`rvlstate history`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json
from rvlstate.cli.streams import write_result
from rvlstate.errors import RvlstateError, UsageError


@click.command("history", cls=Command)
@click.argument("run_id", required=False, metavar="[ID]")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to list.")
@format_option("text", "json", "html")
@global_options
@pass_globals
def command(settings: Globals, run_id: str | None, limit: int, form: str) -> int:
    """Show past runs, or the report of one.

    The report, not the list, is also a page to look at: --format html.
    """
    from rvlstate.views.history import history_data, run_data, write_history, write_run

    if form == "html" and run_id is None:
        raise UsageError("only the report of one run can be a page", next_step="add the id of a run: rvlstate history.")
    with open_project(settings, "ignored") as project:
        if run_id is None:
            runs = project.history(limit)
            show_json(history_data(runs)) if form == "json" else show(
                settings, lambda paper: write_history(paper, runs)
            )
            return 0
        report = project.run(run_id)
        events = project.run_events(run_id) if form == "html" else ()
    if report is None:
        raise RvlstateError(f"no run {run_id} is known", next_step="rvlstate history lists the runs.")
    if form == "html":
        from rvlstate.views.html_run import render_run_page

        write_result(render_run_page(report, events, project=project.desired.project))
    elif form == "json":
        show_json(run_data(report))
    else:
        show(settings, lambda paper: write_run(paper, report))
    return 0
