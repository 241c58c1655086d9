"""The files that `rvlstate init` writes: a project file, a sample schema, a CI workflow, an entry in .gitignore."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from rvlstate.errors import SpecError

SAMPLES: Final = {
    "rvlstate.yaml": "rvlstate.yaml",
    "indexes/products.yaml": "products.yaml",
    ".github/workflows/rvlstate.yml": "workflow.yml",
}
"""Path in the project -> template of this package."""

IGNORED = ".rvlstate/"
"""The folder of the embedded server, which does not belong into version control."""

_PLACEHOLDER = "PROJECT_NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file of a new project: `written` now, `kept` as it was, or `extended` by one line at its end."""

    path: Path
    outcome: Literal["written", "kept", "extended"]


def write_samples(folder: Path) -> list[Sample]:
    """Write the samples into a folder, which is made if need be; a file that exists is never overwritten."""
    name = _project_name(folder)
    texts = files("rvlstate.files") / "templates"
    try:
        samples = [
            _write_new(folder / path, (texts / template).read_text(encoding="utf-8").replace(_PLACEHOLDER, name))
            for path, template in SAMPLES.items()
        ]
        return [*samples, _ignore(folder / ".gitignore")]
    except OSError as error:
        raise SpecError(f"cannot be written: {error.strerror}", file=str(error.filename)) from error


def _project_name(folder: Path) -> str:
    """The folder's name as a project name."""
    slug = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return slug or "project"


def _write_new(path: Path, text: str) -> Sample:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return Sample(path=path, outcome="kept")
    return Sample(path=path, outcome="written")


def _ignore(path: Path) -> Sample:
    if not path.exists():
        return _write_new(path, f"{IGNORED}\n")
    before = path.read_bytes()
    known = {line.strip().strip(b"/") for line in before.splitlines()}
    if IGNORED.strip("/").encode() in known:
        return Sample(path=path, outcome="kept")
    gap = b"" if before.endswith(b"\n") or not before else b"\n"
    with path.open("ab") as file:
        file.write(gap + IGNORED.encode() + b"\n")
    return Sample(path=path, outcome="extended")
