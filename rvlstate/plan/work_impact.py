"""What the work on one index costs: building it, and what is done to its documents."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.catalog import LiveIndex
from rvlstate.plan.document_impact import DocumentCosts, with_rewrite
from rvlstate.plan.impact import estimate_build, estimate_scan
from rvlstate.plan.payload import bytes_written
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.plan import Impact
from rvlstate.plan.rewriting import Judged
from rvlstate.plan.staging_impact import with_staging
from rvlstate.plan.task import Task


def builds(task: Task) -> bool:
    """Whether an index is still to be built."""
    if _is_built(task):
        return task.rewrite is not None and bool(task.rewrite.interim)
    return task.situation.serving is None or task.classification not in (None, "refused")


def _is_built(task: Task) -> bool:
    """Whether the first new index of a change in phases is there, as an earlier run left it."""
    rewrite = task.rewrite
    return task.begun and rewrite is not None and rewrite.phased and rewrite.phase != "staging"


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
    if not rewrite.touches_documents and _is_built(task):
        return replace(impact, estimated_seconds=0.0, peak_memory_bytes=impact.peak_memory_bytes - impact.index_bytes)
    if not rewrite.touches_documents:
        downtime = impact.estimated_seconds if rewrite.strategy == "recreate" else 0.0
        return replace(impact, search_downtime_seconds=downtime)
    if rewrite.strategy == "staged":
        return _with_settling(with_staging(impact, rewrite, known), task)
    return _with_settling(with_rewrite(impact, rewrite, known, live_index=rewrite.strategy != "recreate"), task)


def _with_settling(impact: Impact, task: Task) -> Impact:
    """With the waits behind the cutover, unless the plan stops in front of it."""
    waits = 0.0 if _stops_at_a_hold(task) else task.settle + _kept(task)
    return replace(impact, estimated_seconds=round(impact.estimated_seconds + waits, 3))


def _stops_at_a_hold(task: Task) -> bool:
    rewrite = task.rewrite
    before = rewrite is not None and rewrite.phased and not is_cut_over(rewrite)
    return before and task.situation.wanted.cutover == "manual"


def _kept(task: Task) -> float:
    """For how many seconds a run does nothing but keep an old index up to date."""
    rewrite = task.rewrite
    if rewrite is None or not rewrite.touches_documents or _stops_at_a_hold(task):
        return 0.0
    return task.keeps_for


def while_busy(impact: Impact, task: Task) -> Impact:
    """The same without the time for which an old index is only kept, in which the server has nothing to do."""
    return replace(impact, estimated_seconds=max(impact.estimated_seconds - _kept(task), 0.0))


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
