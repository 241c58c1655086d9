"""`rvlstate abort`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.ordering import show_order


@click.command("abort", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Stop the run in progress; apply goes on with it later.

    It obeys within two seconds and stops as SIGTERM would have it: between two batches of documents or two steps, from
    where running rvlstate apply again goes on. A paused run is stopped as well.
    """
    with open_project(settings, "ignored") as project:
        ordered = project.abort()
    show_order(ordered, form)
    return 0
