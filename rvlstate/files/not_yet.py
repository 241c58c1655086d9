"""Keys of the project file whose feature comes with a later version: refused rather than ignored."""

from __future__ import annotations

from collections.abc import Iterator

from rvlstate.errors import NotYetError
from rvlstate.files.blame import dotted
from rvlstate.files.spec import IndexBlock, ProjectBlock, seconds
from rvlstate.files.tree import Mapping, Path, place_of


def refuse_not_yet(project: ProjectBlock, tree: Mapping) -> None:
    """Raise NotYetError at the first key, by line, that asks for what this version does not do."""
    found = sorted(((place_of(tree, path), path, hint) for path, hint in _asked(project)), key=lambda hit: hit[0].line)
    for place, path, hint in found:
        key = dotted(path)
        raise NotYetError(
            f"{key} is not carried out by this version yet",
            file=place.file,
            line=place.line,
            key=key,
            why="It would have no effect, so it is refused.",
            next_step=hint,
        )


def _asked(project: ProjectBlock) -> Iterator[tuple[Path, str]]:
    if project.revisions:
        yield ("revisions",), "remove it."
    if seconds(project.policy.retain_old):
        yield ("policy", "retain_old"), "remove it, or set it to 0s."
    yield from _asked_of_index(("defaults",), project.defaults)
    for name, block in project.indexes.items():
        yield from _asked_of_index(("indexes", name), block)


def _asked_of_index(path: Path, block: IndexBlock) -> Iterator[tuple[Path, str]]:
    if block.cutover == "manual":
        yield (*path, "cutover"), "remove it, or set it to auto."
