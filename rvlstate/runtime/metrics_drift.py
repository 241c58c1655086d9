"""Drift as metrics: the drifted indexes by kind, the lock, and how the last run ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.runtime.metrics import Metrics
from rvlstate.runtime.run_report import RunSummary

KINDS = ("changed", "missing", "hijacked", "moved")
"""What can have happened to a managed index: its definition was changed by hand, it was dropped, a physical index hides
its alias, or a name of it leads elsewhere. An index counts once, under the gravest."""

_GRAVEST_FIRST = ("hijacked", "missing", "moved", "changed")


def tell_drift(metrics: Metrics, drift: Drift, last: RunSummary | None) -> None:
    """What a look at drift found, and how the run before it ended."""
    metrics.tell_drift(drift_kinds(drift), len(drift.unmanaged))
    metrics.tell_lock(held=bool(drift.in_progress))
    if last is not None and last.finished:
        ended = datetime.fromisoformat(last.finished.replace("Z", "+00:00"))
        metrics.tell_run(last.result, ended.timestamp(), last.seconds)


def drift_kinds(drift: Drift) -> Mapping[str, int]:
    """How many indexes drifted, by kind; every kind is there."""
    counted = Counter(_kind(index) for index in drift.indexes)
    return {kind: counted[kind] for kind in KINDS}


def _kind(index: IndexDrift) -> str:
    found = set()
    for change in index.changes:
        part = change.address.removeprefix(f"{index.name}.")
        if part == "physical":
            found.add("missing" if change.after is None else "hijacked" if change.after == index.name else "moved")
        else:
            found.add("moved" if part.startswith("aliases.") else "changed")
    return next(kind for kind in _GRAVEST_FIRST if kind in found)
