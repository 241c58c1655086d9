"""The names of environments: which overlays lie beside a project file; light enough for the completion of a shell."""

from __future__ import annotations

import re
from pathlib import Path

ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]*")
"""The names that environments may have; the same as those of projects."""


def overlay_path(file: Path, environment: str) -> Path:
    """The overlay of an environment: `rvlstate.staging.yaml` beside `rvlstate.yaml`."""
    return file.with_name(f"{file.stem}.{environment}{file.suffix}")


def environments(file: Path) -> tuple[str, ...]:
    """The environments of a project file: the names of the overlays beside it, sorted."""
    names = {path.name[len(file.stem) + 1 : -len(file.suffix)] for path in _siblings(file)}
    return tuple(sorted(name for name in names if ENVIRONMENT.fullmatch(name)))


def overlays(file: Path) -> tuple[Path, ...]:
    """The overlays beside a project file."""
    return tuple(overlay_path(file, name) for name in environments(file))


def _siblings(file: Path) -> list[Path]:
    try:
        return [
            path
            for path in file.parent.iterdir()
            if path.name.startswith(f"{file.stem}.") and path.name.endswith(file.suffix) and path.name != file.name
        ]
    except OSError:
        return []
