"""Status: where every managed index stands, who is at work, and what is safe to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rvlstate.model.catalog import LiveIndex, ServerProfile
from rvlstate.model.state import Record, State
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.recovery import forgotten, forgotten_words
from rvlstate.plan.situation import World
from rvlstate.plan.standing import Standing, standings_of
from rvlstate.runtime.clock import iso_utc
from rvlstate.runtime.control import Orders, read_orders
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lock_info import DEAF, LockInfo
from rvlstate.runtime.recorded import an_operation, how_to_go_on, waiting_words
from rvlstate.runtime.run_report import RunSummary, StepReport
from rvlstate.runtime.scripts import KeysClient
from rvlstate.runtime.watch_notes import WatchNote

LEFT = "the next apply finishes or drops it"
NO_SEARCH = "no search until its documents are rewritten and it is created again (strategy: recreate)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """One physical index of ours, as serving, building, rebuilding, missing, drifted, left behind, ready or kept."""

    name: str
    physical: str
    state: str
    documents: int = 0
    indexing_failures: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStatus:
    """A change in phases: where it stands, and whether the new index is being told of what is written.

    `followed_by` is who does that right now, "" for nobody; `followed_until` is when that was last done (ISO 8601, ""
    where it is being done, or need not be). `kept_until` is when the old index may go, "" if it is not kept.
    """

    standing: Standing
    followed_by: str = ""
    followed_until: str = ""
    kept_until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is going on, or was when it was cut short: the run, the step that it is at, and what it was ordered.

    `run` is None for a run that has not begun yet (it plans), `step` is None between two steps.
    """

    run: RunSummary | None = None
    step: StepReport | None = None
    orders: Orders = field(default_factory=Orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A whole project at a glance; `next_step` is the one thing to do next, "" if nothing is needed.

    `changes` are those in phases that are not at their end.

    `work` is there while somebody holds the lock, and for a run that was interrupted.
    """

    project: str
    server: ServerProfile
    lineage: str
    serial: int
    indexes: tuple[IndexStatus, ...]
    unmanaged: tuple[str, ...]
    lock: LockInfo | None
    interrupted: RunSummary | None
    next_step: str
    work: Work | None = None
    changes: tuple[ChangeStatus, ...] = ()


def read_work(client: KeysClient, project: str, lock: LockInfo | None, interrupted: RunSummary | None) -> Work | None:
    """What the holder of the lock is doing, or where the interrupted run stopped; None if there is neither."""
    journal = Journal(client, project)
    if lock is not None:
        run = next((run for run in journal.list_runs(5) if run.result == "running"), None)
        orders = read_orders(client, project, lock.id)
        return Work(run=run, step=_open_step(journal, run, "running"), orders=orders)
    if interrupted is not None:
        return Work(run=interrupted, step=_open_step(journal, interrupted, "interrupted", "running"))
    return None


def make_status(
    world: World,
    drift: Drift,
    lock: LockInfo | None,
    interrupted: RunSummary | None,
    last: RunSummary | None = None,
    *,
    work: Work | None = None,
    watched: Mapping[str, WatchNote] | None = None,
    retain_old: float = 0.0,
) -> Status:
    """The status from what was read; `last` is the latest run, however it ended, `work` is from `read_work`.

    `watched` is from `read_notes`, `retain_old` is the policy, in seconds.
    """
    drifted = {index.name: index for index in drift.indexes}
    rows = [_managed(record, world, drifted.get(record.name)) for record in world.state.records]
    standings = standings_of(world, retain_old)
    rows += _left_behind(world, standings, running=lock is not None)
    changes = tuple(
        _change(standing, world.now, _helper(standing, lock, work), last, (watched or {}).get(standing.name))
        for standing in standings
    )
    return Status(
        project=drift.project,
        server=world.server,
        lineage=world.state.lineage,
        serial=world.state.serial,
        indexes=tuple(rows),
        unmanaged=drift.unmanaged,
        lock=lock,
        interrupted=interrupted,
        next_step=_running_words(lock, work) if lock is not None else _next_step(world, drift, rows, last, standings),
        work=work,
        changes=changes,
    )


def _change(standing: Standing, now: int, helper: str, last: RunSummary | None, note: WatchNote | None) -> ChangeStatus:
    """Whether anybody tells the new index of what is written, and since when nobody does."""
    watching = note is not None and note.is_at_work(now)
    followed_by = helper or ("rvlstate watch" if watching else "")
    ended = [last.finished if last is not None else "", iso_utc(note.at) if note is not None else ""]
    needs_it = standing.follows and not followed_by
    return ChangeStatus(
        standing=standing,
        followed_by=followed_by if standing.follows else "",
        followed_until=max(ended) if needs_it else "",
        kept_until=iso_utc(standing.kept_until),
    )


def _helper(standing: Standing, lock: LockInfo | None, work: Work | None) -> str:
    """The holder of the lock, if it is at work on this index."""
    if lock is None:
        return ""
    if lock.operation == "watch":
        return "rvlstate watch" if lock.step.endswith(f" of {standing.name}") else ""
    at_it = work is not None and work.step is not None and work.step.index == standing.name
    return f"rvlstate {lock.operation}" if at_it else ""


def _open_step(journal: Journal, run: RunSummary | None, *results: str) -> StepReport | None:
    """The step of a run that has begun last and is not done."""
    report = journal.read_run(run.id) if run is not None else None
    steps = report.steps if report is not None else ()
    return next((step for step in reversed(steps) if step.result in results), None)


def _running_words(lock: LockInfo, work: Work | None) -> str:
    if lock.operation == "watch":
        return "a watch is at work for a moment, and makes room between two passes."
    if lock.operation in DEAF:
        return f"{lock.operation} is at work and ends by itself: wait for it."
    if work is not None and work.orders.abort_by:
        return "the run was told to stop and is about to; then rvlstate apply goes on."
    if work is not None and work.orders.paused_by:
        return "rvlstate resume lets the run go on; rvlstate abort stops it, and rvlstate apply then goes on."
    return (
        f"{'an apply' if lock.operation == 'apply' else lock.operation} is running: wait for it "
        "(rvlstate status --follow), or rvlstate pause, rvlstate throttle RATE, or stop it with rvlstate abort."
    )


def _managed(record: Record, world: World, drift: IndexDrift | None) -> IndexStatus:
    serving = world.catalog.index(world.catalog.resolve(record.name) or "")
    if serving is None:
        rewrite = world.state.rewrite(record.name)
        if rewrite is not None and rewrite.dropped:
            return IndexStatus(name=record.name, physical=rewrite.target, state="rebuilding", note=NO_SEARCH)
        return IndexStatus(name=record.name, physical=record.physical, state="missing", note="nothing answers to it")
    state, note = _condition(serving, drift)
    return IndexStatus(
        name=record.name,
        physical=serving.name,
        state=state,
        documents=serving.statistics.documents,
        indexing_failures=record.own_failures(serving.statistics.failures),
        note=note,
    )


def _condition(serving: LiveIndex, drift: IndexDrift | None) -> tuple[str, str]:
    if drift is not None and drift.kinds != ("incomplete",):
        told = "; ".join(f"{change.address}: {change.reason}" for change in drift.changes)
        return ("hijacked" if "hijacked" in drift.kinds else "drifted"), told
    if serving.statistics.scan_error:
        return "building", f"the server gave up building it: {serving.statistics.scan_error}"
    if serving.statistics.indexing:
        return "building", f"{serving.statistics.percent:.0%} of the keys scanned"
    return "serving", ""


def _left_behind(world: World, standings: Sequence[Standing], *, running: bool) -> list[IndexStatus]:
    """Indexes of ours from which no name answers: of a change in phases, under construction, or of a killed run."""
    waiting = {one.new: ("ready", "its cutover leads the name to it") for one in standings if one.phase == "ready"}
    kept = {one.old: ("kept", "the old index") for one in standings if one.phase != "promoting"}
    usual = ("building", "an apply is at work on it") if running else ("left behind", LEFT)
    serving = {world.catalog.resolve(record.name) for record in world.state.records}
    recorded = {record.physical: record.name for record in world.state.records}
    own = {physical: name for physical, name in recorded.items() if physical in {**waiting, **kept}}
    made = {item.physical: item.name for item in world.state.intents if item.physical not in recorded}
    rows = []
    for physical, name in sorted({**own, **made}.items()):
        index = world.catalog.index(physical)
        if index is not None and physical not in serving:
            state, note = {**waiting, **kept}.get(physical, usual)
            rows.append(
                IndexStatus(
                    name=name,
                    physical=physical,
                    state=state,
                    documents=index.statistics.documents,
                    indexing_failures=index.statistics.failures,
                    note=note,
                )
            )
    return rows


def _next_step(
    world: World, drift: Drift, rows: list[IndexStatus], last: RunSummary | None, standings: Sequence[Standing]
) -> str:
    state = world.state
    if state.run is not None and last is not None and state.run.id == last.id:
        if last.result == "failed" or not state.run.finished:
            return _unfinished_words(last, state, rows, standings)
    elif state.run is not None and not state.run.finished:
        next_step = waiting_words(standings) or "run rvlstate apply, it goes on where that stopped."
        return f"a run was interrupted, and its report is lost: {next_step} {_search_words(rows)}"
    if drift.found and standings:
        return f"somebody changed indexes by hand: rvlstate drift shows what; {waiting_words(standings)}"
    if drift.found:
        return "somebody changed indexes by hand: rvlstate drift shows what, rvlstate plan shows how to undo it."
    if lost := forgotten(world):
        return f"{forgotten_words(lost)}."
    if not state.records:
        return "nothing is managed yet: rvlstate plan, or rvlstate import --all for indexes that exist already."
    if standings:
        return waiting_words(standings)
    if any(row.indexing_failures and not _expects_failures(row.name, state) for row in rows):
        return "some documents were refused by an index: FT.INFO <index> names the last one and why."
    return ""


def _unfinished_words(last: RunSummary, state: State, rows: list[IndexStatus], standings: Sequence[Standing]) -> str:
    """What to do about the run that holds the state and did not come to its end."""
    going_on = how_to_go_on(last, state, standings)
    if last.result != "failed":
        return f"{an_operation(last)} was interrupted: {going_on} {_search_words(rows)}"
    reason = last.error.splitlines()[0] if last.error else "see its report"
    told = f"the last {last.operation} failed: {reason}. rvlstate history {last.id} says more. {_search_words(rows)}"
    return told if last.operation == "apply" else f"{told} {going_on[0].upper()}{going_on[1:]}"


def _expects_failures(name: str, state: State) -> bool:
    """Whether documents in the old layout were seen, and refused, by the index that is or was built for the new one."""
    record = state.record(name)
    return record is not None and record.layout is not None


def _search_words(rows: list[IndexStatus]) -> str:
    down = sorted(row.name for row in rows if row.state in ("missing", "rebuilding"))
    if not down:
        return "Search is not affected."
    return f"Until then there is no search on {', '.join(down)}."
