"""`rvlstate server`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rvlstate.cli.group import SubGroup
from rvlstate.cli.opening import open_project
from rvlstate.cli.options import Command, Globals, format_option, global_options, pass_globals
from rvlstate.cli.output import show_json
from rvlstate.cli.streams import write_result
from rvlstate.errors import UsageError

if TYPE_CHECKING:
    from rvlstate.runtime.embedded import EmbeddedServer

folder_argument = click.argument(
    "folder", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
)


@click.group("server", cls=SubGroup, invoke_without_command=True)
@global_options
@click.pass_context
def command(ctx: click.Context) -> int:
    """Start, stop or look at the embedded server.

    It is the server of embedded://DIR: that of the project, or that of a folder that is named.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


@command.command("start", cls=Command)
@folder_argument
@format_option("text", "json")
@global_options
@pass_globals
def start(settings: Globals, folder: Path | None, form: str) -> int:
    """Start the server unless it runs already; it runs on until it is stopped."""
    from rvlstate.runtime.embedded import start_server

    where = _folder(settings, folder)
    _tell(start_server(where), where, form)
    return 0


@command.command("stop", cls=Command)
@folder_argument
@format_option("text", "json")
@global_options
@pass_globals
def stop(settings: Globals, folder: Path | None, form: str) -> int:
    """Save all data and stop the server."""
    from rvlstate.runtime.embedded import stop_server

    where = _folder(settings, folder)
    stopped = stop_server(where)
    if form == "json":
        show_json({"running": False, "stopped": stopped, "folder": str(where)})
    else:
        write_result(f"{'Stopped the server of' if stopped else 'No server runs for'} {_shown(where)}\n")
    return 0


@command.command("status", cls=Command)
@folder_argument
@format_option("text", "json")
@global_options
@pass_globals
def status(settings: Globals, folder: Path | None, form: str) -> int:
    """Tell whether the server runs, and where."""
    from rvlstate.runtime.embedded import server_status

    where = _folder(settings, folder)
    _tell(server_status(where), where, form)
    return 0


def _folder(settings: Globals, folder: Path | None) -> Path:
    """The folder that is named, else that of the project's redis.url."""
    if folder is not None:
        return folder.absolute()
    from rvlstate.model.secret import redact_url
    from rvlstate.runtime.server_url import embedded_folder, parse_server_url

    with open_project(settings, "ignored") as project:
        found = embedded_folder(parse_server_url(project.redis_url))
        if found is None:
            raise UsageError(
                f"the project uses {redact_url(project.redis_url)}, which is no embedded server",
                next_step="name a folder: rvlstate server start DIR",
            )
    return found


def _tell(server: EmbeddedServer | None, where: Path, form: str) -> None:
    if form == "json":
        show_json(_data(server, where))
    elif server is None:
        write_result(f"No server runs for {_shown(where)}\n")
    else:
        write_result(f"Running: {server.url} (pid {server.pid}), data in {_shown(where)}\n")


def _data(server: EmbeddedServer | None, where: Path) -> dict[str, Any]:
    if server is None:
        return {"running": False, "folder": str(where)}
    return {"running": True, "folder": str(where), "url": server.url, "pid": server.pid, "cluster": server.cluster}


def _shown(where: Path) -> str:
    from rvlstate.views.untrusted import printable

    return printable(str(where))
