"""`rvlstate comment`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show_json
from rvlstate.cli.streams import write_result

if TYPE_CHECKING:
    from rvlstate.forge.post import Posted
    from rvlstate.forge.target import ForgeName


@click.command("comment", cls=Command)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The plan, as plan --out saved it.",
)
@click.option("--pull-request", "number", type=click.IntRange(min=1), metavar="N", help="Instead of the job's own.")
@click.option("--repository", metavar="NAME", default="", help="OWNER/NAME, or GROUP/NAME on GitLab.")
@click.option("--forge", type=click.Choice(["github", "gitlab"]), help="Where no CI job says which.")
@click.option("--always", is_flag=True, help="Comment also when there is nothing to do.")
@click.option("--status", is_flag=True, help="Also set the commit status rvlstate/PROJECT.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=120,
    show_default=True,
    metavar="S",
    help="How long to wait for rate limits in all.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    metavar="S",
    help="How long to wait for an answer.",
)
@format_option("text", "json")
@global_options
@pass_globals
def command(
    settings: Globals,
    *,
    plan_file: Path,
    number: int | None,
    repository: str,
    forge: ForgeName | None,
    always: bool,
    status: bool,
    wait: float,
    timeout: int,
    form: str,
) -> int:
    """Post a plan as the comment of a pull request.

    One that is there is updated. In a job of GitHub Actions or GitLab CI it knows where by itself; the token is in
    GITHUB_TOKEN or GITLAB_TOKEN. Where the token may not write, the plan goes to the job summary, or to standard
    output. No Redis server is asked.
    """
    from rvlstate.files.plan_file import load_plan
    from rvlstate.forge.environment import find_target
    from rvlstate.forge.patience import Patience
    from rvlstate.forge.post import Post, post_plan
    from rvlstate.forge.target import Wishes

    plan = load_plan(plan_file)
    target = find_target(os.environ, Wishes(forge=forge, repository=repository, number=number))
    post = Post(
        plan=plan,
        environment=settings.env,
        program=settings.program,
        plan_file=plan_file.name,
        always=always,
        status=status,
    )
    patience = Patience(name=target.name, longest_wait=wait, tell=lambda text: note(settings, text))
    posted = post_plan(post, target, patience, timeout=timeout)
    _show(posted, form)
    return 0


def _show(posted: Posted, form: str) -> None:
    from rvlstate.views.untrusted import lines_of

    if form == "json":
        show_json(posted.to_dict())
        return
    said = "".join(f"{line}\n" for line in lines_of(posted.describe()))
    write_result(f"{said}\n{posted.markdown}" if posted.markdown else said)
