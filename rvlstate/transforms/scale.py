"""The scale of a field whose vectors become integers: one for the whole field, the same for documents and queries."""

from __future__ import annotations

import math

from rvlstate.errors import PlannerBugError
from rvlstate.transforms.vectors import INTEGER_RANGES

HEADROOM = 1.05
"""How far beyond the largest value of the sample the integers reach.

The largest of a few thousand documents is not the largest of all. For values that spread like a normal distribution,
that of a thousand times as many is about a fifth larger, but only some of a million values lie beyond the sample's own
largest, and each loses little. Headroom, on the other hand, makes every step of every value coarser. So: five percent.
"""

SMALLEST = 1.18e-38
"""The smallest normal float32: values are divided by the scale in their own datatype, where less may be nothing."""


def scale_for(largest: float, datatype: str) -> float:
    """The value of one integer step, `value = integer * scale`, for a field whose largest absolute value is `largest`.

    Symmetric: zero stays zero, nothing is shifted, so that dot products of integers are those of the values times
    scale squared, and ranking stays. The scale is rounded up to three digits, for it is to be written down and copied.
    A field of nothing but zeros gets the scale of unit vectors, and no scale is below SMALLEST. Raises PlannerBugError
    for what is no size.
    """
    if not math.isfinite(largest) or largest < 0:
        raise PlannerBugError(f"no scale can be found for values as large as {largest}")
    exact = max((largest or 1.0) * HEADROOM / INTEGER_RANGES[datatype][1], SMALLEST)
    exponent = math.floor(math.log10(exact)) - 2
    digits = math.ceil(exact / 10.0**exponent)
    return float(f"{digits}e{exponent}")
