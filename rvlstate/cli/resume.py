"""`rvlstate resume`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.ordering import show_order


@click.command("resume", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Have a paused run go on."""
    with open_project(settings, "ignored") as project:
        ordered = project.resume()
    show_order(ordered, form)
    return 0
