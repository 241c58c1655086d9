"""Options that all commands share, usable before or after the command's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from rvlstate.views.events import LogContext

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class Observing:
    """What the options of a command ask for about metrics and traces."""

    file: Path | None = None
    port: int | None = None
    address: str = LOOPBACK
    traces: bool = False


@dataclass(slots=True)
class Globals:
    """What the global options say."""

    project: str | None = None
    env: str = ""
    redis_url: str | None = None
    log_format: Literal["text", "json"] = "text"
    no_color: bool = False
    quiet: bool = False
    verbose: bool = False
    log: LogContext = field(default_factory=LogContext)
    observing: Observing = field(default_factory=Observing)

    @property
    def program(self) -> tuple[str, ...]:
        """How to call rvlstate again for the same project; URLs may hold secrets and are left out."""
        project = ("--project", self.project) if self.project else ()
        return ("rvlstate", *project, *(("--env", self.env) if self.env else ()))


pass_globals = click.make_pass_decorator(Globals, ensure=True)


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Keep a value that was given; what stands behind the command wins over what stands before it."""
    if value == "":
        raise click.BadParameter(f"{param.opts[-1]} is empty: is the variable set that was meant?")
    if value and param.name:
        setattr(ctx.ensure_object(Globals), param.name, value)


def _environments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from rvlstate.cli.completion import environment_names  # it needs these options itself

    return environment_names(ctx, param, incomplete)


_GLOBAL_OPTIONS: tuple[Callable[[Decorated], Decorated], ...] = tuple(
    click.option(*names, callback=_remember, expose_value=False, **settings)
    for names, settings in (
        (
            ("--project",),
            {
                "type": click.Path(),
                "metavar": "FILE",
                "help": "Project file. Default: rvlstate.yaml here or in a parent folder.",
            },
        ),
        (
            ("--env",),
            {
                "metavar": "NAME",
                "shell_complete": _environments,
                "help": "Environment: rvlstate.NAME.yaml is laid over the project file.",
            },
        ),
        (("--redis-url",), {"metavar": "URL", "help": "Server, instead of redis.url of the project file."}),
        (
            ("--log-format",),
            {
                "type": click.Choice(["text", "json"]),
                "help": "Progress and errors on stderr, as text or as JSON lines.",
            },
        ),
        (("--no-color",), {"is_flag": True, "help": "No colours; NO_COLOR in the environment does the same."}),
        (("-q", "--quiet"), {"is_flag": True, "help": "No progress."}),
        (
            ("-v", "--verbose"),
            {"is_flag": True, "help": "Also Redis commands, undo steps and retries; shorten nothing."},
        ),
    )
)
GLOBAL_NAMES = frozenset({"project", "env", "redis_url", "log_format", "no_color", "quiet", "verbose"})
GLOBAL_SUMMARY = (
    "--project FILE, --env NAME, --redis-url URL, --log-format text|json, --no-color, -q, -v: see rvlstate --help."
)


def global_options(function: Decorated) -> Decorated:
    """Add the global options to a command."""
    for option in reversed(_GLOBAL_OPTIONS):
        function = option(function)
    return function


class Command(click.Command):
    """A command whose help names the global options in one line."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of this command, then the global ones in short."""
        write_options(self, ctx, formatter)


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The section of a command's own options, and one line about the global ones."""
    options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
    records = [option.get_help_record(ctx) for option in options if option.name not in GLOBAL_NAMES]
    with formatter.section("Options"):
        formatter.write_dl([record for record in records if record is not None])
    with formatter.section("Global options"):
        formatter.write_text(GLOBAL_SUMMARY)


def format_option(*choices: str) -> Callable[[Decorated], Decorated]:
    """`--format`, the form of the result on stdout; the first choice is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="Form of the result on stdout.",
    )
