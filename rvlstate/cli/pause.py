"""`rvlstate pause`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.ordering import show_order


@click.command("pause", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Have the run in progress wait at its next safe place.

    It obeys within two seconds, between two batches of documents, between two steps, or while it waits for a build. It
    keeps the lock until it is resumed or aborted; search and writers are not affected.
    """
    with open_project(settings, "ignored") as project:
        ordered = project.pause()
    show_order(ordered, form)
    return 0
