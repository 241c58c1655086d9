"""`rvlstate rollback`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.apply import YES, a_number
from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import progress_view, show, show_aside, show_json
from rvlstate.cli.streams import write_log, write_result
from rvlstate.errors import RvlstateError, UsageError

if TYPE_CHECKING:
    from rvlstate.events import Event
    from rvlstate.plan.rollback_plan import Proposal
    from rvlstate.project import Project


@click.command("rollback", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=declared_names)
@click.option(
    "--backup",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the original values. Default: the one that is declared for the index.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0, max=31_536_000),
    callback=a_number,
    default=0.0,
    metavar="S",
    help="Seconds to wait while another run holds the lock. Default: 0.",
)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, name: str, backup: Path | None, yes: bool, lock_timeout: float, form: str) -> int:
    """Take a change of documents back, after asking.

    Puts the original values of a backup back into the documents that still hold what was written over them, and the
    old index, its aliases and synonyms in the place of the new one. Newer writes and deletions are left alone. What is
    interrupted is gone on with by running rollback again.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(
            "rollback asks before it changes anything, and there is no terminal to ask on",
            next_step=f"rvlstate rollback {name} --yes",
        )
    from rvlstate.views.rollback import proposal_data, write_proposal, write_rolled_back

    notes: list[str] = []
    with open_project(settings, "optional") as project:
        proposal = project.propose_rollback(name, backup=backup)
        if form == "text":
            show(settings, lambda paper: write_proposal(paper, proposal))
            write_result("\n")
        elif not yes:
            show_aside(settings, lambda paper: write_proposal(paper, proposal))
        if not yes:
            _ask(project, proposal)
        with progress_view(settings, proposal.plan) as progress:

            def listen(event: Event) -> None:
                notes.extend(_newer(event))
                progress(event)

            report = project.rollback(name, backup=backup, lock_timeout=lock_timeout, on_event=listen)
        told = offer(settings, project)
    if form == "json":
        from rvlstate.views.report import report_data

        show_json({"proposal": proposal_data(proposal), "report": report_data(report)})
    else:
        show(settings, lambda paper: write_rolled_back(paper, report, told, tuple(notes)))
    return 0


def _newer(event: Event) -> list[str]:
    """What a step said about documents that were written since."""
    from rvlstate.events import StepFinished

    if isinstance(event, StepFinished) and event.figures.get("documents_written_since"):
        return [event.note]
    return []


def _ask(project: Project, proposal: Proposal) -> None:
    """Ask on the terminal. Raises RvlstateError unless the answer is yes."""
    from rvlstate.model.secret import redact_url
    from rvlstate.views.untrusted import printable

    where = printable(f"{proposal.rollback.name} of {project.name} on {redact_url(project.redis_url)}")
    write_log(f"Roll back {where}? Only yes is taken: ")
    if sys.stdin.readline().strip() != YES:
        raise RvlstateError("not rolled back", why="The answer was not yes; nothing was changed.")
    write_log("\n")
