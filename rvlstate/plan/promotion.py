"""How a staged change ends: which promotion its documents allow, why, and what speaks against staging at all.

A copy can be renamed to its document only if no document answers in the new index before that: it must fail to index
there, as a vector of the old length does, or be of the other type.
"""

from __future__ import annotations

from rvlstate.model.address import field_address, index_address
from rvlstate.model.braces import without_braces
from rvlstate.model.canonical import STAGED
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import FieldRewrite, Promotion, Rewrite
from rvlstate.model.transform import Call, Cast, Join, Split, ToGeo, TransformStep
from rvlstate.plan.documents import DocumentWork
from rvlstate.plan.remedies import overlap
from rvlstate.plan.situation import World

ALTERNATIVES = (
    "a new field beside the old one keeps all keys (each write then indexes a live document again), strategy: recreate "
    "needs no copies (search is down meanwhile)"
)


def promotion_of(work: DocumentWork) -> tuple[Promotion, str]:
    """How copies take the place of their documents, and why so."""
    if work.moves:
        return "new_prefix", "the copies are under the new prefix already; the old keys go at completion"
    if work.changes_storage:
        return "rename", "promotion by rename: documents of the other type are not indexed, so one build is enough"
    if all(map(_fails_to_index, work.fields)):
        return "rename", "promotion by rename: vectors of the old length fail to index, so one build is enough"
    return "write_back", (
        "promotion by writing back and a second build: documents in the old layout would be indexed as well; "
        f"{ALTERNATIVES}"
    )


def _fails_to_index(item: FieldRewrite) -> bool:
    own = item.writes is not None and [source.identifier for source in item.reads] == [item.writes.identifier]
    return own and item.layout == "length" and not item.removes


def stage_prefix(project: str, rewrite_id: str) -> str:
    """What the staged keys of a rewrite begin with: no braces, which would decide the slot; one for each rewrite."""
    return f"{STAGED}{without_braces(project)}.{without_braces(rewrite_id)}:"


def unstageable(rewrite: Rewrite, world: World) -> tuple[str, ...]:
    """Why documents must not be staged, one sentence each; () if they may."""
    return (*_untellable(rewrite), *_read_by_others(rewrite, world))


def _untellable(rewrite: Rewrite) -> tuple[str, ...]:
    """Fields in which nothing tells the old layout from the new one, and that are worth something once only."""
    if rewrite.changes_storage:
        return ()
    return tuple(
        f"{field_address(rewrite.name, item.field)}: nothing in a document tells whether this value is the old or the "
        "new one, so writers of both could not be told apart while search goes on: give the field a new name "
        "(renamed_from), or declare strategy: recreate"
        for item in rewrite.fields
        if item.layout == "marker" and _reads_itself(item) and any(_changes_again(s, item, rewrite) for s in item.steps)
    )


def _reads_itself(item: FieldRewrite) -> bool:
    return item.writes is not None and item.writes.identifier in {source.identifier for source in item.reads}


def _changes_again(step: TransformStep, item: FieldRewrite, rewrite: Rewrite) -> bool:
    """Whether a step does something to its own outcome."""
    if isinstance(step, Cast):
        kinds = {source.shape.datatype for source in (*item.reads, item.writes) if source and source.shape}
        return rewrite.before.storage == "hash" and len(kinds) > 1
    return isinstance(step, Call | Split | Join) or (isinstance(step, ToGeo) and step.order != "lon-lat")


def _read_by_others(rewrite: Rewrite, world: World) -> tuple[str, ...]:
    """Indexes that would find the copies beside the documents."""
    if not rewrite.stage:
        return ()
    harmless = rewrite.promotion == "rename" or not overlap(rewrite.before.prefixes, (rewrite.stage,))
    own = {rewrite.physical, rewrite.interim, rewrite.target} if harmless else {rewrite.interim, rewrite.target}
    return tuple(
        f"{index_address(rewrite.name, 'prefixes')}: {index.name} covers every key, and would find the staged copies "
        "beside the documents: give it a prefix, or declare strategy: recreate"
        for index in world.catalog.indexes
        if index.name not in own and _covers(index.definition, rewrite)
    )


def _covers(definition: IndexDefinition, rewrite: Rewrite) -> bool:
    return definition.storage == rewrite.after.storage and overlap(definition.prefixes, (rewrite.stage,))
