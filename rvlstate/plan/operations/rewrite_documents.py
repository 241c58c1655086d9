"""Rewrite documents in place: passes over all of them until one finds nothing, or next to nothing, to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Catalog, LiveIndex
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Intent, State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.commands import INSPECTING, rewriting
from rvlstate.plan.effects import FULL_SPEED, Flow, Pace, Report, Sweep, Tally, look, send
from rvlstate.plan.members import members_definition
from rvlstate.plan.operations.await_build import AwaitBuild
from rvlstate.plan.operations.base import Defaults
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.reading import looks_like

MOST_PASSES = 20
"""Writers may keep a pass that finds nothing from coming."""

NEXT_TO_NOTHING = 0.001
"""Share of the documents from which on the rest is left to the passes after the index serves again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteDocuments(Defaults):
    """Bring every document of `rewrite` into the layout of its `after`, guarded against every newer write.

    `members` is the index that tells which documents its filter lets in, "" if there is no filter; it is made here
    when it is the rewrite's own. `begun`: an earlier run may have come some way, and the first pass goes on there.

    A pass is followed by another one unless it began at the beginning and met no writer: what comes late is found by
    the passes that follow when the index serves again, and search is down for one pass less.
    """

    operation: Literal["rewrite_documents"] = "rewrite_documents"
    name: str
    rewrite: Rewrite
    pace: Pace = FULL_SPEED
    backup: str = ""
    max_bad_rows: int = 0
    members: str = ""
    begun: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        return f"rewrite the documents of {self.name}: {work_words(self.rewrite)}"

    @property
    def undo(self) -> str:
        """How to undo it."""
        if self.rewrite.strategy == "backfill":
            return "nothing to undo: no index that serves reads what is added"
        if self.backup:
            return f"rvlstate rollback {self.name} (original values are kept in {self.backup})"
        return "not possible: the original values are not kept (indexes.<name>.backup keeps them)"

    @property
    def reversible(self) -> bool:
        """What is added does no harm; what is changed comes back from a backup only, if there is one."""
        return self.rewrite.strategy == "backfill"

    @property
    def commands(self) -> tuple[str, ...]:
        """In words: the keys are not known beforehand."""
        return (f"EVALSHA ... for each document: {work_words(self.rewrite)}",)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of the commands."""
        return (*INSPECTING, *rewriting(self.rewrite))

    def effect(self, catalog: Catalog) -> Catalog:
        """An index that knows the filter is there, until the documents are settled."""
        return with_members(catalog, self.rewrite, self.members)

    def intend(self, state: State) -> State:
        """An index that knows the filter is ours, should it be left behind."""
        return with_members_intent(state, self.rewrite, self.members)

    def flow(self) -> Flow:
        """Pass after pass; each one does only what is missing."""
        yield from ensure_members(self.rewrite, self.members)
        total = Tally()
        for number in range(1, MOST_PASSES + 1):
            tally: Tally = yield Sweep(
                rewrite=self.rewrite,
                mode="write",
                pace=self.pace,
                members=self.members,
                backup=self.backup,
                resume=self.begun and number == 1,
                max_bad_rows=self.max_bad_rows,
            )
            total = added(total, tally)
            yield Report(_note(total, number), done=tally.seen, total=tally.seen, figures=figures_of(total))
            undisturbed = number == 1 and not self.begun and not tally.moved_on and not tally.gone
            found_little = tally.unsettled <= tally.seen * NEXT_TO_NOTHING and (number > 1 or not self.begun)
            if undisturbed or found_little:
                return


def with_members(catalog: Catalog, rewrite: Rewrite, members: str) -> Catalog:
    """The catalog with the index that knows the filter, if that is the rewrite's own."""
    if members != rewrite.members:
        return catalog
    return catalog.with_index(LiveIndex(name=members, definition=mask(members_definition(rewrite.before))))


def with_members_intent(state: State, rewrite: Rewrite, members: str) -> State:
    """The state that knows this index as ours, should it be left behind."""
    if members != rewrite.members:
        return state
    definition = members_definition(rewrite.before)
    return state.with_intent(Intent(physical=members, name=rewrite.name, definition=definition))


