"""Where an index stands that is being changed in phases: what answers, what is safe now, and what to run next."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.model.rewrite import Phase, Rewrite
from rvlstate.plan.phases import companions, is_cut_over, present
from rvlstate.plan.situation import World


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
    begun = [present(rewrite, world) for rewrite in world.state.rewrites if rewrite.phased]
    return tuple(_standing(rewrite, world, retain_old) for rewrite in begun)


def _standing(rewrite: Rewrite, world: World, retain_old: float) -> Standing:
    name, old = rewrite.name, world.catalog.index(rewrite.physical)
    kept = round(rewrite.cutover_at + retain_old * 1000) if old and rewrite.cutover_at and retain_old else 0
    kept_until = kept if rewrite.phase == "serving" else 0
    return Standing(
        name=name,
        phase=rewrite.phase,
        summary=_summary(rewrite, kept=bool(old) and rewrite.phase == "serving"),
        answers_from=world.catalog.resolve(name) or "",
        new=rewrite.serves_first,
        old=rewrite.physical,
        writers=_writers(rewrite),
        queries=_queries(rewrite),
        follows=rewrite.touches_documents and rewrite.phase in ("ready", "serving"),
        kept_until=kept_until,
        also=tuple((alias, target) for alias in companions(name) if (target := world.catalog.targets.get(alias))),
        commands=_commands(rewrite, over=kept_until <= world.now),
    )


def _summary(rewrite: Rewrite, *, kept: bool) -> str:
    copies = "copies of its documents are made, and " if rewrite.strategy == "staged" else ""
    match rewrite.phase:
        case "staging":
            return f"being prepared: {copies}{rewrite.serves_first} is built beside {rewrite.physical}"
        case "ready":
            return f"{rewrite.serves_first} is built and verified, and waits for its cutover"
        case "serving":
            return f"cut over to {rewrite.serves_first}{f', and {rewrite.physical} is kept' if kept else ''}"
        case "promoting":
            return f"cut over to {rewrite.serves_first}, and copies take the place of its documents"


def _writers(rewrite: Rewrite) -> str:
    if not rewrite.touches_documents:
        return "nothing changes for writers: both indexes follow them"
    if is_cut_over(rewrite):
        return "writers may use the old layout and the new one"
    return "writers may use the old layout, not yet the new one"


def _queries(rewrite: Rewrite) -> str:
    before, after = companions(rewrite.name)
    if is_cut_over(rewrite):
        kept = f" ({after} leads to the old index)" if rewrite.phase == "serving" else ""
        return f"queries must be as for the new index{kept}"
    return f"queries must be as before{f' ({before} leads to the new index)' if rewrite.phase == 'ready' else ''}"


def _commands(rewrite: Rewrite, *, over: bool) -> tuple[NextCommand, ...]:
    name, first, old = rewrite.name, rewrite.serves_first, rewrite.physical
    late = "catches up with what was written, " if rewrite.touches_documents else ""
    back = NextCommand(words=("rollback", name), effect="takes the whole change back")
    match rewrite.phase:
        case "staging":
            return (NextCommand(words=("apply",), effect="goes on with it"), back)
        case "ready":
            return (
                NextCommand(words=("cutover", name), effect=f"{late}verifies {first} again and leads {name} to it"),
                back,
            )
        case "serving":
            ends = "brings the change to its end" if over else f"gives {old} up now and brings the change to its end"
            return (
                NextCommand(words=("complete", name), effect=ends),
                NextCommand(words=("rollback", name), effect=f"leads {name} back to {old}"),
            )
        case "promoting":
            return (NextCommand(words=("complete", name), effect="goes on and brings the change to its end"),)
