"""`rvlstate drift`."""

from __future__ import annotations

import click

from rvlstate.cli.observing import metrics_file_option, write_metrics_file
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json
from rvlstate.cli.streams import write_result

DRIFT = 2


@click.command("drift", cls=Command)
@metrics_file_option
@format_option("text", "json", "markdown")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Show what others changed on the server since the last apply.

    The schema files play no part in it. Exits with 2 if there is drift; while an apply is at work there is none.
    """
    from rvlstate.views.drift import drift_data, render_drift, write_drift

    with open_project(settings, "ignored") as project:
        drift = project.drift()
        write_metrics_file(settings, project, drift)
        told = offer(settings, project)
    if form == "json":
        show_json(drift_data(drift))
    elif form == "markdown":
        write_result(render_drift(drift))
    else:
        show(settings, lambda paper: write_drift(paper, drift, told))
    return DRIFT if drift.found else 0
