"""`rvlstate acl`."""

from __future__ import annotations

from typing import cast

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show_json
from rvlstate.cli.streams import write_result


@click.command("acl", cls=Command)
@click.option(
    "--for",
    "role",
    type=click.Choice(("plan", "drift", "apply")),
    help="Only the user for this.  [default: all three]",
)
@click.option("--indexes-only", is_flag=True, help="Without what changes documents: plans that do so are refused then.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, role: str | None, indexes_only: bool, form: str) -> int:
    """Print users with just the rights that rvlstate needs.

    One ACL SETUSER line for each: for plan, for drift, and for apply with all else that writes. They are made from the
    declared indexes, the recorded state and the commands of the server, and change nothing; whoever may run ACL SETUSER
    sends them. Passwords stay as they are, a new user has none.
    """
    from rvlstate.plan.grants import ROLES, Role
    from rvlstate.views.acl import grant_data, grant_notes

    chosen: tuple[Role, ...] = (cast("Role", role),) if role else ROLES
    with open_project(settings) as project:
        grants = project.grants(chosen, documents=not indexes_only)
    if form == "json":
        show_json({"users": [grant_data(one) for one in grants]})
        return 0
    for one in grants:
        for line in grant_notes(one):
            note(settings, line)
        write_result("".join(f"{line}\n" for line in (one.line, one.further_line) if line))
    return 0
