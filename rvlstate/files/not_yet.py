"""Keys of the project file whose feature comes with a later version: refused rather than ignored."""

from __future__ import annotations

from rvlstate.errors import NotYetError
from rvlstate.files.spec import ProjectBlock
from rvlstate.files.tree import Mapping, place_of


def refuse_not_yet(project: ProjectBlock, tree: Mapping) -> None:
    """Raise NotYetError for what this version does not do: `revisions`."""
    if not project.revisions:
        return
    place = place_of(tree, ("revisions",))
    raise NotYetError(
        "revisions is not carried out by this version yet",
        file=place.file,
        line=place.line,
        key="revisions",
        why="It would have no effect, so it is refused.",
        next_step="remove it.",
    )
