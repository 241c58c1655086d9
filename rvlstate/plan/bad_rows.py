"""The gate that too many documents which cannot be transformed do not pass."""

from __future__ import annotations

from rvlstate.errors import GateFailedError
from rvlstate.plan.effects import Tally

SHOWN = 5


def too_many_bad_rows(name: str, tally: Tally, allowed: int) -> GateFailedError:
    """The failure of the gate, with the count, the first documents, and the first traceback of the user's own code."""
    shown = [f"{row.key} {row.field}: {row.reason}" for row in tally.bad_rows[:SHOWN]]
    more = [f"and {tally.bad - len(shown):,} more"] if tally.bad > len(shown) else []
    detail = next((row.detail for row in tally.bad_rows if row.detail), "")
    return GateFailedError(
        f"{name}: {tally.bad:,} of {tally.seen:,} documents cannot be transformed, and {allowed:,} are allowed",
        why="\n".join([*shown, *more, *detail.splitlines()]),
        next_step="mend these documents or the transform, or raise max_bad_rows: they are then left as they are.",
    )
