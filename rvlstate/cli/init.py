"""`rvlstate init`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from rvlstate.cli.ci_files import CI_NAMES, COPIES, NEXT, PLACES, CiName, Filling, folder_within, repository_of
from rvlstate.cli.options import Command, Globals, global_options, pass_globals
from rvlstate.cli.streams import write_result
from rvlstate.errors import RvlstateError, UsageError

FILES = {
    "rvlstate.yaml": "rvlstate.yaml",
    "indexes/products.yaml": "indexes/products.yaml",
    ".gitignore": "gitignore",
}
"""File of a new project -> its template."""

SCHEMA_FILE = "rvlstate.schema.json"
"""What the first line of the project file tells editors to complete it by: a copy, since no server is to be asked."""


@click.command("init", cls=Command)
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@click.option(
    "--ci",
    "wanted",
    multiple=True,
    type=click.Choice(CI_NAMES),
    help="Write the CI files of this one to where they take effect; may be repeated. Without it, workflows for GitHub "
    "and GitLab are written to ci/, where they do nothing.",
)
@global_options
@pass_globals
def command(settings: Globals, folder: Path, wanted: tuple[CiName, ...]) -> int:  # noqa: ARG001 - for all commands
    """Write a project file, a sample schema and CI templates.

    A file that is there already stays as it is.
    """
    from rvlstate.views.untrusted import printable

    if "none" in wanted and len(set(wanted)) > 1:
        raise UsageError("--ci none and another --ci exclude each other", next_step="leave one of them out.")
    repository = repository_of(folder)
    filling = Filling(
        project=_project_name(folder.resolve().name),
        folder=folder_within(repository, folder, strict=bool({"github", "gitlab"} & set(wanted))),
    )
    lines = [_write(folder / name, filling.fill(template)) for name, template in FILES.items()]
    lines += [_write(file, filling.fill(template)) for file, template in _ci_files(folder, repository, wanted)]
    lines.append(_write(folder / SCHEMA_FILE, _schema()))
    into = "" if folder == Path() else f"cd {folder}, then "
    lines.append(f"Next: {into}rvlstate validate; rvlstate plan; rvlstate apply")
    lines += [NEXT[name] for name in CI_NAMES if name in wanted and NEXT[name]]
    write_result("".join(f"{printable(line)}\n" for line in lines))
    return 0


def _ci_files(folder: Path, repository: Path, wanted: tuple[CiName, ...]) -> Iterator[tuple[Path, str]]:
    """Each file to write and its template."""
    if not wanted:
        yield from ((folder / name, template) for name, template in COPIES)
    for ci in CI_NAMES:
        if ci in wanted:
            for place, name, template in PLACES[ci]:
                # Shown as the user wrote it where the project is the repository.
                at_home = place == "project" or repository == folder.resolve()
                yield (folder if at_home else repository) / name, template


def _schema() -> str:
    from rvlstate.files.json_schema import project_schema, schema_text

    return schema_text(project_schema())


def _write(file: Path, text: str) -> str:
    """Write one file unless it is there, a script as one that can be run; what was done, as a line."""
    try:
        _make_folder(file.parent)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
        if file.suffix == ".sh":
            file.chmod(0o755)
    except FileExistsError:
        return f"kept     {file} (it was there)"
    except OSError as error:
        raise RvlstateError(
            "this file cannot be written", where=str(file), why=f"The system says: {error.strerror or error}."
        ) from error
    return f"written  {file}"


def _make_folder(folder: Path) -> None:
    """Make a folder unless it is there. Raises OSError, where a file has its name as well."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, f"{folder} is a file") from error


def _project_name(folder: str) -> str:
    """The folder's name as far as it can name a project."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "project"
