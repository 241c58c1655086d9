"""Where an index stands that is being changed in phases: what answers, what is safe now, and what to run next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from rvlstate.model.rewrite import Phase, Rewrite
from rvlstate.plan.phases import companions, is_cut_over, is_led_back, present
from rvlstate.plan.situation import World

LOST: Mapping[Phase, str] = {
    "staging": "the state was lost while a change was prepared: what it left can only be taken back",
    "ready": "the state was lost while a change was prepared: what it left can only be taken back",
    "serving": "the state was lost behind the cutover of a change: it can only be taken back",
    "promoting": "the state was lost while copies took the place of documents, and nobody can tell what is to be done",
}
"""What is said of a change that was found by its copies alone, by its phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCommand:
    """A command that can be run now, its words behind `rvlstate`, and what comes of it."""

    words: tuple[str, ...]
    effect: str

    @property
    def text(self) -> str:
        """As it is typed."""
        return " ".join(("rvlstate", *self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One index under change: `summary` says its phase in plain words.

    `answers_from` is the physical index behind the name ("" for none), `also` are aliases of our own with the index
    that each leads to. `writers` and `queries` say who is served right now. `follows` tells whether somebody has to be
    at work for the new index to know what is written. The old index is kept until `kept_until` (ms since 1970, 0: not
    kept).
    """

    name: str
    phase: Phase
    summary: str
    answers_from: str
    new: str
    old: str
    writers: str
    queries: str
    follows: bool
    kept_until: int = 0
    also: tuple[tuple[str, str], ...] = ()
    commands: tuple[NextCommand, ...] = ()


def standings_of(world: World, retain_old: float) -> tuple[Standing, ...]:
    """Every index that is being changed in phases; `retain_old` is the policy, in seconds."""
    return tuple(
        _standing(_Seen(begun=begun, world=world), retain_old) for begun in world.state.rewrites if begun.phased
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A change that was begun, with what is there of it."""

    begun: Rewrite
    world: World

    @cached_property
    def rewrite(self) -> Rewrite:
        """As it stands."""
        return present(self.begun, self.world)

    @property
    def led_back(self) -> bool:
        """Whether somebody undid its cutover by hand."""
        return is_led_back(self.begun, self.world)

    @property
    def old_is_there(self) -> bool:
        """Whether the index that served before is live."""
        return self.world.catalog.index(self.begun.physical) is not None

    @property
    def answers(self) -> str | None:
        """The physical index from which the name answers now."""
        return self.world.catalog.resolve(self.begun.name)

    @property
    def also(self) -> tuple[tuple[str, str], ...]:
        """The aliases of our own that are there, each with the index that it leads to."""
        pairs = ((alias, self.world.catalog.targets.get(alias)) for alias in companions(self.begun.name))
        return tuple((alias, target) for alias, target in pairs if target)


def _standing(seen: _Seen, retain_old: float) -> Standing:
    rewrite = seen.rewrite
    serving = rewrite.phase == "serving"
    kept = round(rewrite.cutover_at + retain_old * 1000) if rewrite.cutover_at and retain_old else 0
    kept_until = kept if serving and seen.old_is_there else 0
    return Standing(
        name=rewrite.name,
        phase=rewrite.phase,
        summary=_summary(seen),
        answers_from=seen.answers or "",
        new=rewrite.serves_first,
        old=rewrite.physical,
        writers=_writers(rewrite),
        queries=_queries(seen),
        follows=rewrite.touches_documents and rewrite.phase in ("ready", "serving"),
        kept_until=kept_until,
        also=seen.also,
        commands=_commands(seen, over=kept_until <= seen.world.now),
    )


def _summary(seen: _Seen) -> str:
    rewrite = seen.rewrite
    first, old, silent = rewrite.serves_first, rewrite.physical, _silence(seen)
    if rewrite.is_lost:
        return f"{LOST[rewrite.phase]}{silent}"
    match rewrite.phase:
        case "staging":
            copies = "copies of its documents are made, and " if rewrite.strategy == "staged" else ""
            return f"being prepared: {copies}{first} is built beside {old}{silent}"
        case "ready":
            again = f" again: somebody led {rewrite.name} back to {old}" if seen.led_back else ""
            return f"{first} is built and verified, and waits for its cutover{again}{silent}"
        case "serving":
            return f"cut over to {first}{f', and {old} is kept' if seen.old_is_there else ''}{silent}"
        case "promoting":
            return f"cut over to {first}, and copies take the place of its documents{silent}"


def _silence(seen: _Seen) -> str:
    """That there is no search, and why; "" if there is."""
    if seen.answers:
        return ""
    gone = seen.rewrite.phase in ("staging", "ready") and not seen.old_is_there
    return f"; nothing answers to {seen.rewrite.name}: {seen.rewrite.physical if gone else 'its alias'} is gone"


def _writers(rewrite: Rewrite) -> str:
    if rewrite.is_lost:
        return "writers must stay as they are, since nobody knows what was being changed"
    if not rewrite.touches_documents:
        return "nothing changes for writers: both indexes follow them"
    if is_cut_over(rewrite):
        return "writers may use the old layout and the new one"
    return "writers may use the old layout, not yet the new one"


def _queries(seen: _Seen) -> str:
    (before, after), there = companions(seen.rewrite.name), dict(seen.also)
    if not seen.answers:
        return f"no query is answered{f' but by {before}' if before in there else ''}"
    if is_cut_over(seen.rewrite):
        return f"queries must be as for the new index{f' ({after} leads to the old index)' if after in there else ''}"
    return f"queries must be as before{f' ({before} leads to the new index)' if before in there else ''}"


def _commands(seen: _Seen, *, over: bool) -> tuple[NextCommand, ...]:
    rewrite = seen.rewrite
    name, first, old = rewrite.name, rewrite.serves_first, rewrite.physical
    late = "catches up with what was written, " if rewrite.touches_documents else ""
    again = "" if seen.old_is_there else f"builds the old index again, since {old} is gone, and "
    back = NextCommand(words=("rollback", name), effect=f"{again}takes the whole change back")
    if rewrite.is_lost:
        restored = NextCommand(words=("rollback", name), effect="puts original values back, where there is a backup")
        anew = NextCommand(words=("apply",), effect="removes what it left, and begins what is declared anew")
        return {"staging": (anew, back), "ready": (anew, back), "serving": (back,), "promoting": (restored,)}[
            rewrite.phase
        ]
    match rewrite.phase:
        case "staging":
            return (NextCommand(words=("apply",), effect="goes on with it"), back)
        case "ready":
            return (
                NextCommand(words=("cutover", name), effect=f"{late}verifies {first} again and leads {name} to it"),
                back,
            )
        case "serving":
            gives_up = "" if over or not seen.old_is_there else f"gives {old} up now and "
            led = f"leads {name} back to {old}" if seen.old_is_there else f"{again}leads {name} back to it"
            return (
                NextCommand(words=("complete", name), effect=f"{gives_up}brings the change to its end"),
                NextCommand(words=("rollback", name), effect=led),
            )
        case "promoting":
            return (NextCommand(words=("complete", name), effect="goes on and brings the change to its end"),)
