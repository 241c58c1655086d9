"""`rvlstate throttle`."""

from __future__ import annotations

import math

import click

from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.ordering import show_order

OFF = "off"
LOWEST = 0.1


def a_rate(_context: click.Context, _argument: click.Parameter, value: str) -> float:
    """Documents a second; 0 for `off`."""
    if value == OFF:
        return 0.0
    try:
        rate = float(value)
    except ValueError:
        rate = math.nan
    if not LOWEST <= rate < math.inf:
        raise click.BadParameter(f"{value!r} is no rate: give documents a second, such as 500, or off.")
    return rate


@click.command("throttle", cls=Command)
@click.argument("rate", metavar="RATE|off", callback=a_rate)
@format_option("text", "json")
@global_options
@pass_globals
def command(settings: Globals, rate: float, form: str) -> int:
    """Limit the documents a second of the run in progress.

    RATE is in documents a second; off takes the limit away. It obeys within two seconds, and the limit ends with the
    run. Where max_docs_per_second of the project file is lower, that holds.
    """
    with open_project(settings, "ignored") as project:
        ordered = project.throttle(rate)
    show_order(ordered, form)
    return 0
