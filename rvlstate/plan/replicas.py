"""What a flow asks about replicas: which of them have not built an index yet that their primary has built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A replica that has not built an index yet: `scanned` of 1000 keys, documents in it; `note` says what else is."""

    replica: str
    scanned: int = 0
    documents: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lag:
    """Ask for the online replicas that have not built `index` yet, as far as they can be asked.

    `begins` tells the first question of a wait: what its primary has written up to then is what a replica must have.
    """

    index: str
    begins: bool = False
