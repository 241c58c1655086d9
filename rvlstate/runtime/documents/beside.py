"""Keys of ours beside documents: in the slot of the documents, so that one script may touch both on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count

from redis.crc import key_slot

from rvlstate.model.braces import without_braces
from rvlstate.model.canonical import STAGED

SLOTS = 16384
ALONE = 0
"""The one slot of a server that is not a node of a cluster."""

OURS = (b"rvlstate:mark:", STAGED.encode(), b"{rvlstate:", b"rvlstate:projects")
"""What keys of ours begin with, staged copies included: they are no documents, whatever the prefix of the index."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The keys that a rewrite keeps beside the documents of each slot; `clustered` tells that slots matter."""

    project: str
    rewrite: str
    clustered: bool

    def slot(self, key: bytes) -> int:
        """The slot of a document; the same for all where slots do not matter."""
        return int(key_slot(key)) if self.clustered else ALONE

    def marks(self, slot: int) -> bytes:
        """Sorted set: the digests of what was written, by field and key."""
        return f"{self._name}:{{{self.tag(slot)}}}".encode()

    def scratch(self, slot: int) -> bytes:
        """A key that exists only within a script, while a document changes its type or a copy is made."""
        return f"{self._name}:new:{{{self.tag(slot)}}}".encode()

    def all_marks(self) -> tuple[tuple[int, bytes], ...]:
        """Every slot with its key of digests."""
        return tuple((slot, self.marks(slot)) for slot in range(SLOTS if self.clustered else 1))

    def tag(self, slot: int) -> str:
        """What stands between braces in a key of the slot."""
        return slot_tags()[slot] if self.clustered else "0"

    @property
    def _name(self) -> str:
        # A rewrite is named after its index, which may have any name: braces of its own would decide the slot.
        return f"rvlstate:mark:{without_braces(self.project)}:{without_braces(self.rewrite)}"


@cache
def slot_tags() -> tuple[str, ...]:
    """For each slot the shortest hash tag that lies in it, of digits and small letters."""
    tags: dict[int, str] = {}
    for number in count():
        if len(tags) == SLOTS:
            return tuple(tags[slot] for slot in range(SLOTS))
        text = _base36(number)
        tags.setdefault(int(key_slot(text.encode())), text)
    raise AssertionError  # the numbers never end


def _base36(number: int) -> str:
    head, digit = divmod(number, 36)
    return (_base36(head) if head else "") + _DIGITS[digit]
