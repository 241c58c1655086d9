"""Asking before anything is changed: the options and the question that all commands share which change something."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rvlstate.cli.streams import write_log
from rvlstate.errors import RvlstateError, UsageError
from rvlstate.model.hazard import HAZARD_CODES

if TYPE_CHECKING:
    from rvlstate.project import Project

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
YES = "yes"
LONGEST_WAIT = 31_536_000


def a_number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """The value; a range of click lets `nan` pass."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds.")
    return value


yes_option: Callable[[Decorated], Decorated] = click.option("--yes", is_flag=True, help="Do not ask.")
allow_option: Callable[[Decorated], Decorated] = click.option(
    "--allow",
    multiple=True,
    type=click.Choice(sorted(HAZARD_CODES)),
    metavar="HAZARD",
    help="Agree to this consequence of the plan; may be repeated.",
)
lock_timeout_option: Callable[[Decorated], Decorated] = click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0, max=LONGEST_WAIT),
    callback=a_number,
    default=0.0,
    metavar="S",
    help="Seconds to wait while another run holds the lock. Default: 0.",
)


def require_someone(command: str, *, yes: bool, next_step: str) -> None:
    """Raise UsageError where there is nobody to ask."""
    if not yes and not sys.stdin.isatty():
        raise UsageError(
            f"{command} asks before it changes anything, and there is no terminal to ask on", next_step=next_step
        )


def ask(question: str, project: Project, about: str = "", *, refused: str) -> None:
    """Ask on the terminal, with the project and its server; raises RvlstateError with `refused` unless it is yes."""
    from rvlstate.model.secret import redact_url
    from rvlstate.views.untrusted import printable

    of = f"{about} of " if about else ""
    where = printable(f"{of}{project.name} on {redact_url(project.redis_url)}")
    write_log(f"{question} {where}? Only yes is taken: ")
    if sys.stdin.readline().strip() != YES:
        raise RvlstateError(refused, why="The answer was not yes; nothing was changed.")
    write_log("\n")