def count_old_failures(rewrite: Rewrite) -> Flow:
    """Documents in the old layout failed in an index with their copies: the server never forgets such counts."""
    if rewrite.strategy != "staged":
        return
    serving = yield from look(rewrite.target)
    if serving is not None and serving.statistics.failures:
        yield Report("", figures={"old_layout_failures": float(serving.statistics.failures)})


def ensure_members(rewrite: Rewrite, members: str) -> Flow:
    """Make the index that tells which documents the filter of the old one lets in, and wait until it is built.

    Nothing where `members` is another index, or "". One of that name with another filter is what a change left behind
    of which nothing is known any more.
    """
    if members != rewrite.members:
        return
    wanted = members_definition(rewrite.before)
    seen = yield from look(rewrite.members)
    if seen is not None and not looks_like(seen.definition, wanted):
        yield from DropIndex(physical=rewrite.members, because="left_behind", atomic=False).flow()
        seen = None
    if seen is None:
        yield from send(*create_arguments(rewrite.members, wanted))
    yield from AwaitBuild(name=rewrite.name, physical=rewrite.members).own_build()


def added(one: Tally, other: Tally) -> Tally:
    """What two passes found, taken together: what the last one saw, and all that both wrote."""
    return replace(
        other,
        written=one.written + other.written,
        promoted=one.promoted + other.promoted,
        dropped=one.dropped + other.dropped,
        hints=one.hints + other.hints,
        unhinted=one.unhinted + other.unhinted,
        bytes_read=one.bytes_read + other.bytes_read,
        bytes_written=one.bytes_written + other.bytes_written,
        saturated=one.saturated + other.saturated,
        seconds=one.seconds + other.seconds,
    )


def figures_of(tally: Tally) -> dict[str, float]:
    """A tally as figures of the run report; those of staging only where there are any."""
    staged = {
        "documents_promoted": float(tally.promoted),
        "copies_removed": float(tally.dropped),
        "hints_received": float(tally.hints),
        "written_without_hint": float(tally.unhinted),
        "documents_ambiguous": float(tally.ambiguous),
    }
    return {
        **{name: value for name, value in staged.items() if value},
        "documents_seen": float(tally.seen),
        "documents_written": float(tally.written),
        "documents_done": float(tally.done),
        "documents_excluded": float(tally.excluded),
        "documents_gone": float(tally.gone),
        "documents_bad": float(tally.bad),
        "keys_of_other_types": float(tally.foreign),
        "values_saturated": float(tally.saturated),
        "bytes_read": float(tally.bytes_read),
        "bytes_written": float(tally.bytes_written),
        "seconds_rewriting": round(tally.seconds, 3),
    }


def work_words(rewrite: Rewrite) -> str:
    """What happens to each document, in a few words."""
    words = [f"{rewrite.before.storage} -> {rewrite.after.storage}"] if rewrite.changes_storage else []
    words += [f"keys {old}... -> {new}..." for old, new in rewrite.moves]
    for field in rewrite.fields:
        steps = ", ".join(getattr(step, "function", step.kind) for step in field.steps)
        scales = [f"{step.scale:.6g}" for step in field.steps if step.kind == "cast" and step.scale is not None]
        words.append(f"{field.field} by {steps}" + (f" (value = integer x {scales[0]})" if scales else ""))
    return "; ".join(words)


def left_words(tally: Tally) -> str:
    """What is said of documents in which nothing told which of two values is meant; "" if there are none."""
    if not tally.ambiguous:
        return ""
    return f"; {tally.ambiguous:,} hold another value under the old name of a field as well, and keep both"


def _note(tally: Tally, passes: int) -> str:
    bad = f"; {tally.bad:,} left as they are" if tally.bad else ""
    told = "one pass" if passes == 1 else f"{passes} passes"
    return f"{tally.written:,} documents written in {told}{bad}{left_words(tally)}"
