"""`rvlstate apply`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rvlstate.cli.asking import allow_option, lock_timeout_option, require_someone, yes_option
from rvlstate.cli.completion import declared_names
from rvlstate.cli.observing import observing, observing_options
from rvlstate.cli.opening import Schemas, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.errors import UsageError

if TYPE_CHECKING:
    from rvlstate.plan.plan import Plan

POSTPONE = "Build and verify new indexes, and leave every cutover to rvlstate cutover NAME."


@click.command("apply", cls=Command)
@click.argument("planfile", required=False, type=click.Path(dir_okay=False, path_type=Path))
@yes_option
@allow_option
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=declared_names,
    help="Only this index and what it depends on; may be repeated.",
)
@click.option("--postpone-cutover", "postpone", is_flag=True, help=POSTPONE)
@lock_timeout_option
@observing_options
@format_option("text", "json")
@global_options
@pass_globals
def command(
    settings: Globals,
    *,
    planfile: Path | None,
    yes: bool,
    allow: tuple[str, ...],
    targets: tuple[str, ...],
    postpone: bool,
    lock_timeout: float,
    form: str,
) -> int:
    """Carry out a plan, after asking.

    Without PLANFILE the plan is made now. A plan file is carried out as it was reviewed, its consequences included, or
    refused if the world has moved since. A run that was interrupted is gone on with by running apply again.
    """
    if planfile is not None and (targets or postpone):
        option = "--target" if targets else "--postpone-cutover"
        raise UsageError(f"{option} and a plan file exclude each other", next_step=f"make the plan file with {option}.")
    require_someone(
        "apply",
        yes=yes,
        next_step="review the plan (rvlstate plan --out plan.json), then: rvlstate apply plan.json --yes",
    )
    from rvlstate.cli.carrying_out import Call, carry_out
    from rvlstate.runtime.admit import ApplyOptions

    replan = yes and planfile is None  # nobody has read the plan that is shown
    options = ApplyOptions(allow=allow, lock_timeout=lock_timeout, reviewed=planfile is not None, replan=replan)
    saved = _load(planfile)
    # A repair leads to what was last applied: the schema files play no part in it, and may be broken.
    schemas: Schemas = "ignored" if saved is not None and saved.basis == "recorded" else "required"
    with open_project(settings, schemas) as project, observing(settings, project.name, "apply") as heard:
        plan = saved or project.plan(targets, postpone=postpone)
        call = Call(settings=settings, command="apply", yes=yes, form=form, heard=heard)
        return carry_out(
            call,
            project,
            plan,
            options,
            lambda told: project.apply(plan, options=options, on_event=told, postpone=postpone),
        )


def _load(planfile: Path | None) -> Plan | None:
    if planfile is None:
        return None
    from rvlstate.files.plan_file import load_plan

    return load_plan(planfile)
