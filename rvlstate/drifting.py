"""Looking for drift: the recorded state against the live server, with a look at documents where they can tell more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rvlstate.plan.drift import Drift, find_drift
from rvlstate.plan.late_writes import late_layouts, with_late_writes
from rvlstate.plan.sample import Sample
from rvlstate.plan.situation import World
from rvlstate.runtime.lock_info import read_lock
from rvlstate.runtime.recorded import interrupted_words, nothing_recorded

if TYPE_CHECKING:
    from rvlstate.project import Project


def look(project: Project) -> Drift:
    """All drift of a project. Raises StateError where nothing was ever recorded."""
    # The lock is read first: a run that ends meanwhile has written down what it did.
    lock = read_lock(project.connection.keys, project.name)
    world = project.recorded_world()
    if not world.state.lineage and lock is None:
        raise nothing_recorded(project.name)
    drift = find_drift(world, project.name, project.desired.policy.retain_old)
    if lock is not None:
        return replace(drift, indexes=(), in_progress=lock.describe())
    drift = with_late_writes(drift, _late_writes(project, world), world)
    if drift.found and (begun := read_lock(project.connection.keys, project.name)) is not None:
        # An apply that began while we looked: what it has changed by then is not drift.
        return replace(drift, indexes=(), in_progress=begun.describe())
    if world.state.run is None or world.state.run.finished:
        return drift
    return replace(drift, interrupted=interrupted_words(project.journal.interrupted(), world.state, drift.waits))


def _late_writes(project: Project, world: World) -> Mapping[str, Sample]:
    """A look at documents of those indexes whose last change tells the old layout from the new one."""
    layouts = late_layouts(world.state)
    if not layouts:
        return {}
    from rvlstate.runtime.sampling import take_samples

    return take_samples(project.connection, project.name, layouts)
