"""`rvlstate import`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json
from rvlstate.errors import UsageError


@click.command("import", cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every index that is not managed yet.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, names: tuple[str, ...], everything: bool, form: str) -> int:
    """Take live indexes into management and write their schemas.

    Writes a schema file for each index that no schema declares, and records what is live; nothing changes about the
    index itself, and the next plan is empty. What the server does not reveal is listed.
    """
    if bool(names) == everything:
        raise UsageError(
            "name the indexes to import, or ask for all of them",
            next_step="rvlstate import NAME... or rvlstate import --all; rvlstate status lists what is not managed.",
        )
    from rvlstate.views.imported import imported_data, write_imported

    with open_project(settings, "optional") as project:
        imported = project.import_indexes(names, everything=everything)
        told, recorded = offer(settings, project), {record.name for record in project.state().records}
        undeclared = sorted(recorded - {index.name for index in project.desired.indexes} - {i.name for i in imported})
    if form == "json":
        show_json(imported_data(imported))
    else:
        show(settings, lambda paper: write_imported(paper, imported, told, undeclared))
    return 0
