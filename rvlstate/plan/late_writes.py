"""Late writes: documents that were written in the old layout after a change of documents was complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.deviations import Finding
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.plan.sample import Sample
from rvlstate.plan.situation import World
from rvlstate.plan.standing import NextCommand

REASON = "documents in the old layout, which the index does not find as they are meant"


def late_layouts(state: State) -> dict[str, Rewrite]:
    """The last change of documents of each index, where a document itself tells that it was written too late.

    While another change is under way its passes look after that.
    """
    begun = {rewrite.name for rewrite in state.rewrites}
    return {
        record.name: record.layout for record in state.records if record.layout is not None and record.name not in begun
    }


def with_late_writes(drift: Drift, samples: Mapping[str, Sample], world: World) -> Drift:
    """The drift with what samples of documents tell of late writes; `samples` by the names of `late_layouts`."""
    late = {name: about_late(sample, _documents(name, world)) for name, sample in samples.items()}
    found = {index.name: index for index in drift.indexes}
    for name in sorted(name for name, number in late.items() if number):
        record = world.state.record(name)
        index = found.get(name, IndexDrift(name=name, physical=record.physical if record else name))
        change = Change(address=f"{name}.documents", before=0, after=late[name], classification=None, reason=REASON)
        findings = (*index.findings, Finding(kind="late", change=change))
        found[name] = replace(index, findings=findings, commands=(*index.commands, _watch(name)))
    return replace(drift, indexes=tuple(found[name] for name in sorted(found)))


def _watch(name: str) -> NextCommand:
    effect = "brings them into the new layout, and goes on doing so until it is stopped"
    return NextCommand(words=("watch", name), effect=effect)


def about_late(sample: Sample, indexed: int) -> int:
    """About how many documents are in the old layout, from a sample of all and the number that the index holds."""
    late, right = sample.todo - sample.bad, sample.documents - sample.todo
    if late <= 0:
        return 0
    # Of those in the new layout the index knows the number; in the sample they stand beside the late ones.
    return max(late, round(indexed * late / right)) if right > 0 else late


def _documents(name: str, world: World) -> int:
    index = world.catalog.index(world.catalog.resolve(name) or "")
    return index.statistics.documents if index is not None else 0
