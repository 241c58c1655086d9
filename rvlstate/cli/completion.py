"""Completion of names in a shell: read from the files of the project alone, in milliseconds, silent about faults."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rvlstate.cli.opening import find_project_file
from rvlstate.cli.options import Globals
from rvlstate.files.environments import environments, overlay_path

MOST_FILES = 2_000


def declared_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The declared names that begin with what was typed; none where the project cannot be read."""
    settings = ctx.find_object(Globals) or Globals()
    names = _names(find_project_file(settings), settings.env)
    return sorted({name for name in names if name.startswith(incomplete)})


def environment_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The environments that begin with what was typed."""
    settings = ctx.find_object(Globals) or Globals()
    return [name for name in environments(find_project_file(settings)) if name.startswith(incomplete)]


def _names(project: Path, environment: str) -> Iterator[str]:
    over = _mapping(overlay_path(project, environment)) if environment in environments(project) else {}
    patterns = over.get("schemas") or _mapping(project).get("schemas")
    for pattern in patterns if isinstance(patterns, list) else []:
        files = sorted(glob.glob(str(pattern), root_dir=project.parent, recursive=True))  # noqa: PTH207 - as in files
        for file in files[:MOST_FILES]:
            index = _mapping(project.parent / file).get("index")
            if isinstance(index, dict) and isinstance(index.get("name"), str):
                yield index["name"]


def _mapping(file: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) else {}
