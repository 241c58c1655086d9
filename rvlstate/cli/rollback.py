"""`rvlstate rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.aside import aside
from rvlstate.cli.asking import ask, lock_timeout_option, require_someone, yes_option
from rvlstate.cli.completion import declared_names
from rvlstate.cli.observing import observing, observing_options
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import progress_view, show, show_aside, show_json
from rvlstate.cli.streams import write_result

if TYPE_CHECKING:
    from rvlstate.events import Event


@click.command("rollback", cls=Command)
@click.argument("name", metavar="NAME", shell_complete=declared_names)
@click.option(
    "--backup",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the original values. Default: the one that is declared for the index.",
)
@yes_option
@lock_timeout_option
@observing_options
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, *, name: str, backup: Path | None, yes: bool, lock_timeout: float, form: str) -> int:
    """Take a change back, after asking.

    A change in phases goes back without a backup as long as its documents were not put in place: the name leads to the
    old index, the new index and all copies go. Later, and after strategy: recreate, the original values of a backup are
    put back into the documents that still hold what was written over them, and the old index with its aliases and
    synonyms in the place of the new one. Newer writes and deletions are left alone. What is interrupted is gone on with
    by running rollback again.
    """
    require_someone("rollback", yes=yes, next_step=f"rvlstate rollback {name} --yes")
    from rvlstate.views.rollback import proposal_data, write_proposal, write_rolled_back

    notes: list[str] = []
    with open_project(settings, "optional") as project, observing(settings, project.name, "rollback") as heard:
        proposal = project.propose_rollback(name, backup=backup)
        if form == "text":
            show(settings, lambda paper: write_proposal(paper, proposal))
            write_result("\n")
        elif not yes:
            show_aside(settings, lambda paper: write_proposal(paper, proposal))
        if not yes:
            ask("Roll back", project, name, refused="not rolled back")
        with aside(settings), progress_view(settings, proposal.plan) as progress:

            def listen(event: Event) -> None:
                notes.extend(_newer(event))
                progress(event)

            report = project.rollback(name, backup=backup, lock_timeout=lock_timeout, on_event=heard(listen))
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
