"""Groups of commands that load a command only when it is run, and say what may have been meant by an unknown one."""

from __future__ import annotations

import difflib
from importlib import import_module

import click

from rvlstate.cli.catalogue import COMMANDS
from rvlstate.cli.options import write_options
from rvlstate.errors import UsageError


class HelpfulGroup(click.Group):
    """A group whose unknown commands are told with the nearest known one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with. Raises UsageError."""
        name = args[0]
        known = self.list_commands(ctx)
        if not ctx.resilient_parsing and name not in known and not name.startswith("-"):
            raise _unknown(name, known, ctx.command_path)
        return super().resolve_command(ctx, args)


class SubGroup(HelpfulGroup):
    """A group below the root: its help lists its commands in the order in which they were written."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, and the global options in one line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(100)) for name, command in self.commands.items()])
        write_options(self, ctx, formatter)


class RootGroup(HelpfulGroup):
    """The commands of the catalogue; help and suggestions need none of their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the catalogue."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command, from its module."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = import_module(f"rvlstate.cli.{entry.module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The section of the help that lists the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _unknown(name: str, known: list[str], path: str) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {path} {near[0]}?" if near else f"{path} --help lists all commands."
    return UsageError(f'there is no command "{name}"', next_step=hint)
