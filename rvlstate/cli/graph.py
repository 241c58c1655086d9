"""`rvlstate graph`."""

from __future__ import annotations

import click

from rvlstate.cli.completion import declared_names
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.streams import write_result


@click.command("graph", cls=Command)
@format_option("mermaid", "dot")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=declared_names,
    help="Only this index and what it depends on; may be repeated.",
)
@global_options
@pass_globals
def command(settings: Globals, form: str, targets: tuple[str, ...]) -> int:
    """Draw the steps of the plan.

    An arrow leads from a step to one that needs it; a dashed step cannot be undone.
    """
    from rvlstate.views.graph import dot_graph, mermaid_graph

    with open_project(settings) as project:
        plan = project.plan(targets)
    write_result(dot_graph(plan) if form == "dot" else mermaid_graph(plan))
    return 0
