"""How far a step is, in words: `45%  22,500 of 50,000  1,200 documents/s  20 s left  (memory at 87 % of maxmemory)`."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.views.quantities import number, span
from rvlstate.views.untrusted import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a step is; the names are those of events.StepProgressed."""

    note: str = ""
    done: int = 0
    total: int = 0
    phase: str = ""
    documents_per_second: float = 0.0
    eta_seconds: float | None = None
    why: str = ""

    @property
    def share(self) -> str:
        """`45%`; "" where the whole is not known."""
        return f"{min(self.done / self.total, 1.0):.0%}" if self.total else ""

    @property
    def pace(self) -> str:
        """`1,200 documents/s  20 s left`, as far as it is known."""
        rate = f"{number(round(self.documents_per_second))} documents/s" if self.documents_per_second >= 1 else ""
        left = f"{span(self.eta_seconds)} left" if self.eta_seconds is not None else ""
        return "  ".join(part for part in (rate, left) if part)

    @property
    def told(self) -> str:
        """Phase and note, as others chose them, and why it is slow."""
        phase = "" if self.note.startswith(self.phase) else self.phase
        what = ": ".join(printable(part) for part in (phase, self.note) if part)
        why = f"({printable(self.why)})" if self.why and self.why not in self.note else ""
        return "  ".join(part for part in (what, why) if part)

    @property
    def line(self) -> str:
        """All of it."""
        return "  ".join(part for part in (self.share, self.told, self.pace) if part)
