"""`rvlstate validate`."""

from __future__ import annotations

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show, show_json


@click.command("validate", cls=Command)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, form: str) -> int:
    """Check the project file and all schema files, offline.

    No server is asked and no code of the project is run.
    """
    from rvlstate.plan.order import refuse_cycles
    from rvlstate.views.validated import validated_data, write_validated

    with open_project(settings) as project:
        refuse_cycles({index.name: index.depends_on for index in project.desired.indexes})
        path, url, desired, warnings = str(project.path), project.redis_url, project.desired, project.warnings
    if form == "json":
        show_json(validated_data(path, url, desired, warnings))
    else:
        show(settings, lambda paper: write_validated(paper, path, url, desired))
    return 0
