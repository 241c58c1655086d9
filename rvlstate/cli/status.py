"""`rvlstate status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json

if TYPE_CHECKING:
    from rvlstate.project import Project
    from rvlstate.runtime.status import Status

SECONDS_BETWEEN_LOOKS = 1.0


@click.command("status", cls=Command)
@click.option("--follow", is_flag=True, help="Show every change of the status until no run is at work any more.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, follow: bool, form: str) -> int:
    """Show where every index stands and what to do next."""
    with open_project(settings, "ignored") as project:
        status = _show(settings, project, form, None)
        while follow and status.lock is not None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            status = _show(settings, project, form, status)
    return 0


def _show(settings: Globals, project: Project, form: str, before: Status | None) -> Status:
    """Show the status unless it says the same as before."""
    from rvlstate.views.status import is_same, status_data, write_status

    status = project.status()
    if before is not None and is_same(before, status):
        return status
    if form == "json":
        show_json(status_data(status))
    else:
        show(settings, lambda paper: write_status(paper, status, offer(settings, project)))
    return status
