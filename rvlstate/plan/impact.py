"""What carrying out a plan costs, estimated from what the server says about the indexes that there are."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.model.catalog import LiveIndex, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import VectorField
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.index_memory import told_bytes, untold_bytes
from rvlstate.plan.plan import Impact

GRAPH_BUILD_SECONDS = 500e-6
"""Seconds a document for a background build with a vector graph (facts: 400-600 us at 384 dims, M 16, EF 200)."""

PLAIN_BUILD_SECONDS = 25e-6
"""Seconds a document for a background build without one (measured: 60,000 small hashes in about 1.4 s)."""

SCAN_SECONDS = 1e-6
"""Seconds a key that the scan only passes by: it visits every key of the database."""

SLOW_BUILD_SECONDS = 600.0
"""From this estimate on a build is a hazard: it keeps the server's one indexing thread busy all the while."""

TIGHT_MEMORY = 0.8
"""From this share of the allowed peak on, memory is a hazard; above 1.0 the plan is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What estimates need to know: the server, the recorded rate (documents a second, 0 for none), the memory rule."""

    server: ServerProfile
    build_rate: float = 0.0
    max_memory_ratio: float = 0.9


def estimate_build(
    definition: IndexDefinition, current: LiveIndex | None, costs: Costs, *, replaces: bool = False
) -> Impact:
    """The cost of building an index of `definition` over the documents that `current` holds now (None: unknown).

    `replaces`: the present index is dropped before.
    """
    server = costs.server
    if current is None:
        return Impact(
            documents=None,
            peak_memory_bytes=server.used_memory,
            headroom_bytes=_headroom(costs),
            basis=f"no index covers these keys yet; the server holds {server.keys:,} keys in all",
        )
    documents = current.statistics.documents
    seconds, basis = _build_seconds(definition, current, costs)
    index_bytes, freed = _index_bytes(definition, current), _index_bytes(current.definition, current)
    return Impact(
        documents=documents,
        index_bytes=index_bytes,
        peak_memory_bytes=server.used_memory + (max(index_bytes - freed, 0) if replaces else index_bytes),
        headroom_bytes=_headroom(costs),
        estimated_seconds=round(seconds, 3),
        basis=basis,
    )


def estimate_scan(current: LiveIndex | None, costs: Costs) -> Impact:
    """The cost of a change in place: the server visits all documents again and keeps what it has."""
    if current is None:
        return Impact()
    impact = estimate_build(current.definition, current, costs)
    return Impact(
        documents=impact.documents,
        peak_memory_bytes=costs.server.used_memory,
        headroom_bytes=impact.headroom_bytes,
        estimated_seconds=impact.estimated_seconds,
        basis=impact.basis,
    )


def memory_limit(costs: Costs) -> int:
    """The bytes that the server may use at the peak, 0 if it has no limit."""
    return int(costs.server.maxmemory * costs.max_memory_ratio)


def memory_hazard(impact: Impact, costs: Costs) -> Hazard | None:
    """MEMORY_PEAK when the peak comes near the limit."""
    limit = memory_limit(costs)
    if not limit or impact.peak_memory_bytes <= limit * TIGHT_MEMORY:
        return None
    share = impact.peak_memory_bytes / costs.server.maxmemory
    return Hazard(
        code="MEMORY_PEAK",
        message=f"while the index is built, the server comes to about {share:.0%} of its maxmemory.",
    )


def memory_refusal(impact: Impact, costs: Costs) -> str:
    """Why the plan must not be tried, "" if it may: the peak exceeds what policy.max_memory_ratio allows."""
    limit = memory_limit(costs)
    if not limit or impact.peak_memory_bytes <= limit:
        return ""
    return (
        f"the server would need about {impact.peak_memory_bytes:,} bytes while both indexes exist; "
        f"policy.max_memory_ratio allows {limit:,} of its {costs.server.maxmemory:,}: free memory or raise maxmemory"
    )


def slow_hazard(impact: Impact) -> Hazard | None:
    """SLOW_BUILD when the server will be busy for long."""
    if impact.estimated_seconds < SLOW_BUILD_SECONDS:
        return None
    minutes = impact.estimated_seconds / 60
    return Hazard(
        code="SLOW_BUILD",
        message=f"the server builds for about {minutes:,.0f} minutes; other builds wait, and writes become slower.",
    )


def _build_seconds(definition: IndexDefinition, current: LiveIndex, costs: Costs) -> tuple[float, str]:
    statistics = current.statistics
    passing = max(costs.server.keys - statistics.documents, 0) * SCAN_SECONDS
    if costs.build_rate > 0:
        basis = f"the last build of this index: {costs.build_rate:,.0f} documents a second"
        return statistics.documents / costs.build_rate + passing, basis
    if statistics.max_document_id and statistics.indexing_ms:
        each = statistics.indexing_ms / 1000 / statistics.max_document_id
        basis = f"the server's own indexing time so far: {each * 1e6:,.0f} us a document"
        return statistics.documents * each + passing, basis
    each = GRAPH_BUILD_SECONDS if has_graph(definition) else PLAIN_BUILD_SECONDS
    basis = f"a typical rate, since this server has not indexed these documents yet: {each * 1e6:,.0f} us a document"
    return statistics.documents * each + passing, basis


def _index_bytes(definition: IndexDefinition, current: LiveIndex) -> int:
    """What an index takes over the documents of the present one."""
    return told_bytes(definition, current) + untold_bytes(definition, current.statistics)


def has_graph(definition: IndexDefinition) -> bool:
    """Whether a vector graph is part of the index, which makes writes and builds expensive."""
    return any(isinstance(field, VectorField) and field.search.algorithm != "flat" for field in definition.fields)


def _headroom(costs: Costs) -> int | None:
    limit = memory_limit(costs)
    return max(limit - costs.server.used_memory, 0) if limit else None
