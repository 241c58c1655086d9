"""Changes that go through phases: begun, gone on with, given up; and until when an old index is kept."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.canonical import canonicalise
from rvlstate.model.desired import Policy
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.documents import DocumentWork
from rvlstate.plan.promotion import promotion_of, stage_prefix
from rvlstate.plan.situation import Situation, World, next_physical

SUFFIXES = (".next", ".prev")


def companions(name: str) -> tuple[str, str]:
    """The aliases to the new index before its cutover, and to the old one behind it."""
    return f"{name}{SUFFIXES[0]}", f"{name}{SUFFIXES[1]}"


def goes_by_phases(situation: Situation, policy: Policy) -> bool:
    """Whether a new index stops at its cutover, or the old one is kept behind it."""
    return situation.wanted.cutover == "manual" or keeps_old(situation, policy) > 0


def keeps_old(situation: Situation, policy: Policy) -> float:
    """For how many seconds the old index is kept; a physical one goes at the cutover that takes its name."""
    return 0.0 if situation.name_is_physical else policy.retain_old


def staged(rewrite: Rewrite, work: DocumentWork, situation: Situation, world: World) -> Rewrite:
    """The rewrite as a staged one: with its promotion, its place for copies, and its indexes."""
    promotion, _ = promotion_of(work)
    twice = promotion == "write_back"
    first = next_physical(situation.wanted.name, world)
    return replace(
        rewrite,
        strategy="staged",
        promotion=promotion,
        stage="" if promotion == "new_prefix" else stage_prefix(world.project, rewrite.id),
        interim=first if twice else "",
        target=next_physical(situation.wanted.name, world, ahead=2) if twice else first,
    )


def present(pending: Rewrite, world: World) -> Rewrite:
    """A begun change as it is: a run that was killed may have made its cutover without writing that down.

    A name that somebody led back to the old index waits for its cutover again: whatever serves must not be given up. A
    new index that was there and is gone, since it failed its gate later or was dropped by hand, is built again.
    """
    built = world.catalog.index(pending.serves_first) is not None
    if built and world.catalog.resolve(pending.name) == pending.serves_first and not is_cut_over(pending):
        return replace(pending, phase="serving")
    if is_led_back(pending, world):
        pending = replace(pending, phase="ready", cutover_at=0)
    gone = not built and pending.phase in ("ready", "serving")
    return replace(pending, phase="staging", cutover_at=0) if gone else pending


def is_led_back(pending: Rewrite, world: World) -> bool:
    """Whether somebody led the name back to the old index by hand, behind the cutover."""
    return pending.phase == "serving" and world.catalog.resolve(pending.name) == pending.physical


def is_cut_over(rewrite: Rewrite) -> bool:
    """Whether the name answers from the new index."""
    return rewrite.phase in ("serving", "promoting")


def keeps_for(rewrite: Rewrite, situation: Situation, policy: Policy, world: World) -> float:
    """For how many seconds more the old index is to be kept; 0 where it is gone or its time is over."""
    kept = 0.0 if world.catalog.index(rewrite.physical) is None else keeps_old(situation, policy)
    if not is_cut_over(rewrite) or not rewrite.cutover_at:
        return kept
    return max(kept - max(world.now - rewrite.cutover_at, 0) / 1000, 0.0)


def leads_to(rewrite: Rewrite, situation: Situation) -> bool:
    """Whether a begun change leads to what is declared."""
    return canonicalise(situation.wanted.definition) == rewrite.after


def lost_words(rewrite: Rewrite) -> str:
    """What can be done behind the cutover of a change of which nothing is known but its copies."""
    lost = "the state was lost in the middle of a change, and what is to be done to its documents is not known any more"
    if rewrite.phase in ("staging", "ready"):
        return f"{lost}: rvlstate rollback {rewrite.name} removes what it left, and rvlstate apply begins anew"
    if rewrite.phase == "serving":
        return f"{lost}: go back with rvlstate rollback {rewrite.name}; then plan anew"
    return (
        f"{lost}; {rewrite.serves_first} serves copies under {rewrite.stage} beside documents, so nothing is removed: "
        f"rvlstate rollback {rewrite.name} puts the original values of a backup back where there is one; else restore "
        "the state from a backup of the server"
    )


def must_end_first(rewrite: Rewrite) -> str:
    """Why nothing else can be done about an index that is in the middle of a change."""
    name = rewrite.name
    if rewrite.is_lost:
        return f"{name}: {lost_words(rewrite)}"
    if rewrite.phase == "serving":
        return (
            f"{name}: an earlier change has made its cutover and is not complete, and another definition is declared "
            f"now: go back with rvlstate rollback {name}, or declare that one again and finish it with rvlstate "
            f"complete {name}; then plan this one"
        )
    return (
        f"{name}: the documents of an earlier change are being put in place, and another definition is declared now: "
        f"declare that one again and finish it with rvlstate complete {name}; then plan this one"
    )
