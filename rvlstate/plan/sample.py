"""Samples: what a look at some documents told before a plan was made, for its estimates and its scales."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.plan.effects import BadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What some documents of a rewrite told; the user's own code was not run on them.

    `documents` were looked at and `todo` of them are not in the desired layout. `bytes_read` and `bytes_written` are
    means over these. `largest` maps a field of vectors to the largest absolute value in it, `scales` one of integers to
    the value of their step. `missing` are places that a transform reads and that none of them has. `bad` of the
    documents cannot be transformed, `bad_rows` are the first of them. `memory` is the mean of the bytes that a document
    takes on the server, and `memory_after` an estimate of what a staged copy of it will take; 0.0 where it is unknown.
    """

    documents: int = 0
    todo: int = 0
    bytes_read: float = 0.0
    bytes_written: float = 0.0
    largest: tuple[tuple[str, float], ...] = ()
    scales: tuple[tuple[str, float], ...] = ()
    missing: tuple[str, ...] = ()
    saturated: int = 0
    bad: int = 0
    memory: float = 0.0
    memory_after: float = 0.0
    bad_rows: tuple[BadRow, ...] = ()
