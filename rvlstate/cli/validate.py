"""`rvlstate validate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rvlstate.cli.opening import FILE_NAME, find_project_file, open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import note, show, show_json
from rvlstate.errors import UsageError


@click.command("validate", cls=Command)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--all-envs", is_flag=True, help="Check the project as it is in each of its environments.")
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, files: tuple[Path, ...], form: str, *, all_envs: bool) -> int:
    """Check the project file and all schema files, offline.

    No server is asked and no code of the project is run. FILEs are what was changed, as pre-commit passes them: the
    projects that they belong to are checked, in all environments; files that belong to none are left out.
    """
    if files and settings.project:
        raise UsageError("--project and files exclude each other", next_step="name one of them.")
    if (files or all_envs) and settings.env:
        raise UsageError("--env and all environments exclude each other", next_step="leave --env out.")
    found = [_checked(chosen, form) for chosen in _chosen(settings, files, all_envs=all_envs)]
    if form == "json":
        show_json(found[0] if len(found) == 1 else found)
    elif not found:
        note(settings, "Nothing to check: no project file lies in the folders of these files, or above them.")
    return 0


def _chosen(settings: Globals, files: tuple[Path, ...], *, all_envs: bool) -> Iterator[Globals]:
    """The same options for each project, and for each of its environments."""
    if not files and not all_envs:
        yield settings
        return
    projects = _projects_of(files) if files else [find_project_file(settings)]
    for project in projects:
        for env in _environments(project):
            yield replace(settings, project=str(project), env=env)


def _projects_of(files: tuple[Path, ...]) -> list[Path]:
    """The nearest project file of each file, upwards; each once, in the order of the files."""
    found: dict[Path, None] = {}
    for file in files:
        folders = [folder / FILE_NAME for folder in file.parents]
        project = next((path for path in folders if path.is_file()), None)
        if project is not None:
            found[project] = None
    return list(found)


def _environments(project: Path) -> list[str]:
    """All environments; and the project alone, unless it leaves a required key to them."""
    from rvlstate.files.environments import environments
    from rvlstate.files.overlay import stands_alone

    names = list(environments(project))
    return ["", *names] if not names or stands_alone(project) else names


def _checked(settings: Globals, form: str) -> dict[str, Any]:
    """Check one project in one environment, and tell of it."""
    from rvlstate.plan.order import refuse_cycles
    from rvlstate.views.validated import validated_data, write_validated

    with open_project(settings) as project:
        refuse_cycles({index.name: index.depends_on for index in project.desired.indexes})
        path, url, desired, warnings = str(project.path), project.redis_url, project.desired, project.warnings
    if form == "text":
        shown = f"{path} (--env {settings.env})" if settings.env else path
        show(settings, lambda paper: write_validated(paper, shown, url, desired))
    return {**validated_data(path, url, desired, warnings), "environment": settings.env}
