"""The memory of a staged change in parts: classes of the allocator, marks by layout, and what FT.INFO does not tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from document_kit import called, cast, renamed, rewrite_of, staged

from rvlstate.model.address import hash_tag
from rvlstate.model.allocation import rounded_up
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, Hnsw, VectorField
from rvlstate.plan.staging_memory import BLOCK, DOCUMENT_BYTES, KEY_BYTES, MARK_BYTES, beside_copies, beside_index


@pytest.mark.parametrize(
    ("asked", "given"),
    [(1, 16), (16, 16), (17, 32), (128, 128), (129, 160), (518, 640), (640, 640), ((1 << 19) + 16, 5 << 17)],
)
def test_the_allocator_gives_whole_classes(asked: int, given: int) -> None:
    """Steps of 16, then four classes for each doubling."""
    assert rounded_up(asked) == given


def test_each_copy_has_its_marks() -> None:
    """One for itself, one for each digest, and one more for a copy that is to be the document."""
    assert beside_copies(staged(cast())) == KEY_BYTES + MARK_BYTES
    assert beside_copies(staged(rewrite_of(renamed("a", "b")), "write_back")) == KEY_BYTES + 2 * MARK_BYTES
    assert beside_copies(staged(rewrite_of(called("a", "c")), "write_back")) == KEY_BYTES + 3 * MARK_BYTES
    moved = rewrite_of(moves=(("doc:", "new:"),))
    assert beside_copies(staged(moved, "new_prefix")) == KEY_BYTES + 2 * MARK_BYTES


def test_blocks_of_vectors_are_rounded_up() -> None:
    """A block of 1,024 vectors of 512 bytes and its header takes a quarter more; a graph has its links beside that."""
    vector = VectorField(
        name="v", identifier="v", dims=128, datatype="float32", distance_metric="COSINE", search=Flat()
    )
    flat = staged(rewrite_of(after=IndexDefinition(prefixes=("doc:",), fields=(vector,))), "write_back")
    assert beside_index(flat) == DOCUMENT_BYTES + rounded_up(512 * BLOCK + 16) / BLOCK - 512 == DOCUMENT_BYTES + 128
    graph = replace(vector, search=Hnsw(m=16))
    assert beside_index(replace(flat, after=replace(flat.after, fields=(graph,)))) > beside_index(flat)


@pytest.mark.parametrize(
    ("name", "tag"),
    [("products", "products"), ("{shop}:products.next", "shop"), ("{}a", "{}a"), ("a{b", "a{b"), ("a}{b}c", "b")],
)
def test_what_decides_the_slot_of_a_name(name: str, tag: str) -> None:
    """What is between the first brace and the next closing one, if there is anything; else all of it."""
    assert hash_tag(name) == tag
