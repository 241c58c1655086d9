"""The reference of the command line, docs/cli.md, made from the help texts.

`python -m rvlstate.cli.reference > docs/cli.md` writes it anew; a test compares the two.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import get_args

import click

from rvlstate.cli.main import PROGRAM, root
from rvlstate.events import Event
from rvlstate.views.events import event_name

WIDTH = 100
INTRODUCTION = """\
# Command line

Made from the help texts by `python -m rvlstate.cli.reference`; a test compares the two.

Results go to standard output, progress and errors to standard error. Without a terminal there is no progress bar, no
colour and no question; `rvlstate apply` then needs `--yes`. Global options may stand before or after the command.

## Exit codes

| code | means |
| --- | --- |
| 0 | done, or in sync |
| 1 | an error |
| 2 | there are changes (`plan --detailed-exitcode`) or drift (`drift`) |
| 3 | refused: a consequence that was not allowed, a change that cannot be made, a check that failed, a stale plan |
| 4 | another run holds the lock |
| 64 | the command line is wrong |
| 130 | stopped from the keyboard while no run was in progress |

An error is told on standard error: what, where, why, and what to do next. With `--format json` a JSON object in one
line follows the text.

## The log as JSON

With `--log-format json` standard error holds JSON objects alone, one in a line, each with `event`, `time`, `level`,
`project` and `run`.
What else they hold is in [machine-readable.md](machine-readable.md).

EVENTS

## Completion in the shell

Commands, options, hazards and the names of declared indexes are completed once one of these lines is in the start-up
file of the shell.

| shell | file | line |
| --- | --- | --- |
| bash | `~/.bashrc` | `eval "$(_RVLSTATE_COMPLETE=bash_source rvlstate)"` |
| zsh | `~/.zshrc` | `eval "$(_RVLSTATE_COMPLETE=zsh_source rvlstate)"` |
| fish | `~/.config/fish/completions/rvlstate.fish` | `_RVLSTATE_COMPLETE=fish_source rvlstate \\| source` |
"""


def render_reference() -> str:
    """The whole text of docs/cli.md."""
    sections = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in _helps(root, PROGRAM, None)]
    return "\n".join([INTRODUCTION.replace("EVENTS", "\n".join(_events())), *sections])


def _events() -> Iterator[str]:
    """The rows of the table of events."""
    yield from ("| event | means |", "| --- | --- |")
    for kind in get_args(Event):
        meaning = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
        yield f"| `{event_name(kind)}` | {meaning} |"
    yield "| `note` | Something beside the result, such as a warning; `text` says it. |"
    yield "| `error` | The command failed: `error` is the kind, `what`, `where`, `why`, `next`, and the `exit_code`. |"


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """The path and help of a command, then of all below it."""
    ctx = command.make_context(name, [], parent=parent, resilient_parsing=True)
    ctx.terminal_width = WIDTH
    yield ctx.command_path, command.get_help(ctx)
    if isinstance(command, click.Group):
        for below in command.list_commands(ctx):
            child = command.get_command(ctx, below)
            if child is not None:
                yield from _helps(child, below, ctx)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
