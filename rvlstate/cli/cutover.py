"""`rvlstate cutover`."""

from __future__ import annotations

import click

from rvlstate.cli.asking import allow_option, lock_timeout_option, require_someone, yes_option
from rvlstate.cli.completion import declared_names
from rvlstate.cli.observing import observing, observing_options
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals


@click.command("cutover", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=declared_names)
@yes_option
@allow_option
@lock_timeout_option
@observing_options
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, name: str, yes: bool, allow: tuple[str, ...], lock_timeout: float, form: str) -> int:
    """Lead a name to the new index that is ready for it.

    Asks first. For an index with cutover: manual, and after apply --postpone-cutover. What was written since is caught
    up with and the new index is verified again; then the change goes on as declared.
    """
    require_someone("cutover", yes=yes, next_step=f"rvlstate cutover {name} --yes")
    from rvlstate.cli.carrying_out import Call, carry_out
    from rvlstate.runtime.admit import ApplyOptions

    options = ApplyOptions(allow=allow, lock_timeout=lock_timeout, replan=yes, command=f"cutover {name}")
    with open_project(settings) as project, observing(settings, project.name, "cutover") as heard:
        plan = project.propose_cutover(name)
        call = Call(settings=settings, command="cutover", yes=yes, form=form, heard=heard)
        return carry_out(
            call, project, plan, options, lambda told: project.cutover(name, plan, options=options, on_event=told)
        )
