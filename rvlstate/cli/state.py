"""`rvlstate state`."""

from __future__ import annotations

import sys

import click

from rvlstate.cli.group import SubGroup
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json
from rvlstate.cli.streams import write_log, write_result
from rvlstate.errors import RvlstateError, UsageError


@click.group("state", cls=SubGroup, invoke_without_command=True)
@global_options
@click.pass_context
def command(ctx: click.Context) -> int:
    """Show, save or rebuild the recorded state."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


@command.command("show", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def show_state(settings: Globals, form: str) -> int:
    """Show what is managed and what was last applied."""
    from rvlstate.views.state import state_data, write_state

    with open_project(settings, "ignored") as project:
        state = project.state()
    show_json(state_data(state)) if form == "json" else show(settings, lambda paper: write_state(paper, state))
    return 0


@command.command("pull", cls=Command)
@global_options
@pass_globals
def pull_state(settings: Globals) -> int:
    """Write everything that is stored to stdout, as JSON, damaged or not."""
    with open_project(settings, "ignored") as project:
        write_result(project.pull_state().rstrip("\n") + "\n")
    return 0


@command.command("rebuild", cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option("text", "json")
@global_options
@pass_globals
def rebuild_state(settings: Globals, yes: bool, form: str) -> int:
    """Write the state anew from the live indexes that the schemas declare.

    For a state that was lost or damaged. What FT.INFO hides is not known afterwards, and plans made before are stale. A
    change in phases that was under way is found by what it left, and can be taken back; nothing is removed here.
    """
    if not yes:
        _ask()
    from rvlstate.views.state import state_data, write_state

    with open_project(settings) as project:
        state = project.rebuild_state()
    show_json(state_data(state)) if form == "json" else show(settings, lambda paper: write_state(paper, state))
    return 0


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("state rebuild asks first, and there is no terminal to ask on", next_step="add --yes.")
    write_log("Replace the recorded state by what is live? rvlstate state pull keeps a copy. Only yes is taken: ")
    if sys.stdin.readline().strip() != "yes":
        raise RvlstateError("not rebuilt", why="The answer was not yes; nothing was changed.")
