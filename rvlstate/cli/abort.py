"""`rvlstate abort`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.ordering import show_order
from rvlstate.cli.output import show
from rvlstate.errors import RvlstateError

if TYPE_CHECKING:
    from rvlstate.project import Project
    from rvlstate.runtime.status import ChangeStatus, Status
    from rvlstate.views.paper import Paper
    from rvlstate.views.plan_words import Offer


@click.command("abort", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Stop the run in progress, and say how to go on.

    It obeys within two seconds and stops as SIGTERM would have it: between two batches of documents or two steps, from
    where running the same command again goes on. A paused run is stopped as well.
    """
    with open_project(settings, "ignored") as project:
        ordered = project.abort()
        status = _status(project) if ordered.ended and form == "text" else None
        told = offer(settings, project)
    show_order(ordered, form, status.next_step if status is not None else "")
    if status is not None and status.changes:
        show(settings, partial(_write_changes, changes=status.changes, told=told))
    return 0


def _write_changes(paper: Paper, changes: tuple[ChangeStatus, ...], told: Offer) -> None:
    from rvlstate.views.standing import write_change

    paper.line()
    for change in changes:
        write_change(paper, change, told)


def _status(project: Project) -> Status | None:
    """Where things stand now; None where that cannot be seen, since the order was given all the same."""
    try:
        return project.status()
    except RvlstateError:
        return None
