"""What a staged change takes on the server beside what MEMORY USAGE and FT.INFO tell: marks, tables, rounded blocks."""

from __future__ import annotations

from rvlstate.model.allocation import rounded_up
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import BYTES_PER_VALUE, Hnsw, TextField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite

MARK_BYTES = 105
"""A member of the sorted set of marks (measured with keys of 11 bytes): its text, its score, and its two places."""

KEY_BYTES = 16
"""The place of a further key in the tables of the database, which grow by doubling."""

DOCUMENT_BYTES = 35
"""Bytes of a document that FT.INFO does not count (measured: 25 to 48)."""

TEXT_BYTES = 75
"""The same for each text field: terms of one document only, and what is around them (measured: 50 to 140)."""

GRAPH_BYTES, GRAPH_SHARE = 15, 0.25
"""The same for a vector in a graph, and as a share of its links (measured with M 4, 16 and 32)."""

FAILED_BYTES = 36
"""A document in the old layout that the new index tries and leaves out (measured)."""

RUN_BYTES = 1_000_000
"""What connections, scripts and replies of a run take (measured: 0.6 to 1.2 million, whatever the size)."""

BLOCK, BLOCK_HEADER = 1024, 16
"""Vectors are kept in blocks of so many, each one allocation."""


def beside_copies(rewrite: Rewrite) -> int:
    """Bytes for one staged document beside its copy: its marks, and the place of the key."""
    own = 2 if rewrite.promotion == "new_prefix" else 1
    return KEY_BYTES + MARK_BYTES * (own + sum(map(_marks, rewrite.fields)))


def beside_index(rewrite: Rewrite) -> float:
    """Bytes for one document in the new index beside those that FT.INFO tells."""
    failing = FAILED_BYTES if rewrite.promotion == "rename" and not rewrite.changes_storage else 0
    return failing + _untold(rewrite.after)


def _untold(definition: IndexDefinition) -> float:
    vectors = [field for field in definition.fields if isinstance(field, VectorField)]
    texts = sum(isinstance(field, TextField) for field in definition.fields)
    return DOCUMENT_BYTES + TEXT_BYTES * texts + sum(map(_untold_vector, vectors))


def _untold_vector(field: VectorField) -> float:
    size = field.dims * BYTES_PER_VALUE.get(field.datatype, 4)
    rounding = rounded_up(BLOCK * size + BLOCK_HEADER) / BLOCK - size
    if not isinstance(field.search, Hnsw):
        return rounding
    links = field.search.m * 2 * 4
    return rounding + GRAPH_BYTES + links * GRAPH_SHARE


def _marks(item: FieldRewrite) -> int:
    """How many digests are noted for a field of a document (see the table of `runtime/documents/blueprint.py`)."""
    if item.layout == "length" or item.writes is None:
        return 0
    return 2 if item.layout == "presence" and item.reads else 1
