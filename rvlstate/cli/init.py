"""`rvlstate init`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from rvlstate import __version__
from rvlstate.cli.options import Command, Globals, global_options, pass_globals
from rvlstate.cli.streams import write_result
from rvlstate.errors import RvlstateError

TEMPLATES = Path(__file__).parent / "templates"
FILES = {
    "rvlstate.yaml": "rvlstate.yaml",
    "indexes/products.yaml": "indexes/products.yaml",
    ".gitignore": "gitignore",
    "ci/github-actions.yml": "ci/github-actions.yml",
    "ci/gitlab-ci.yml": "ci/gitlab-ci.yml",
}
"""File of a new project -> its template."""

SCHEMA_FILE = "rvlstate.schema.json"
"""What the first line of the project file tells editors to complete it by: a copy, since no server is to be asked."""


@click.command("init", cls=Command)
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@global_options
@pass_globals
def command(settings: Globals, folder: Path) -> int:  # noqa: ARG001 - for all commands
    """Write a project file, a sample schema and CI templates.

    A file that is there already stays as it is.
    """
    from rvlstate.views.untrusted import printable

    project = _project_name(folder.resolve().name)
    lines = [_write(folder / name, _filled(TEMPLATES / template, project)) for name, template in FILES.items()]
    lines.append(_write(folder / SCHEMA_FILE, _schema()))
    into = "" if folder == Path() else f"cd {folder}, then "
    lines.append(f"Next: {into}rvlstate validate; rvlstate plan; rvlstate apply")
    write_result("".join(f"{printable(line)}\n" for line in lines))
    return 0


def _filled(template: Path, project: str) -> str:
    return template.read_text(encoding="utf-8").replace("@PROJECT@", project).replace("@VERSION@", __version__)


def _schema() -> str:
    from rvlstate.files.json_schema import project_schema, schema_text

    return schema_text(project_schema())


def _write(file: Path, text: str) -> str:
    """Write one file unless it is there; what was done, as a line."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        return f"kept     {file} (it was there)"
    except OSError as error:
        raise RvlstateError(
            "this file cannot be written", where=str(file), why=f"The system says: {error.strerror or error}."
        ) from error
    return f"written  {file}"


def _project_name(folder: str) -> str:
    """The folder's name as far as it can name a project."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "project"
