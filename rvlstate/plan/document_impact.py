"""What rewriting documents costs, from a sample of them; and whether a field is better added by a new index."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.impact import GRAPH_BUILD_SECONDS, Costs, has_graph
from rvlstate.plan.plan import Impact
from rvlstate.plan.sample import Sample

UNINDEXED_WRITE_SECONDS = 45e-6
"""Seconds to read, transform and write a document that no index covers (measured: 40-50 us at 768 dims)."""

GRAPH_WRITE_SECONDS = 1050e-6
"""Seconds more for a write under a live vector graph, whatever is written (measured at 384 dims, M 16, EF 200)."""

PLAIN_WRITE_SECONDS = 26e-6
"""Seconds more for a write under any other live index (measured)."""

GRAPH_ALTER_SECONDS = 860e-6
"""Seconds a document of FT.ALTER's scan where there is a vector graph: it inserts each vector again (measured)."""

WORTH_A_BUILD_SECONDS = 10.0
"""What a new index must save against FT.ALTER before the name is moved for it."""

LIMITED_PASSES = 2
"""Passes that keep to the declared limit: one that writes, and one behind the cutover that finds what came late."""

REHEARSAL_SHARE = 0.4
"""What reading and transforming takes of the whole (measured)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCosts:
    """What is known about the documents: how many, a sample, the rate of an earlier rewrite, the declared limit.

    Both are in documents a second, 0 for none.
    """

    documents: int
    sample: Sample | None
    rate: float = 0.0
    max_docs_per_second: int = 0


def with_rewrite(impact: Impact, rewrite: Rewrite, known: DocumentCosts, *, live_index: bool) -> Impact:
    """The impact of the index's change with that of the documents; `live_index`: an index covers them meanwhile."""
    sample = known.sample
    share = sample.todo / sample.documents if sample and sample.documents else 1.0
    todo = round(known.documents * share)
    seconds = todo * _seconds(rewrite, known, live_index=live_index)
    if known.max_docs_per_second:
        seconds = max(seconds, LIMITED_PASSES * known.documents / known.max_docs_per_second)
    written = round(todo * sample.bytes_written) if sample else impact.bytes_written
    downtime = 0.0
    if rewrite.strategy == "recreate":
        downtime = round(seconds + impact.estimated_seconds, 3)
    rehearsal = known.documents * UNINDEXED_WRITE_SECONDS * REHEARSAL_SHARE
    if known.max_docs_per_second:
        rehearsal = max(rehearsal, known.documents / known.max_docs_per_second)
    return replace(
        impact,
        documents_written=todo,
        bytes_read=round(known.documents * sample.bytes_read) if sample else 0,
        bytes_written=written,
        estimated_seconds=round(impact.estimated_seconds + seconds + rehearsal, 3),
        search_downtime_seconds=downtime,
        bad_documents=round(known.documents * sample.bad / sample.documents) if sample and sample.documents else 0,
        basis="; ".join(part for part in (impact.basis, _basis(known, live_index=live_index)) if part),
    )


def _seconds(rewrite: Rewrite, known: DocumentCosts, *, live_index: bool) -> float:
    """Seconds a document."""
    if known.rate > 0 and not live_index:
        return 1 / known.rate
    if not live_index:
        return UNINDEXED_WRITE_SECONDS
    indexing = GRAPH_WRITE_SECONDS if has_graph(rewrite.before) else PLAIN_WRITE_SECONDS
    return UNINDEXED_WRITE_SECONDS + indexing


def _basis(known: DocumentCosts, *, live_index: bool) -> str:
    if known.rate > 0 and not live_index:
        return f"the last rewrite of these documents: {known.rate:,.0f} a second"
    looked = f"a sample of {known.sample.documents:,} documents" if known.sample else "no sample"
    under = "written under the live index, which indexes each one again" if live_index else "written with no index"
    return f"{looked}, {under}"


def better_built_anew(before: IndexDefinition, documents: int, costs: Costs) -> str:
    """Why a field is better added by a new index than by FT.ALTER, "" if it is not."""
    if not has_graph(before):
        return ""
    alter = documents * GRAPH_ALTER_SECONDS
    build = documents / costs.build_rate if costs.build_rate else documents * GRAPH_BUILD_SECONDS
    if alter - build < WORTH_A_BUILD_SECONDS:
        return ""
    return (
        f"then a new index is built beside the old one, about {build:,.0f} s: FT.ALTER would insert each vector into "
        f"the graph again, about {alter:,.0f} s"
    )
