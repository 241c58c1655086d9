"""What staged copies cost: time to make and to promote them, memory while they exist, and how long keys differ."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.document_impact import DocumentCosts
from rvlstate.plan.plan import Impact
from rvlstate.plan.staging_memory import RUN_BYTES, beside_copies, beside_index

STAGE_SECONDS = 60e-6
"""Seconds to read, transform and copy a document (measured; writers at work make it longer)."""

RENAME_SECONDS = 30e-6
"""Seconds to promote a document by RENAME, its guard included, once the old index is gone (measured)."""

COPY_SECONDS = 45e-6
"""Seconds to write a document back by COPY, its guard included, where no index covers it (measured)."""

CATCH_UP_SHARE = 0.5
"""Passes that catch up, as a share of the first one: documents that did not change are only looked at."""

COPY_OVERHEAD_BYTES = 200
"""Bytes of a copy beside its values where no sample tells: its key and the hash around them."""


def with_staging(impact: Impact, rewrite: Rewrite, known: DocumentCosts) -> Impact:
    """The impact of building the new index with that of staging, catching up and promoting: of what is still to do.

    Once the new index is ready it is built, and its copies are there: both are part of what the server uses already.
    """
    todo, made = _todo(known), rewrite.phase != "staging"
    copying = todo * STAGE_SECONDS * _passes(rewrite)
    if known.max_docs_per_second and rewrite.phase != "promoting":
        copying = max(copying, known.documents / known.max_docs_per_second)
    builds = (2 if rewrite.interim else 1) - (1 if made else 0)
    memory = (0 if made else _copies_bytes(impact, rewrite, known)) - (0 if builds else impact.index_bytes)
    if builds:
        memory += known.documents * beside_index(rewrite) + RUN_BYTES
    return replace(
        impact,
        documents_written=todo,
        bytes_read=round(known.documents * known.sample.bytes_read) if known.sample else 0,
        bytes_written=0 if made else _written(impact, todo, known),
        peak_memory_bytes=impact.peak_memory_bytes + memory,
        estimated_seconds=round(copying + builds * impact.estimated_seconds + _promotion(rewrite, todo), 3),
        bad_documents=_bad(known),
        basis="; ".join(part for part in (impact.basis, _basis(known, builds)) if part),
    )


def _passes(rewrite: Rewrite) -> float:
    """How much of a first pass is still to be gone through."""
    first = 1.0 if rewrite.phase == "staging" else 0.0
    return first + (0.0 if rewrite.phase == "promoting" else CATCH_UP_SHARE)


def staged_key_seconds(rewrite: Rewrite, documents: int, build_seconds: float) -> float:
    """For how long answers carry staged keys: until the last copy is promoted, or the second index is built."""
    if rewrite.promotion == "new_prefix":
        return 0.0
    return _promotion(rewrite, documents) + (build_seconds if rewrite.interim else 0.0)


def _todo(known: DocumentCosts) -> int:
    sample = known.sample
    return round(known.documents * (sample.todo / sample.documents if sample and sample.documents else 1.0))


def _promotion(rewrite: Rewrite, documents: int) -> float:
    if rewrite.promotion == "new_prefix":
        return 0.0
    return documents * (COPY_SECONDS if rewrite.promotion == "write_back" else RENAME_SECONDS)


def _written(impact: Impact, todo: int, known: DocumentCosts) -> int:
    return round(todo * known.sample.bytes_written) if known.sample else impact.bytes_written


def _copies_bytes(impact: Impact, rewrite: Rewrite, known: DocumentCosts) -> int:
    """What the copies take: as a sample of documents suggests, else by their new values; with what is beside them."""
    todo = _todo(known)
    beside = todo * beside_copies(rewrite)
    if known.sample and known.sample.memory_after:
        return round(todo * known.sample.memory_after) + beside
    return _written(impact, todo, known) + todo * COPY_OVERHEAD_BYTES + beside


def _bad(known: DocumentCosts) -> int:
    sample = known.sample
    return round(known.documents * sample.bad / sample.documents) if sample and sample.documents else 0


def _basis(known: DocumentCosts, builds: int) -> str:
    looked = f"a sample of {known.sample.documents:,} documents" if known.sample else "no sample"
    return f"{looked}, copied with no index on them" + (", two builds" if builds > 1 else "")
