"""Deviations: in what one managed index differs from what was last applied, and of which kind each difference is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.diff.compare import compare
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.field import Value
from rvlstate.model.state import Record
from rvlstate.plan.judge import change_of
from rvlstate.plan.phases import is_cut_over
from rvlstate.plan.plan import Change
from rvlstate.plan.situation import Situation, World

Kind: TypeAlias = Literal["hijacked", "missing", "moved", "changed", "incomplete", "failing", "late", "unmanaged"]
KINDS: tuple[Kind, ...] = ("hijacked", "missing", "moved", "changed", "incomplete", "failing", "late", "unmanaged")
"""All kinds of drift, the gravest first; "unmanaged" is of the server, the others are of a managed index."""

BY_HAND: frozenset[Kind] = frozenset({"hijacked", "missing", "moved", "changed"})
"""What somebody did to an index or its names: a plan can undo it."""

MOVED = "the alias was moved by somebody else"
_NO_CHANGE = frozenset({"ready", "serving"})
"""Phases of a change in which everything stands still until somebody goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference between what was applied and what is live."""

    kind: Kind
    change: Change


def drift_of(situation: Situation, world: World) -> tuple[Change, ...]:
    """What others did by hand to an index and its names since it was last applied."""
    return tuple(finding.change for finding in done_by_hand(situation, world))


def done_by_hand(situation: Situation, world: World) -> tuple[Finding, ...]:
    """The same with its kinds."""
    record = situation.record
    if record is None or _is_at_work(situation, world):
        return ()
    serving = situation.serving
    named = _named(record, situation, world)
    aliases = _moved_aliases(record, serving.name if serving else None, world.catalog.targets)
    if serving is None or situation.definition is None or world.state.intent(serving.name) is not None:
        return (*named, *aliases)
    facts = compare(situation.wanted.name, record.definition, situation.definition).facts
    changed = [Finding(kind="changed", change=change_of(fact, None, "changed outside rvlstate")) for fact in facts]
    return (*named, *aliases, *changed)


def conditions_of(record: Record, world: World, *, touched: bool = False) -> tuple[Finding, ...]:
    """What is wrong with the index behind a name though nobody changed it: not whole, or refusing documents.

    Nobody may be applying. `touched`: somebody changed it by hand, so that the server scans its documents again.
    """
    serving = world.catalog.index(world.catalog.resolve(record.name) or "")
    if serving is None or serving.name != record.physical or world.state.rewrite(record.name) is not None:
        return ()
    incomplete = () if touched and not serving.statistics.scan_error else _incomplete(record.name, serving)
    return (*incomplete, *_failing(record, serving))


def _is_at_work(situation: Situation, world: World) -> bool:
    """Whether a change of ours is in the middle: then it is we who drop the index and move its name."""
    pending = situation.pending
    if pending is None or pending.strategy == "backfill":
        return False
    stands = pending.phased and pending.phase in _NO_CHANGE
    return not stands or (world.state.run is not None and not world.state.run.finished)


def _named(record: Record, situation: Situation, world: World) -> list[Finding]:
    """What is wrong with the index behind the name itself; at most one thing."""
    name, serving = situation.wanted.name, situation.serving
    if situation.hijacker is not None:
        return [_found("hijacked", situation, name, "a physical index of that name hides the alias")]
    if serving is None:
        return [_found("missing", situation, None, "the index was dropped by somebody else")]
    if situation.was_named is None and not situation.attached:
        target = situation.alias_target
        return [_found("moved", situation, target, MOVED if target is not None else "the alias is gone")]
    if serving.name == record.physical:
        return []
    if world.state.intent(serving.name) is None:
        kind: Kind = "hijacked" if serving.name == name else "moved"
        return [_found(kind, situation, serving.name, "another index answers to the name")]
    if _led_ahead(situation, world):
        return [_found("moved", situation, serving.name, "the cutover was made by somebody else, unverified")]
    return []


def _led_ahead(situation: Situation, world: World) -> bool:
    """Whether a name leads to the new index of a change that waits in front of its cutover, and no run was killed."""
    pending, run = situation.pending, world.state.run
    waits = pending is not None and pending.phased and not is_cut_over(pending)
    return waits and run is not None and run.finished


def _found(kind: Kind, situation: Situation, after: str | None, reason: str) -> Finding:
    before = situation.record.physical if situation.record else None
    return _finding(kind, f"{situation.wanted.name}.physical", before, after, reason)


def _moved_aliases(record: Record, serving: str | None, aliases: Mapping[str, str]) -> list[Finding]:
    """Further aliases that lead elsewhere than they were pointed to."""
    moved = [alias for alias in record.aliases if aliases.get(alias) not in (record.physical, serving)]
    return [
        _finding(
            "moved",
            f"{record.name}.aliases.{alias}",
            record.physical,
            aliases.get(alias),
            MOVED if alias in aliases else "the alias is gone",
        )
        for alias in moved
    ]


def _incomplete(name: str, serving: LiveIndex) -> list[Finding]:
    statistics = serving.statistics
    if statistics.scan_error:
        reason = f"the server gave up building it: {statistics.scan_error}"
    elif statistics.indexing or statistics.percent < 1:
        reason = "the server is still building it, and no apply is at work"
    else:
        return []
    return [_finding("incomplete", f"{name}.build", 1.0, min(round(statistics.percent, 2), 0.99), reason)]


def _failing(record: Record, serving: LiveIndex) -> list[Finding]:
    counted = serving.statistics.failures
    new = record.new_failures(counted)
    if not new:
        return []
    key = serving.statistics.last_error_key
    last = f"; the last one: {key}" if key else ""
    reason = f"documents were refused by the index since it was applied{last}"
    return [_finding("failing", f"{record.name}.failures", counted - new, counted, reason)]


def _finding(kind: Kind, address: str, before: Value, after: Value, reason: str) -> Finding:
    change = Change(address=address, before=before, after=after, classification=None, reason=reason)
    return Finding(kind=kind, change=change)
