"""`rvlstate status`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json, show_json_line
from rvlstate.cli.streams import write_result

if TYPE_CHECKING:
    from rvlstate.project import Project
    from rvlstate.runtime.status import Status

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_LINES = 5.0
START_OF_LINE = "\r\x1b[2K"


@click.command("status", cls=Command)
@click.option("--follow", is_flag=True, help="Show every change of the status until no run is at work any more.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, follow: bool, form: str) -> int:
    """Show where every index stands and what to do next.

    While a run is at work: its step, how far that is, how fast, for how long still, why it is slow, and what it was
    ordered by pause, throttle or abort. For a run that was interrupted: how far it got.
    """
    from rvlstate.views.status import status_data, write_status

    with open_project(settings, "ignored") as project:
        told = offer(settings, project)

        def tell(status: Status) -> None:
            if form == "text":
                show(settings, lambda paper: write_status(paper, status, told))
            else:
                (show_json_line if follow else show_json)(status_data(status))

        status = project.status()
        tell(status)
        if follow:
            _follow(project, status, tell, text=form == "text")
    return 0


def _follow(project: Project, status: Status, tell: Callable[[Status], None], *, text: bool) -> None:
    """Tell every change until nobody is at work; as text, a mere step forward is one line."""
    from rvlstate.views.status import differs_in_progress_only, is_same, progress_line

    line = ProgressLine()
    while status.lock is not None:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        before, status = status, project.status()
        if is_same(before, status):
            continue
        if text and differs_in_progress_only(before, status):
            line.show(progress_line(status))
        else:
            line.end()
            tell(status)


class ProgressLine:
    """A line that is written over on a terminal, and elsewhere added now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._written = False
        self._at = -SECONDS_BETWEEN_LINES

    def show(self, text: str) -> None:
        """Show the latest text."""
        if self._is_terminal:
            room = shutil.get_terminal_size().columns - 1
            write_result(f"{START_OF_LINE}{text[:room]}")
            self._written = True
        elif time.monotonic() - self._at >= SECONDS_BETWEEN_LINES:
            self._at = time.monotonic()
            write_result(f"{text}\n")

    def end(self) -> None:
        """Let what comes next begin on a line of its own."""
        if self._written:
            write_result("\n")
            self._written = False
