"""The room in a comment: what fits is taken in whole blocks, and what did not fit is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rvlstate.views.markdown import length

Block = Sequence[str]
"""Lines that stay together, such as a fence from its beginning to its end."""


@dataclass(slots=True, kw_only=True)
class Room:
    """How many characters are left; `missing` says in words what had to be left out."""

    left: int
    missing: list[str] = field(default_factory=list)

    def reserve(self, lines: Iterable[str]) -> None:
        """Keep the room for lines that are to be shown in any case."""
        self.left -= length(lines)

    def take(self, blocks: Sequence[Block], *, share: float = 1.0, frame: Block = ()) -> tuple[list[str], int]:
        """The lines of the first blocks that fit into a share of what is left, and how many blocks do not.

        `frame` stands around them and is paid for if any block fits; its lines are not among those returned.
        """
        most = int(self.left * share) - length(frame)
        lines: list[str] = []
        for place, block in enumerate(blocks):
            most -= length(block)
            if most < 0:
                self._pay(lines, frame)
                return lines, len(blocks) - place
            lines += block
        self._pay(lines, frame)
        return lines, 0

    def _pay(self, lines: list[str], frame: Block) -> None:
        self.left -= length(lines) + (length(frame) if lines else 0)
