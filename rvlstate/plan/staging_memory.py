"""What a staged change takes on the server beside its copies and its index: marks, tables, failed documents, a run."""

from __future__ import annotations

from rvlstate.model.rewrite import FieldRewrite, Rewrite

MARK_BYTES = 105
"""A member of the sorted set of marks (measured with keys of 11 bytes): its text, its score, and its two places."""

KEY_BYTES = 16
"""The place of a further key in the tables of the database, which grow by doubling."""

FAILED_BYTES = 36
"""A document in the old layout that the new index tries and leaves out (measured)."""

RUN_BYTES = 1_000_000
"""What connections, scripts and replies of a run take (measured: 0.6 to 1.2 million, whatever the size)."""


def beside_copies(rewrite: Rewrite) -> int:
    """Bytes for one staged document beside its copy: its marks, and the place of the key."""
    own = 2 if rewrite.promotion == "new_prefix" else 1
    return KEY_BYTES + MARK_BYTES * (own + sum(map(_marks, rewrite.fields)))


def beside_index(rewrite: Rewrite) -> int:
    """Bytes for one document in the new index that is none of its own: one in the old layout, which it tries."""
    return FAILED_BYTES if rewrite.promotion == "rename" and not rewrite.changes_storage else 0


def _marks(item: FieldRewrite) -> int:
    """How many digests are noted for a field of a document (see the table of `runtime/documents/blueprint.py`)."""
    if item.layout == "length" or item.writes is None:
        return 0
    return 2 if item.layout == "presence" and item.reads else 1
