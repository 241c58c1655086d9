"""Completion of index names in a shell: read from the schema files alone, in milliseconds, and silent about faults."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rvlstate.cli.opening import find_project_file
from rvlstate.cli.options import Globals

MOST_FILES = 2_000


def declared_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The declared names that begin with what was typed; none where the project cannot be read."""
    settings = ctx.find_object(Globals) or Globals()
    return sorted({name for name in _names(find_project_file(settings)) if name.startswith(incomplete)})


def _names(project: Path) -> Iterator[str]:
    patterns = _mapping(project).get("schemas")
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
