"""Temporary indexes: the server deletes their documents with them, at their end as well as at FT.DROPINDEX without DD.

Measured with RediSearch 2.10.5. So none is created, and none that is known to be one is dropped. FT.INFO does not tell
of one that an application created: such an index is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.operations import AnyOperation, DropIndex, TakeName
from rvlstate.plan.situation import World


def is_temporary(definition: IndexDefinition) -> bool:
    """Whether an index of this definition is known to be temporary."""
    return isinstance(definition.temporary, int)


def losing_documents(operations: Iterable[AnyOperation], world: World) -> tuple[str, ...]:
    """A sentence for each index that would be dropped, and is known to take its documents with it."""
    named = [_dropped(operation) for operation in operations]
    live = [world.catalog.index(physical) for physical in sorted({*filter(None, named)})]
    return tuple(
        f"{index.name} is temporary: the server deletes its documents when it is dropped, whoever asks for that, and "
        "when it has not been used for so long. Copy them to other keys, or give the index up and leave it to its end"
        for index in live
        if index is not None and is_temporary(world.definition(index))
    )


def _dropped(operation: AnyOperation) -> str:
    if isinstance(operation, DropIndex):
        return operation.physical
    return operation.name if isinstance(operation, TakeName) else ""
