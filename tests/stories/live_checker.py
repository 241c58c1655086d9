"""The checker of live stories: compares every document and every answer of the index with what the writers did.

| count            | a document, or an answer about one                                                              |
|------------------|-------------------------------------------------------------------------------------------------|
| lost_updates     | is not there though it was written last, or holds an earlier write, wholly or in part            |
| resurrections    | is there though it was deleted last, or has expired                                              |
| wrong_values     | holds what nobody ever wrote, or expires at another time                                         |
| wrong_layout     | is not exactly in the new layout                                                                 |
| left_over        | a key that is nobody's: staged copies, marks, documents under their old prefix                   |
| missing_in_index | is not found by its tag, by its version, or by its own vector                                    |
| stale_in_index   | is found though it is not there, or under a key that is not its own                              |
| duplicates       | is found more than once                                                                          |
| miscounted       | how many documents the index holds more (or, negative, less) than there are                      |
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live_answers import Answers, count_documents
from live_documents import Change
from live_history import History, histories
from live_reading import Stored, read, verdict_on

OURS = (b"{rvlstate:", b"rvlstate:projects")
SHOWN = 20
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found wrong, counted, and the first findings of each kind in words."""

    documents: int
    asked: int
    lost_updates: int = 0
    resurrections: int = 0
    wrong_values: int = 0
    wrong_layout: int = 0
    left_over: int = 0
    missing_in_index: int = 0
    stale_in_index: int = 0
    duplicates: int = 0
    miscounted: int = 0
    findings: tuple[str, ...] = ()

    @property
    def faults(self) -> dict[str, int]:
        """The counts that are not zero, by name."""
        names = ("documents", "asked", "findings")
        counts = {name: getattr(self, name) for name in self.__slots__ if name not in names}
        return {name: count for name, count in counts.items() if count}


@dataclass(slots=True)
class Notes:
    """Findings, as they come up."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, kind: str, what: str) -> None:
        """One more."""
        self.counts[kind] += 1
        if self.counts[kind] <= SHOWN:
            self.findings.append(f"{kind}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks what a server holds, and what answers by a name, against the logs of the writers.

    `sample` is of how many documents the index is asked, `foreign` are beginnings of keys that are nobody's business.
    """

    client: Any
    name: str
    change: Change
    documents: int
    logs: Sequence[Path]
    sample: int = 5000
    foreign: tuple[bytes, ...] = ()
    patience: float = 10.0

    def check(self) -> Verdict:
        """Compare, once whatever does not live long has expired. The writers have ended by now."""
        known = histories(self.documents, self.logs)
        _await_expiry(known.values())
        moment = int(time.time() * 1000)
        notes = Notes()
        there = self._check_documents(known, moment, notes)
        self._check_keys(known, notes)
        miscounted = count_documents(self.client, self.name, len(there), self.patience)
        if miscounted:
            notes.findings.append(f"miscounted: the index holds {len(there) + miscounted} of {len(there)} documents")
        gone = sorted(identity for identity in known if identity not in there)
        answers = Answers(client=self.client, name=self.name, form=self.change.new, there=there, note=notes.add)
        asked = answers.check(gone, self.sample)
        return Verdict(
            documents=len(there), asked=asked, miscounted=miscounted, findings=tuple(notes.findings), **notes.counts
        )

    def _check_documents(self, known: dict[str, History], moment: int, notes: Notes) -> dict[str, Stored]:
        """The documents that are there, under their new keys."""
        there: dict[str, Stored] = {}
        for page in _pages(sorted(known)):
            for identity, found in zip(page, read(self.client, self.change, page), strict=True):
                if found.new is not None:
                    there[identity] = found.new
                allowed = known[identity].now(moment)
                for kind, what in verdict_on(self.change, identity, found, known[identity], allowed):
                    notes.add(kind, what)
        return there

    def _check_keys(self, known: dict[str, History], notes: Notes) -> None:
        """Every key is one of a document or of a project's own."""
        prefixes = sorted({form.prefix.encode() for form in (self.change.old, self.change.new)})
        for key in sorted(self.client.scan_iter(count=1000)):
            prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), b"")
            is_document = prefix and key[len(prefix) :].decode("latin-1") in known
            if not is_document and not key.startswith(OURS + self.foreign):
                notes.add("left_over", repr(key))


def _await_expiry(known: Iterable[History]) -> None:
    """Until what does not live long has expired, by the clock of this machine, on which the server is too."""
    now = int(time.time() * 1000)
    last = max((history.last_expiry(now) for history in known), default=0)
    time.sleep(max(0, last + 2 - now) / 1000)


def _pages(identities: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(identities), BATCH):
        yield identities[start : start + BATCH]
