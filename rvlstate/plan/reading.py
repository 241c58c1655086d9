"""Reading live definitions: does what the server shows agree with what is wanted?"""

from __future__ import annotations

from rvlstate.model.canonical import canonicalise
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.reveal import reveal


def looks_like(seen: IndexDefinition, wanted: IndexDefinition) -> bool:
    """Whether `seen` agrees with `wanted` in everything that the server reveals."""
    return reveal(seen, [wanted]) == canonicalise(wanted)
