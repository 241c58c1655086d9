"""What the work on one index costs: building it, and what is done to its documents."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.catalog import LiveIndex
from rvlstate.plan.document_impact import DocumentCosts, with_rewrite
from rvlstate.plan.impact import estimate_build, estimate_scan
from rvlstate.plan.payload import bytes_written
from rvlstate.plan.plan import Impact
from rvlstate.plan.rewriting import Judged
from rvlstate.plan.staging_impact import with_staging
from rvlstate.plan.task import Task


def builds(task: Task) -> bool:
    """Whether an index is built."""
    return task.situation.serving is None or task.classification not in (None, "refused")


def impact_of(task: Task, judged: Judged) -> Impact:
    """What the whole work on an index costs."""
    impact = replace(index_impact(task), bytes_written=bytes_written(judged, task.situation))
    if impact.bytes_written and impact.documents:
        impact = replace(impact, documents_written=impact.documents)
    rewrite = task.rewrite
    if rewrite is None or task.classification is None:
        return impact
    known = DocumentCosts(
        documents=impact.documents or rewrite.documents,
        sample=task.world.samples.get(task.name),
        rate=task.world.state.rewrite_rate(task.name),
        max_docs_per_second=task.situation.wanted.max_docs_per_second,
    )
    if not rewrite.touches_documents:
        downtime = impact.estimated_seconds if rewrite.strategy == "recreate" else 0.0
        return replace(impact, search_downtime_seconds=downtime)
    if rewrite.strategy == "staged":
        return _with_settling(with_staging(impact, rewrite, known), task)
    return _with_settling(with_rewrite(impact, rewrite, known, live_index=rewrite.strategy != "recreate"), task)


def _with_settling(impact: Impact, task: Task) -> Impact:
    return replace(impact, estimated_seconds=round(impact.estimated_seconds + task.settle + task.keeps_for, 3))


def while_busy(impact: Impact, task: Task) -> Impact:
    """The same without the time for which an old index is only kept, in which the server has nothing to do."""
    rewrite = task.rewrite
    kept = task.keeps_for if rewrite is not None and rewrite.touches_documents else 0.0
    return replace(impact, estimated_seconds=max(impact.estimated_seconds - kept, 0.0))


def index_impact(task: Task) -> Impact:
    """What its index costs, without what is done to documents."""
    wanted, serving = task.situation.wanted.definition, task.situation.serving
    if serving is None:
        return estimate_build(wanted, _sibling(task), task.costs)
    if task.classification in ("shadow", "recreate"):
        return estimate_build(wanted, serving, task.costs, replaces=task.classification == "recreate")
    if task.classification in ("in_place", "backfill"):
        return estimate_scan(serving, task.costs)
    return Impact(documents=serving.statistics.documents)


def _sibling(task: Task) -> LiveIndex | None:
    """A live index over the same documents, which tells how many there are before the new one is built."""
    wanted = task.situation.wanted.definition
    same = (wanted.storage, set(wanted.prefixes), wanted.filter)
    for index in sorted(task.world.catalog.indexes, key=lambda item: item.name):
        other = index.definition
        if (other.storage, set(other.prefixes), other.filter) == same:
            return index
    return None
