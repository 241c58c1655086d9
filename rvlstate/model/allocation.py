"""Allocation: how many bytes the server's allocator gives for so many that are asked for."""

from __future__ import annotations

SMALLEST_STEP = 16
"""The allocator (jemalloc) rounds up: to this, and from 128 on to a quarter of the power of two below."""


def rounded_up(size: int) -> int:
    """The size of the class that an allocation falls into."""
    step = max(SMALLEST_STEP, 1 << max(0, (size - 1).bit_length() - 3))
    return -(-size // step) * step
