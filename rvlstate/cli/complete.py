"""`rvlstate complete`."""

from __future__ import annotations

import click

from rvlstate.cli.asking import allow_option, lock_timeout_option, require_someone, yes_option
from rvlstate.cli.completion import declared_names
from rvlstate.cli.observing import observing, observing_options
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals


@click.command("complete", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=declared_names)
@yes_option
@allow_option
@lock_timeout_option
@observing_options
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, name: str, yes: bool, allow: tuple[str, ...], lock_timeout: float, form: str) -> int:
    """Give up the old index of a change, and bring it to its end.

    Asks first, and does not wait for policy.retain_old. Copies take the place of their documents, unless only the
    index was changed; the way back is a backup from then on. A run that was interrupted goes on by running complete
    again.
    """
    require_someone("complete", yes=yes, next_step=f"rvlstate complete {name} --yes")
    from rvlstate.cli.carrying_out import Call, carry_out
    from rvlstate.runtime.admit import ApplyOptions

    options = ApplyOptions(allow=allow, lock_timeout=lock_timeout, replan=yes, command=f"complete {name}")
    with open_project(settings) as project, observing(settings, project.name, "complete") as heard:
        plan = project.propose_complete(name)
        call = Call(settings=settings, command="complete", yes=yes, form=form, heard=heard)
        return carry_out(
            call, project, plan, options, lambda told: project.complete(name, plan, options=options, on_event=told)
        )
