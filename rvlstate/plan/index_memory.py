"""What an index takes in the server's memory: what FT.INFO tells of it, with other vectors, and what that leaves out.

FT.INFO counts what is asked of the allocator, not what that gives, and neither offsets within documents nor what is
around terms. Measured with RediSearch 2.10.5 on 5,000 to 20,000 documents, hashes and JSON: an index takes 19 to 88 %
more than it tells.
"""

from __future__ import annotations

from rvlstate.model.allocation import rounded_up
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import BYTES_PER_VALUE, Field, Hnsw, SvsVamana, TextField, VectorField

BLOCK, BLOCK_HEADER = 1024, 16
"""Vectors are kept in blocks of so many, each one allocation."""

VECTOR_BYTES = 64
"""Bytes that FT.INFO tells of a vector beside its values: labels and bookkeeping."""

NODE_BYTES = 176
"""The same, further, for each node of a graph, beside its links (measured: 170 to 185)."""

DOCUMENT_BYTES = 35
"""Bytes of a document that FT.INFO does not count (measured: 29 to 50)."""

OFFSET_BYTES = 70
"""The same where it has text and offsets are kept (measured: 69 with 12 words, 85 with 50)."""

TERM_BYTES = 105
"""The same for each term of text (measured: 100 to 120)."""

SUFFIX_BYTES = 170
"""The same for each term with a suffix trie (measured: 163 to 173)."""

SORTABLE_TEXT_BYTES, SORTABLE_BYTES = 35, 10
"""The same for a sortable text of a document, and for any other sortable value (measured: 36; 8 and 13)."""

GRAPH_BYTES, GRAPH_SHARE = 15, 0.25
"""The same for a vector in a graph, and as a share of its links (measured with M 4, 16 and 32)."""


def told_bytes(definition: IndexDefinition, current: LiveIndex) -> int:
    """What FT.INFO will tell of an index of `definition`: what it tells of the present one, with the other vectors."""
    documents = current.statistics.documents
    vectors = _vector_bytes(definition, documents) - _vector_bytes(current.definition, documents)
    return max(current.statistics.index_bytes + vectors, 0)


def untold_bytes(definition: IndexDefinition, figures: Statistics) -> int:
    """What an index of `definition` takes beside that, with so many documents and terms."""
    texts = [field for field in definition.fields if isinstance(field, TextField) and not field.no_index]
    terms = figures.terms if texts else 0
    each = DOCUMENT_BYTES + sum(map(_sortable_bytes, definition.fields))
    each += OFFSET_BYTES if texts and not definition.no_offsets else 0
    of_terms = TERM_BYTES + (SUFFIX_BYTES if any(field.withsuffixtrie for field in texts) else 0)
    vectors = sum(_untold_vectors(field, figures.documents) for field in _vectors(definition))
    return round(figures.documents * each + terms * of_terms + vectors)


def _sortable_bytes(field: Field) -> int:
    if not getattr(field, "sortable", False):
        return 0
    return SORTABLE_TEXT_BYTES if isinstance(field, TextField) else SORTABLE_BYTES


def _vectors(definition: IndexDefinition) -> list[VectorField]:
    return [field for field in definition.fields if isinstance(field, VectorField)]


def _vector_bytes(definition: IndexDefinition, documents: int) -> int:
    """Bytes of vectors and their graph links, as FT.INFO tells them."""
    total = 0
    for field in _vectors(definition):
        node = NODE_BYTES if isinstance(field.search, Hnsw) else 0
        values = _blocks(documents) * BLOCK * _values_bytes(field)
        total += values + documents * (_links_bytes(field) + node + VECTOR_BYTES)
    return total


def _untold_vectors(field: VectorField, documents: int) -> float:
    block = BLOCK * _values_bytes(field)
    rounding = _blocks(documents) * (rounded_up(block + BLOCK_HEADER) - block)
    if not isinstance(field.search, Hnsw):
        return rounding
    return rounding + documents * (GRAPH_BYTES + _links_bytes(field) * GRAPH_SHARE)


def _blocks(documents: int) -> int:
    return -(-documents // BLOCK)


def _values_bytes(field: VectorField) -> int:
    return field.dims * BYTES_PER_VALUE.get(field.datatype, 4)


def _links_bytes(field: VectorField) -> int:
    if isinstance(field.search, Hnsw):
        return field.search.m * 2 * 4
    if isinstance(field.search, SvsVamana) and isinstance(field.search.graph_max_degree, int):
        return field.search.graph_max_degree * 4
    return 0
