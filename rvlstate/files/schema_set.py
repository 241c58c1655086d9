"""The schema files of a project: found by its globs, each counted once, no index declared twice."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from rvlstate.errors import NoSchemasError
from rvlstate.files.environments import overlays
from rvlstate.files.schema_file import SchemaFile, load_schema
from rvlstate.files.suggest import nearest
from rvlstate.files.tree import Mapping, Place, Scalar, Sequence, place_of, spec_error


def load_schemas(project_file: Path, tree: Mapping) -> dict[str, SchemaFile]:
    """All declared indexes by name. Raises SpecError for a pattern that finds nothing and for a name used twice."""
    found: dict[str, SchemaFile] = {}
    for path in _schema_paths(project_file, tree):
        schema = load_schema(path)
        other = found.setdefault(schema.name, schema)
        if other is not schema:
            raise spec_error(
                schema.place,
                f'the index "{schema.name}" is declared twice',
                key="index.name",
                why=f"The other one is in {other.place.file}:{other.place.line}.",
                next_step="rename one of them, or remove one of the files.",
            )
    return found


def _schema_paths(project_file: Path, tree: Mapping) -> list[Path]:
    patterns = tree.get("schemas")
    items = patterns.items if isinstance(patterns, Sequence) else []
    if not items:
        place = place_of(tree, ("schemas",))
        raise NoSchemasError(
            "the project declares no schema files",
            file=place.file,
            line=place.line,
            key="schemas",
            why="An empty set would mean: delete every managed index. That is never done by accident.",
            next_step="add a pattern such as indexes/*.yaml; to delete an index, remove its file and keep another one.",
        )
    found: dict[str, Path] = {}
    for item in items:
        if isinstance(item, Scalar):
            found.update(_matches(project_file, str(item.value), item.place))
    return list(found.values())


def _matches(project_file: Path, pattern: str, place: Place) -> dict[str, Path]:
    """The files of a pattern by normalised path; whatever is no directory counts, so that no broken link is skipped."""
    folder = project_file.parent
    names = sorted(_glob(pattern, folder))
    paths = {os.path.normpath(folder / name): folder / name for name in names}
    for own in (project_file, *overlays(project_file)):
        paths.pop(os.path.normpath(own), None)
    files = {key: path for key, path in paths.items() if not path.is_dir()}
    if not files:
        raise NoSchemasError(
            f'the pattern "{pattern}" matches no file',
            file=place.file,
            line=place.line,
            key="schemas",
            why="It matches directories only." if paths else "",
            next_step=f"write {pattern.rstrip('/')}/*.yaml." if paths else _hint(pattern, folder),
        )
    return files


def _hint(pattern: str, folder: Path) -> str:
    near = nearest(pattern, _glob((Path(pattern).parent / "*.y*ml").as_posix(), folder))
    if near:
        return f"did you mean {near}?"
    return (
        "write a schema there, or have rvlstate import --all write those of the indexes that are live already; "
        "patterns are relative to the project file, and ** stands for any folders."
    )


def _glob(pattern: str, folder: Path) -> list[str]:
    return glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
