"""`rvlstate status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json, show_json_line

if TYPE_CHECKING:
    from rvlstate.runtime.status import Status

SECONDS_BETWEEN_LOOKS = 1.0


@click.command("status", cls=Command)
@click.option("--follow", is_flag=True, help="Show every change of the status until no run is at work any more.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, follow: bool, form: str) -> int:
    """Show where every index stands and what to do next."""
    from rvlstate.views.status import is_same, status_data, write_status

    with open_project(settings, "ignored") as project:
        told = offer(settings, project)

        def tell(status: Status) -> None:
            if form == "text":
                show(settings, lambda paper: write_status(paper, status, told))
            else:
                (show_json_line if follow else show_json)(status_data(status))

        status = project.status()
        tell(status)
        while follow and status.lock is not None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            before, status = status, project.status()
            if not is_same(before, status):
                tell(status)
    return 0
