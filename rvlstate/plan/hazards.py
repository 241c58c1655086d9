"""Hazards: consequences of a plan that somebody has to agree to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Hazard:
    """A consequence: its code (see `model.hazard.HAZARD_CODES`) and one sentence about this very case."""

    code: str
    message: str
