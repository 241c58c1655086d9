"""`rvlstate demo`."""

from __future__ import annotations

from pathlib import Path

import click

from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals


@click.command("demo", cls=Command)
@click.option("--keep", is_flag=True, help="Leave the server running and the files in place.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to put project and server. Default: a temporary folder.",
)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, keep: bool, folder: Path | None, form: str) -> int:  # noqa: ARG001 - for all commands
    """Play the whole story on an embedded server with real data.

    Loads documents, imports, edits two schemas, plans and applies while queries run, finds a change made by hand, and
    makes vectors float16 while one process writes and another one queries. Fails if an update is lost, a query fails
    or an answer is empty.
    """
    from rvlstate.demo import run_demo

    return run_demo(folder, "json" if form == "json" else "text", keep=keep)
