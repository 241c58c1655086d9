"""Drift as metrics: the drifted indexes by kind, the lock, and how the last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rvlstate.plan.deviations import KINDS, Kind
from rvlstate.plan.drift import Drift
from rvlstate.runtime.metrics import Metrics
from rvlstate.runtime.run_report import RunSummary

LABELS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "unmanaged")
"""What can be wrong with a managed index, as the label `kind`; indexes that nobody manages have a metric of their own.
An index counts once, under the gravest."""


def tell_drift(metrics: Metrics, drift: Drift, last: RunSummary | None) -> None:
    """What a look at drift found, and how the run before it ended."""
    metrics.tell_drift(drift_kinds(drift), len(drift.unmanaged))
    metrics.tell_lock(held=bool(drift.in_progress))
    if last is not None and last.finished:
        ended = datetime.fromisoformat(last.finished.replace("Z", "+00:00"))
        metrics.tell_run(last.result, ended.timestamp(), last.seconds)


def drift_kinds(drift: Drift) -> Mapping[str, int]:
    """How many managed indexes drifted, by kind; every kind is there."""
    return {kind: drift.kinds[kind] for kind in LABELS}
