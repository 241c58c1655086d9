"""What holds a pass back: the protocol that the pass asks before each batch."""

from __future__ import annotations

from typing import Protocol


class Pacer(Protocol):
    """Rate limit, back-pressure, pause and stop; asked by one thread at a time."""

    @property
    def reason(self) -> str:
        """Why the pass is slow, "" if it is not."""
        ...

    def admit(self, documents: int) -> None:
        """Wait until a batch of so many documents may go; raises when the run is to stop."""
        ...

    def note(self, documents: int, seconds: float) -> None:
        """Take note of a batch that took so many seconds."""
        ...
