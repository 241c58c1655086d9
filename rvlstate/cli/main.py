"""The entry of the command line; the one place where an error becomes text on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise
from typing import NoReturn

import click

from rvlstate import __version__
from rvlstate.cli.group import RootGroup
from rvlstate.cli.options import Globals, global_options
from rvlstate.cli.streams import settle_streams, write_log
from rvlstate.errors import RvlstateError, UsageError

PROGRAM = "rvlstate"
INTERRUPTED = 130
"""128 + SIGINT: stopped from the keyboard where no run was in progress."""

GRACE_SECONDS = 5.0
"""How long the end of the process waits for threads that the user's code left running."""

EXIT_CODES = "Exit codes: 0 done or in sync, 1 error, 2 changes or drift, 3 refused, 4 locked, 64 usage."


@click.group(
    cls=RootGroup,
    invoke_without_command=True,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@global_options
@click.version_option(__version__, message="rvlstate %(version)s")
@click.pass_context
def root(ctx: click.Context) -> int:
    """Declarative desired state for Redis search indexes: plan, apply, drift.

    The schemas of all indexes stand as YAML in a repository; plan says what leads from the live server to them, and
    apply does it while search keeps answering.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


def main() -> NoReturn:
    """Run the command line of this process, and end it also where the user's code left a thread behind."""
    code = run(sys.argv[1:])
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    if left:
        deadline = threading.Timer(GRACE_SECONDS, _leave, (code, left))
        deadline.daemon = True
        deadline.start()
    sys.exit(code)


def _leave(code: int, left: list[threading.Thread]) -> None:
    """End the process though threads are at work."""
    names = ", ".join(sorted(thread.name for thread in left if thread.is_alive()))
    write_log(f"warning: a thread that was left running is not waited for any longer: {names}\n")
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    settle_streams()
    settings = Globals()
    try:
        code = root.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=settings)
    except click.UsageError as error:
        return _fail(_usage_error(error), arguments, settings)
    except click.Abort:
        return _interrupted(arguments, settings)
    except RvlstateError as error:
        return _fail(error, arguments, settings)
    except OSError as error:  # click's own texts, such as --help, on a full disk
        return _fail(RvlstateError("the result cannot be written", where="stdout", why=str(error)), arguments, settings)
    return int(code or 0)


def _interrupted(arguments: Sequence[str], settings: Globals) -> int:
    if _asks_for(arguments, "--log-format"):
        from rvlstate.cli.output import note

        note(replace(settings, log_format="json"), "Interrupted.")
    else:
        write_log("Interrupted.\n")
    return INTERRUPTED


def _fail(error: RvlstateError, arguments: Sequence[str], settings: Globals) -> int:
    """Tell an error as text, and as a JSON object where that was asked for; --log-format json has no text."""
    from rvlstate.views.errors import error_line, error_text

    if not _asks_for(arguments, "--log-format"):
        write_log(_colored(error_text(error), arguments))
    if _asks_for(arguments, "--log-format") or _asks_for(arguments, "--format"):
        from rvlstate.runtime.clock import now_iso

        write_log(error_line(error, now_iso(), settings.log))
    return error.exit_code


def _colored(text: str, arguments: Sequence[str]) -> str:
    """The text with its first word in red, where a person reads it and wants colours."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or "--no-color" in arguments:
        return text
    head, colon, rest = text.partition(":")
    return click.style(head + colon, fg="red", bold=True) + rest


def _asks_for(arguments: Sequence[str], option: str) -> bool:
    """Whether `option json` stands on a command line, which may be too wrong to be parsed."""
    return f"{option}=json" in arguments or (option, "json") in pairwise(arguments)


def _usage_error(error: click.UsageError) -> UsageError:
    path = error.ctx.command_path if error.ctx else PROGRAM
    if isinstance(error, click.NoSuchOption):
        near = get_close_matches(error.option_name, error.possibilities or (), n=1)
        hint = f"did you mean {near[0]}?" if near else f"{path} --help"
        return UsageError(f"{path} has no option {error.option_name}", next_step=hint)
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], next_step=f"{path} --help")


if __name__ == "__main__":
    main()
