"""`rvlstate watch`."""

from __future__ import annotations

import click

from rvlstate.cli.aside import aside
from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import event_view, show, show_json


@click.command("watch", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=declared_names)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, name: str, form: str) -> int:
    """Go on converting what is written in the old layout.

    While a change of documents waits for its cutover or keeps the old index, its copies are kept up to date; when it is
    complete, documents that are still written in the old layout are converted where they are. Ctrl-C and SIGTERM end it
    with a summary. It makes room for an apply between two passes.
    """
    from rvlstate.views.watched import watched_data, write_watched

    with open_project(settings, "optional") as project, aside(settings):
        watched = project.watch(name, on_event=event_view(settings))
    if form == "json":
        show_json(watched_data(watched))
    else:
        show(settings, lambda paper: write_watched(paper, watched))
    return 0
