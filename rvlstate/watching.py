"""Watching: what is written in the old layout is brought into the new one, pass after pass, until somebody stops it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rvlstate.errors import (
    ChangeRefusedError,
    InterruptedRunError,
    LockHeldError,
    LockLostError,
    ServerUnreachableError,
)
from rvlstate.events import LateWritesFound, LockAwaited, OnEvent, WatchStarted
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.effects import Mode, Pace, Sweep, Tally
from rvlstate.plan.operations.rewrite_documents import added, ensure_members
from rvlstate.plan.rights import change_needs
from rvlstate.plan.steering import require_managed
from rvlstate.runtime.documents.records import Records
from rvlstate.runtime.identity import identify
from rvlstate.runtime.inspect import inspect_index
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.permissions import refuse_lacking
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.watch_notes import write_note

if TYPE_CHECKING:
    from rvlstate.project import Project

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two passes: short while they find something, longer and longer while they do not."""


UNTELLABLE = (
    "There was none, or a later change has taken its place, or old and new values look alike in a document, or the "
    "index has a filter, and nobody knows any more which documents that lets in."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a watch did: passes, documents brought into the new layout, copies removed, and why it ended."""

    name: str
    passes: int = 0
    converted: int = 0
    removed: int = 0
    bad: int = 0
    seconds: float = 0.0
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a pass has to do: `mode` None where an apply or a complete is at it, or has to be run first."""

    rewrite: Rewrite
    mode: Mode | None
    members: str = ""


def watch(project: Project, name: str, stop: StopRequest, on_event: OnEvent) -> Watched:
    """Go on until `stop` is asked. Raises UsageError, ChangeRefusedError where there is nothing to be watched."""
    state = project.store.load()
    require_managed(name, state)
    first = work_on(name, state)
    if first is None:
        raise _nothing_to_watch(name)
    refuse_lacking(project.connection, change_needs(project.name, first.rewrite))
    return _Watch(project=project, name=name, change=first.rewrite.id, stop=stop, on_event=on_event).run(first)


def work_on(name: str, state: State) -> Work | None:
    """What is to be done about the documents of an index as it stands; None if nothing tells what was written late."""
    begun, record = state.rewrite(name), state.record(name)
    if begun is None:
        layout = record.layout if record is not None else None
        return Work(rewrite=layout, mode="write") if layout is not None else None
    if not begun.touches_documents:
        return None
    if not begun.phased or begun.phase not in ("ready", "serving"):
        return Work(rewrite=begun, mode=None)
    mode: Mode = "stage" if begun.strategy == "staged" else "write"
    return Work(rewrite=begun, mode=mode, members=begun.members if begun.is_filtered and mode == "stage" else "")


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One watch of the change `change`; `total` is what its passes found."""

    project: Project
    name: str
    change: str
    stop: StopRequest
    on_event: OnEvent
    total: Tally = field(default_factory=Tally)
    passes: int = 0
    waiting: bool = False

    def run(self, first: Work) -> Watched:
        """Pass, pause, pass."""
        self.on_event(WatchStarted(index=self.name, mode=first.mode or "wait"))
        ended, pause = "", SHORTEST_PAUSE
        try:
            while True:
                found = self._look()
                pause = SHORTEST_PAUSE if found else min(pause * 1.5, LONGEST_PAUSE)
                self.stop.pause(pause)
        except InterruptedRunError:
            ended = self.stop.reason
        finally:
            if self.passes:
                with suppress(ServerUnreachableError), self.project.translated():
                    self._leave()
        return Watched(
            name=self.name,
            passes=self.passes,
            converted=self.total.written,
            removed=self.total.dropped,
            bad=self.total.bad,
            seconds=round(self.total.seconds, 3),
            ended=ended,
        )

    def _leave(self) -> None:
        """Say that nobody looks any more; the place of the last pass is worth something only to a change under way."""
        keys, project = self.project.connection.keys, self.project.name
        write_note(keys, project, self.name, identify(), ended=True)
        if all(begun.id != self.change for begun in self.project.store.load().rewrites):
            Records(keys, project, self.change).remove()

    def _look(self) -> bool:
        """One pass if nobody else is at work and the server answers; whether it found anything."""
        try:
            with self.project.translated(), self.project.lease("watch", 0.0, self.stop, self.on_event) as lease:
                lease.describe_step(f"watch the documents of {self.name}")
                state = self.project.store.load()
                work = self._still_to_do(state)
                if work.mode is None:
                    self._wait("a change of its documents is in the middle: rvlstate status says how to go on")
                    return False
                self.waiting = False
                return self._pass(work, state, lease)
        except LockHeldError as held:
            self._wait(held.holder)
        except (ServerUnreachableError, LockLostError) as away:
            # Whoever watches for days sees failovers and restarts: the next pass finds what this one did not.
            self._wait(str(away))
        return False

    def _still_to_do(self, state: State) -> Work:
        """What the state says by now. Raises ChangeRefusedError where that is another matter."""
        if state.record(self.name) is None and state.rewrite(self.name) is None:
            raise _over(self.name, "it is not managed any more", "nothing is left to be watched.")
        work = work_on(self.name, state)
        if work is None:
            raise _over(self.name, "the change of its documents was taken back", "nothing is left to be watched.")
        if work.rewrite.id != self.change:
            again = f"rvlstate watch {self.name} watches that one."
            raise _over(self.name, "another change of its documents has begun", again)
        return work

    def _pass(self, work: Work, state: State, lease: Lease) -> bool:
        from rvlstate.runtime.desk import Desk, Whose

        project, mode = self.project, work.mode or "write"
        records = {record.name: record for record in state.records}
        wanted = project.desired.index(self.name)
        pace = Pace(batch_size=wanted.batch_size, max_docs_per_second=wanted.max_docs_per_second) if wanted else Pace()
        whose = Whose(project=project.name, lineage=state.lineage, folder=project.path.parent, records=records)
        backup = wanted.backup if wanted is not None and state.rewrite(self.name) is not None else ""
        sweep = Sweep(rewrite=work.rewrite, mode=mode, pace=pace, members=work.members, backup=backup)
        self._ensure_members(work, lease)
        with Desk(
            connection=project.connection, whose=whose, lease=lease, stop=self.stop, on_event=lambda _: None
        ) as desk:
            tally = desk.sweep(f"{self.name}/watch", sweep)
        write_note(project.connection.keys, project.name, self.name, identify())
        self.passes += 1
        self.total = replace(added(self.total, tally), bad=tally.bad)
        found = bool(tally.written or tally.dropped)
        if found:
            self.on_event(
                LateWritesFound(
                    index=self.name,
                    converted=tally.written,
                    removed=tally.dropped,
                    bad=tally.bad,
                    seconds=round(tally.seconds, 3),
                )
            )
        return found or tally.moved_on > 0

    def _ensure_members(self, work: Work, lease: Lease) -> None:
        """Make the index that tells which documents the filter lets in again, should somebody have dropped it."""
        from rvlstate.runtime.drive import Driver

        connection = self.project.connection
        if not work.members or inspect_index(connection, work.members) is not None:
            return
        driver = Driver(connection, guard=lease.check, stop=self.stop, on_event=lambda _: None)
        driver.drive(f"{self.name}/watch", lambda: ensure_members(work.rewrite, work.members))

    def _wait(self, holder: str) -> None:
        if not self.waiting:
            self.waiting = True
            self.on_event(LockAwaited(holder=holder))


def _nothing_to_watch(name: str) -> ChangeRefusedError:
    return ChangeRefusedError(
        (
            f"{name}: no change of its documents is known by which a document could be told to be in the old layout.",
            UNTELLABLE,
        ),
        what="there is nothing to watch",
        next_step="deploy the writers with the new layout before a change is completed: policy.settle waits for them.",
    )


def _over(name: str, reason: str, next_step: str) -> ChangeRefusedError:
    return ChangeRefusedError((f"{name}: {reason}.",), what="the watch has ended", next_step=next_step)
