"""The keys of staged copies: an index that holds them tells of copies, and its findings are to tell of documents."""

from __future__ import annotations

from dataclasses import dataclass

from redis.crc import key_slot

from rvlstate.runtime.documents.beside import ALONE, slot_tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Copies lie at `<stage>{<slot tag>}:<key>`; `stage` is "" where there are none.

    `clustered` tells that slots matter: a copy is in the slot of its document.
    """

    stage: str = ""
    clustered: bool = False

    def document(self, key: str) -> str:
        """The key of the document that a key of the index stands for; its own, unless it is that of a copy."""
        start = f"{self.stage}{{"
        _, closed, document = key.removeprefix(start).partition("}:")
        return document if self.stage and key.startswith(start) and closed else key

    def places(self, key: str) -> tuple[str, ...]:
        """Where a document may be found, the first that is there counts: its copy, then itself."""
        return (f"{self.stage}{{{self._tag(key)}}}:{key}", key) if self.stage else (key,)

    def _tag(self, key: str) -> str:
        return slot_tags()[key_slot(key.encode("utf-8", "surrogateescape"))] if self.clustered else str(ALONE)


NO_COPIES = Copies()
"""Every key is that of a document."""
