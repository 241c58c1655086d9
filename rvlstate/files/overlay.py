"""Environments: `rvlstate.NAME.yaml` beside the project file, laid over it key by key."""

from __future__ import annotations

from pathlib import Path

from rvlstate.errors import SpecError
from rvlstate.files.environments import ENVIRONMENT, environments, overlay_path
from rvlstate.files.spec import ProjectBlock
from rvlstate.files.suggest import nearest
from rvlstate.files.tree import Mapping, merged
from rvlstate.files.yaml_text import Expand, parse_tree, read_text

REQUIRED = ("version", "project", "redis", "schemas")
"""The keys that the project file or the chosen overlay must have."""


def stands_alone(file: Path) -> bool:
    """Whether a project file leaves no required key to its environments. Raises SpecError for one that is no YAML."""
    tree = parse_tree(read_text(file), file.as_posix())
    return all(key in tree.entries for key in REQUIRED)


def with_overlay(tree: Mapping, file: Path, environment: str, expand: Expand) -> Mapping:
    """The tree of a project file with the overlay of `environment` ("": none) on it.

    Mappings are laid over each other key by key, lists and values replaced; every part keeps its own file and line.
    Raises SpecError where there is no such environment, or where none is chosen and a key is left to them.
    """
    if not environment:
        _refuse_unchosen(tree, file)
        return tree
    if not ENVIRONMENT.fullmatch(environment) or not overlay_path(file, environment).is_file():
        raise _unknown(file, environment)
    path = overlay_path(file, environment)
    over = parse_tree(read_text(path), path.as_posix(), expand)
    return Mapping(tree.place, merged(tree, over).entries)


def _unknown(file: Path, environment: str) -> SpecError:
    known = environments(file)
    near = nearest(environment, known)
    otherwise = "use lower-case letters, digits and dashes."
    if ENVIRONMENT.fullmatch(environment):
        otherwise = f"write {overlay_path(file, environment).name} beside the project file."
    return SpecError(
        f'there is no environment "{environment}"',
        file=file.as_posix(),
        why=f"Known: {', '.join(known)}." if known else "No overlay lies beside the project file.",
        next_step=f'did you mean "{near}"?' if near else otherwise,
    )


def _refuse_unchosen(tree: Mapping, file: Path) -> None:
    """Without a choice, a key that only environments have is missing: say which there are."""
    missing = next((key for key in REQUIRED if key not in tree.entries), None)
    slip = tree.entries.keys() - ProjectBlock.model_fields.keys()  # the likelier reason
    known = environments(file) if missing and not slip else ()
    if missing and known:
        raise SpecError(
            f"the key {missing} is missing",
            file=file.as_posix(),
            key=missing,
            why=f"It may be left to environments, and none was chosen. Known: {', '.join(known)}.",
            next_step=f"choose one, such as --env {known[0]}, or add the key.",
        )
