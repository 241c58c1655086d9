"""`rvlstate drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.observing import metrics_file_option, write_metrics_file
from rvlstate.cli.opening import offer, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show, show_json
from rvlstate.cli.streams import write_result

if TYPE_CHECKING:
    from rvlstate.cli.telling import Telling
    from rvlstate.forge.target import ForgeName
    from rvlstate.plan.drift import Drift
    from rvlstate.project import Project
    from rvlstate.views.plan_words import Offer

DRIFT, UNTOLD = 2, 1
NOTHING_TO_REPAIR = "There is nothing that a plan could repair; no file was written."


@click.command("drift", cls=Command)
@click.option("--fail-on-unmanaged", is_flag=True, help="Indexes that nobody declared are drift, too.")
@click.option(
    "--repair",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the plan that undoes the drift, for apply FILE.",
)
@click.option(
    "--notify",
    "urls",
    multiple=True,
    envvar="RVLSTATE_NOTIFY",
    metavar="URL",
    help="Tell a webhook, Slack or a service of apprise; may be repeated. Better set as RVLSTATE_NOTIFY.",
)
@click.option(
    "--notify-state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Tell only what differs from what was told last, which is kept in this file; also when drift is gone.",
)
@click.option("--issue", is_flag=True, help="Keep one issue about drift on GitHub or GitLab: open, update, close it.")
@click.option("--repository", metavar="NAME", default="", help="For --issue: OWNER/NAME, or GROUP/NAME on GitLab.")
@click.option("--forge", type=click.Choice(["github", "gitlab"]), help="For --issue, where no CI job says which.")
@metrics_file_option
@format_option("text", "json", "markdown")
@global_options
@pass_globals
def command(
    settings: Globals,
    *,
    fail_on_unmanaged: bool,
    repair: Path | None,
    urls: tuple[str, ...],
    notify_state: Path | None,
    issue: bool,
    repository: str,
    forge: ForgeName | None,
    form: str,
) -> int:
    """Show what others changed on the server since the last apply.

    Also what went wrong there by itself. The schema files play no part in it, and nothing is written to the server.
    Exits with 2 if there is drift; an apply at work, and a change that waits for somebody, are none. Where nobody can
    look, that is told, too, and exits with 1.
    """
    from dataclasses import replace

    with open_project(settings, "ignored") as project:
        told = offer(settings, project)
        telling = _telling(settings, project, told, (urls, notify_state), (issue, repository, forge))
        drift = telling.looked(lambda: replace(project.drift(), counts_unmanaged=fail_on_unmanaged))
        with telling.even_so(drift):
            write_metrics_file(settings, project, drift)
            if repair is not None and _write_repair(settings, project, drift, repair):
                told = replace(told, plan_file=str(repair))
            _show(settings, drift, told, form)
    untold = telling.tell(drift)
    return DRIFT if drift.found else UNTOLD if untold else 0


def _telling(
    settings: Globals,
    project: Project,
    told: Offer,
    notify: tuple[tuple[str, ...], Path | None],
    issue: tuple[bool, str, ForgeName | None],
) -> Telling:
    """Whom to tell; what is wrong about that is found before anything is looked at."""
    from rvlstate.cli.telling import Telling, issue_target, notifications

    urls, file = notify
    wanted, repository, forge = issue
    environment = project.environment
    name = f"{project.name}/{environment}" if environment else project.name
    return Telling(
        settings=settings,
        project=project.name,
        environment=environment,
        offer=told,
        addresses=notifications(urls),
        target=issue_target(repository, forge) if wanted else None,
        file=file,
        name=name,
    )


def _write_repair(settings: Globals, project: Project, drift: Drift, file: Path) -> bool:
    """Write the plan file if any plan can undo anything, and say what it leaves; whether it was written."""
    from rvlstate.files.plan_file import save_plan

    if drift.in_progress:
        note(settings, "An apply is in progress: there is nothing to repair, and no file was written.")
        return False
    repair = project.propose_repair(drift)
    if repair.plan is not None:
        save_plan(file, repair.plan)
        note(settings, f"Saved the plan that undoes it to {file}.")
    else:
        note(settings, NOTHING_TO_REPAIR)
    for reason in repair.left:
        note(settings, f"Not repaired: {reason}.")
    return repair.plan is not None


def _show(settings: Globals, drift: Drift, told: Offer, form: str) -> None:
    if form == "json":
        from rvlstate.views.drift_json import drift_data

        show_json(drift_data(drift, told))
    elif form == "markdown":
        from rvlstate.runtime.identity import identify
        from rvlstate.views.drift_markdown import render_drift

        write_result(render_drift(drift, told, job_url=identify().ci_url))
    else:
        from rvlstate.views.drift import write_drift

        show(settings, lambda paper: write_drift(paper, drift, told))
