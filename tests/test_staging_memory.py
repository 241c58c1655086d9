"""The memory of a staged change in parts: classes of the allocator and marks by layout."""

from __future__ import annotations

import pytest
from document_kit import called, cast, renamed, rewrite_of, staged

from rvlstate.model.address import hash_tag
from rvlstate.model.allocation import rounded_up
from rvlstate.plan.staging_memory import FAILED_BYTES, KEY_BYTES, MARK_BYTES, beside_copies, beside_index


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


def test_documents_in_the_old_layout_cost_something_where_the_new_index_tries_them() -> None:
    """By rename they are under its prefixes; written back, or of the other type, they are not."""
    assert beside_index(staged(cast())) == FAILED_BYTES
    assert beside_index(staged(rewrite_of(renamed("a", "b")), "write_back")) == 0


@pytest.mark.parametrize(
    ("name", "tag"),
    [("products", "products"), ("{shop}:products.next", "shop"), ("{}a", "{}a"), ("a{b", "a{b"), ("a}{b}c", "b")],
)
def test_what_decides_the_slot_of_a_name(name: str, tag: str) -> None:
    """What is between the first brace and the next closing one, if there is anything; else all of it."""
    assert hash_tag(name) == tag
