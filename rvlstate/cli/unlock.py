"""`rvlstate unlock`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, global_options, pass_globals
from rvlstate.cli.streams import write_result


@click.command("unlock", cls=Command)
@click.argument("lock_id", metavar="ID")
@global_options
@pass_globals
def command(settings: Globals, lock_id: str) -> int:
    """Take the lock away from a run that is known to be dead.

    ID stands in the message of whoever found it locked, and in rvlstate status. A run that is alive after all stops
    before its next write.
    """
    from rvlstate.views.untrusted import lines_of

    with open_project(settings, "ignored") as project:
        holder = project.unlock(lock_id)
    write_result("".join(f"{line}\n" for line in ["Unlocked.", *lines_of(holder.describe())]))
    return 0
