"""The plan: what is to be done about each index, and the ordered steps that do it. Plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.desired import Policy
from rvlstate.model.field import Value
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.operations import AnyOperation
from rvlstate.plan.remedies import Classification

Basis: TypeAlias = Literal["declared", "recorded"]
"""What a plan leads to: what the schema files declare, or (a repair) what was last applied."""

Action: TypeAlias = Literal["create", "update", "delete", "adopt", "no-op"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between live and declared, or (as drift) between applied and live.

    `before` None with `after` a mapping is something added, the other way round something removed.
    """

    address: str
    before: Value | dict[str, Value]
    after: Value | dict[str, Value]
    classification: Classification | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What carrying it out costs, estimated before anything is written; sizes in bytes, times in seconds.

    `basis` says in words where the figures come from. `documents` None means that nobody can tell beforehand.
    `bad_documents` are those that a sample suggests cannot be transformed.
    """

    documents: int | None = 0
    documents_written: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    bad_documents: int = 0
    index_bytes: int = 0
    peak_memory_bytes: int = 0
    headroom_bytes: int | None = None
    estimated_seconds: float = 0.0
    search_downtime_seconds: float = 0.0
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPlan:
    """What is to be done about one index. `refused` says why nothing is, and `held` what it waits for."""

    name: str
    action: Action
    classification: Classification | None
    physical_before: str | None
    physical_after: str | None
    changes: tuple[Change, ...] = ()
    drift: tuple[Change, ...] = ()
    unverifiable: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    impact: Impact = Impact()
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    renamed_from: str | None = None
    fields: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation in its place: `needs` are ids of steps that come before it."""

    id: str
    index: str
    operation: AnyOperation
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the plan assumes of the server."""

    redis: str
    search: str
    cluster: bool
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole plan; the same inputs give the same plan, `created_at` aside.

    `live` is what it was made for (see `stale.snapshot`); `targets` are the names that it was limited to; `address`
    is the server, without secrets. `basis` says what it leads to, `policy` the rules that it was made by: all but what
    needs no agreement, which is up to whoever carries it out.
    """

    project: str
    lineage: str
    serial: int
    server: Server
    live_fingerprint: str
    desired_fingerprint: str
    live: dict[str, object]
    indexes: tuple[IndexPlan, ...] = ()
    steps: tuple[Step, ...] = ()
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    address: str = ""
    created_at: str = ""
    rvlstate_version: str = ""
    basis: Basis = "declared"
    policy: Policy | None = None

    @property
    def id(self) -> str:
        """The fingerprint of what the plan was made from: made again from the same, it is the same plan."""
        return fingerprint(
            [
                self.project,
                self.lineage,
                self.serial,
                self.live_fingerprint,
                self.desired_fingerprint,
                list(self.targets),
                *([self.basis] if self.basis != "declared" else []),
            ]
        )

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """All hazards of the plan, sorted."""
        return tuple(sorted({hazard for index in self.indexes for hazard in index.hazards}))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do and nothing is held back."""
        return not self.steps and not any(index.refused for index in self.indexes)

    @property
    def waiting(self) -> bool:
        """Whether a change is on its way and waits for somebody."""
        return any(index.held for index in self.indexes)
