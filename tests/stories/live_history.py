"""What every document of a live story may be now, from the logs of its writers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from live_documents import lasting_expiry
from live_writer import GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One state of a document: the versions of its figures and of its text, and when it expires (ms, 0: never)."""

    number: int
    base: int
    expiry: int = 0


NOWHERE = Version(number=GONE, base=GONE)
"""The state of a document that is not there."""


@dataclass(slots=True, kw_only=True)
class History:
    """All versions that a document ever had, and those that it may have now: several after an uncertain write."""

    versions: set[Version] = field(default_factory=set)
    allowed: set[Version] = field(default_factory=lambda: {NOWHERE})

    def note(self, version: Version, outcome: str) -> None:
        """Take note of a write."""
        self.versions.add(version)
        if outcome == "ok":
            self.allowed = {version}
        elif outcome == "uncertain":
            self.allowed.add(version)

    def now(self, moment: int) -> set[Version]:
        """What it may be at a moment (ms since 1970), when all that has expired by then is gone."""
        return {NOWHERE if 0 < version.expiry <= moment else version for version in self.allowed}

    def last_expiry(self, moment: int) -> int:
        """When the last version that may be here and will not be here for long expires, 0 for none."""
        day = 86_400_000
        return max((version.expiry for version in self.allowed if 0 < version.expiry < moment + day), default=0)


def histories(documents: int, logs: Iterable[Path]) -> dict[str, History]:
    """What became of the documents that were there before and of those that writers made, by identity."""
    found: dict[str, History] = {}
    for at in range(documents):
        identity = f"p{at}"
        found[identity] = History()
        found[identity].note(Version(number=0, base=0, expiry=lasting_expiry(identity)), "ok")
    for log in logs:
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                _, identity, number, base, _, outcome, expiry = line.split()
                version = Version(number=int(number), base=int(base), expiry=int(expiry))
                history = found.setdefault(identity, History())
                history.note(NOWHERE if version.number == GONE else version, outcome)
    return found
