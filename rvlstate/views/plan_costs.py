"""What a whole plan costs, in words: what is rewritten, how long it takes, and what searches notice."""

from __future__ import annotations

from collections.abc import Sequence

from rvlstate.plan.plan import IndexPlan, Plan
from rvlstate.views.quantities import about, count, size

NAMES_SHOWN = 3


def costly(index: IndexPlan) -> bool:
    """Whether the figures of an index are costs of this plan."""
    return index.classification not in (None, "refused") and index.action not in ("delete", "no-op")


def rewritten(indexes: Sequence[IndexPlan]) -> str:
    """`1.2M documents rewritten (1.7 GiB)`, "" if none is."""
    documents = sum(index.impact.documents_written for index in indexes if costly(index))
    octets = sum(index.impact.bytes_written for index in indexes if costly(index))
    if not documents:
        return ""
    return f"{count(documents, 'document')} rewritten{f' ({size(octets)})' if octets else ''}"


def duration(indexes: Sequence[IndexPlan]) -> str:
    """`about 10 min`: one index after the other; "" if there is nothing to wait for."""
    seconds = sum(index.impact.estimated_seconds for index in indexes if costly(index))
    return about(seconds) if any(costly(index) and index.impact.basis for index in indexes) else ""


def downtime(indexes: Sequence[IndexPlan]) -> str:
    """What searches notice, the worst of all indexes: `none`, `some milliseconds`, `about 8 s`."""
    down = [index for index in indexes if costly(index) and _has(index, "SEARCH_DOWNTIME")]
    if down:
        longest = max(index.impact.search_downtime_seconds for index in down)
        where = f" on {count(len(down), 'index', 'indexes')}" if down[1:] else ""
        return f"{about(longest) if longest else 'until it is built again'}{where}"
    if any(_has(index, "CUTOVER_GAP") for index in indexes):
        return "some milliseconds"
    return "none but on what is deleted" if any(index.action == "delete" for index in indexes) else "none"


def cost_words(plan: Plan) -> tuple[str, ...]:
    """What changes cost, as short sentences without a full stop; () if the plan has no steps."""
    if not plan.steps:
        return ()
    parts = (rewritten(plan.indexes) or "no document is rewritten", duration(plan.indexes))
    return tuple(part for part in (*parts, f"search downtime: {downtime(plan.indexes)}") if part)


def _has(index: IndexPlan, code: str) -> bool:
    return any(hazard.code == code for hazard in index.hazards)
