"""What an index's change costs, in words."""

from __future__ import annotations

from rvlstate.plan.plan import Impact, IndexPlan
from rvlstate.views.quantities import about, count, size
from rvlstate.views.untrusted import printable

NO_DOWNTIME = "search downtime: none"


def impact_words(index: IndexPlan) -> tuple[str, ...]:
    """The impact as short parts: documents, what is written, memory, time, search downtime; () if there is none."""
    impact = index.impact
    if index.classification in (None, "refused") or index.action == "delete":
        return ()
    work = (*_documents(index), *_memory(impact), _time(impact)) if impact.basis else ()
    return tuple(part for part in (*work, downtime(index)) if part)


def basis_words(index: IndexPlan) -> str:
    """Where the figures come from, "" if there are none."""
    return printable(index.impact.basis) if impact_words(index) else ""


def downtime(index: IndexPlan) -> str:
    """What searches notice."""
    codes = {hazard.code for hazard in index.hazards}
    if index.action == "create":
        return ""
    if "SEARCH_DOWNTIME" in codes:
        seconds = index.impact.search_downtime_seconds
        return f"search downtime: {about(seconds) if seconds else 'until it is built again'}"
    return "search downtime: some milliseconds" if "CUTOVER_GAP" in codes else NO_DOWNTIME


def _documents(index: IndexPlan) -> list[str]:
    impact = index.impact
    if impact.documents is None:
        return ["documents: not known beforehand"]
    parts = [count(impact.documents, "document")]
    if impact.documents_written:
        written = f", {size(impact.bytes_written)} written" if impact.bytes_written else ""
        parts.append(f"{count(impact.documents_written, 'document')} {_fate(index)}{written}")
    return parts


def _fate(index: IndexPlan) -> str:
    """What becomes of documents: while search goes on they are copied first, and the copies take their place."""
    codes = {hazard.code for hazard in index.hazards}
    staged = index.classification == "shadow" and "RESULT_KEYS_CHANGE" in codes
    return "staged and promoted" if staged else "rewritten"


def _memory(impact: Impact) -> list[str]:
    if not impact.index_bytes:
        return []
    headroom = "no maxmemory" if impact.headroom_bytes is None else f"headroom {size(impact.headroom_bytes)}"
    peak = size(impact.peak_memory_bytes)
    return [f"index about {size(impact.index_bytes)}", f"server at its peak {peak} ({headroom})"]


def _time(impact: Impact) -> str:
    if impact.documents is None:
        return ""
    return about(impact.estimated_seconds)
