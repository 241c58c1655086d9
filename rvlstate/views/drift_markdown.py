"""Drift as markdown, for an issue or a comment that a scheduled job writes: within its limit whatever there is."""

from __future__ import annotations

import re

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.views.drift_words import (
    KEEP,
    can_be_kept,
    headline,
    kind_rows,
    kind_words,
    lines_of_drift,
    next_commands,
)
from rvlstate.views.markdown import code, fence, prose, table
from rvlstate.views.markdown_room import Room
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import count, number
from rvlstate.views.untrusted import lines_of

MOST_CHARACTERS = 64_000
"""GitHub takes 65,536 characters of a body; what posts it adds a marker of its own."""

NAMES_SHOWN = 50
_LINK = re.compile(r"https?://[\w.:/?=&%+~-]{1,500}(?:#[\w-]*)?")


def render_drift(drift: Drift, offer: Offer | None = None, *, job_url: str = "", most: int = MOST_CHARACTERS) -> str:
    """All drift, or as much as fits into `most` characters: what is left out is counted, with where to see it."""
    told = offer or Offer()
    room = Room(left=most - 800)  # for what is said about what is missing
    head = _head(drift, told)
    room.reserve(head)
    tail = [*_interrupted(drift, room), *_waiting(drift, told, room), *_next(drift, told, room), *_unmanaged(drift)]
    room.reserve(_unmanaged(drift))
    details = _details(drift, room)
    missing = [_missing(room.missing, told, job_url), ""] if room.missing else []
    return "\n".join([*head, *details, *missing, *tail]).rstrip("\n") + "\n"


def _head(drift: Drift, offer: Offer) -> list[str]:
    lines = [f"### rvlstate drift: {code(drift.project)}", "", f"**{headline(drift)}**", ""]
    if offer.server:
        lines += [f"_on {prose(offer.server)}_", ""]
    if drift.in_progress:
        lines += [*fence(lines_of(drift.in_progress)[:10]), ""]
    rows = kind_rows(drift)
    return [*lines, *table(("kind", "indexes", "means"), rows), ""] if rows else lines


def _details(drift: Drift, room: Room) -> list[str]:
    blocks = [_block(index) for index in drift.indexes]
    lines, left_out = room.take(blocks)
    if left_out:
        room.missing.append(f"what drifted about {count(left_out, 'index', 'indexes')}")
    return lines


def _block(index: IndexDrift) -> list[str]:
    changed = [f"{line.symbol.replace('~', '!')} {line.subject}  {line.value}" for line in lines_of_drift(index)]
    lines = [f"**{code(index.name)}** ({code(index.physical)}): {kind_words(index)}", "", *fence(changed, "diff"), ""]
    return [*lines, *(f"- {prose(note)}" for note in index.notes), *([""] if index.notes else [])]


def _interrupted(drift: Drift, room: Room) -> list[str]:
    lines = [f"> {prose(drift.interrupted)}", ""] if drift.interrupted else []
    room.reserve(lines)
    return lines


def _waiting(drift: Drift, offer: Offer, room: Room) -> list[str]:
    blocks = [
        [
            f"- {code(standing.name)}: {prose(standing.summary)}: "
            + " or ".join(code(offer.command(*command.words)) for command in standing.commands)
        ]
        for standing in drift.waits
    ]
    frame = ["**Waiting, which is no drift**", "", ""]
    lines, left_out = room.take(blocks, share=0.2, frame=frame)
    if left_out:
        room.missing.append(f"{number(left_out)} changes that wait")
    return [*frame[:2], *lines, ""] if lines else []


def _next(drift: Drift, offer: Offer, room: Room) -> list[str]:
    blocks = [[f"- {code(command)} {prose(effect)}"] for command, effect in next_commands(drift, offer)]
    kept = [KEEP, ""] if can_be_kept(drift) else []
    room.reserve(kept)
    frame = ["**Next**", "", ""]
    lines, left_out = room.take(blocks, share=0.2, frame=frame)
    if left_out:
        room.missing.append(f"{number(left_out)} commands")
    return [*([*frame[:2], *lines, ""] if lines else []), *kept]


def _unmanaged(drift: Drift) -> list[str]:
    if not drift.unmanaged:
        return []
    more = len(drift.unmanaged) - NAMES_SHOWN
    names = ", ".join(code(name) for name in drift.unmanaged[:NAMES_SHOWN])
    return [f"Not managed: {names}{f' and {number(more)} more' if more > 0 else ''}"]


def _missing(missing: list[str], offer: Offer, job_url: str) -> str:
    where = f"{code(offer.command('drift'))} shows all of it"
    if job_url:
        where += f"; [the CI job]({job_url}) looked" if _LINK.fullmatch(job_url) else f"; {code(job_url)} looked"
    return f"_Left out for length: {', '.join(missing)}._ {where}."
