"""A change in phases as text: where it stands, what is safe now, and the exact next commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rvlstate.plan.standing import Standing
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.runtime.status import ChangeStatus


def write_change(paper: Paper, change: ChangeStatus, offer: Offer) -> None:
    """Everything about one change."""
    standing = change.standing
    paper.line(Cell(text=printable(standing.name), style="bold"), f"  {printable(standing.summary)}")
    rows = [("answers from", standing.answers_from or "nothing"), *_aliases(standing), ("safe now", _safe(standing))]
    rows += [("kept up to date", text) for text in [_followed(change, offer)] if text]
    rows += [("kept until", change.kept_until)] if change.kept_until else []
    paper.rows([(Cell(text=label, style="dim"), Cell(text=printable(text))) for label, text in rows])
    write_commands(paper, standing, offer)
    paper.blank()


def write_commands(paper: Paper, standing: Standing, offer: Offer) -> None:
    """The commands that may come next, each with what comes of it."""
    paper.rows(
        [
            (Cell(text=printable(offer.command(*command.words)), style="bold"), Cell(text=printable(command.effect)))
            for command in standing.commands
        ]
    )


def write_waits(paper: Paper, waits: tuple[Standing, ...], offer: Offer) -> None:
    """What a run left in front of its end, and how to go on."""
    for standing in waits:
        paper.blank()
        paper.line(
            Cell(text="Waiting: ", style="bold yellow"), f"{printable(standing.name)}: {printable(standing.summary)}"
        )
        write_commands(paper, standing, offer)


def _aliases(standing: Standing) -> list[tuple[str, str]]:
    return [("alias", f"{alias} -> {target}") for alias, target in standing.also]


def _safe(standing: Standing) -> str:
    return f"{standing.writers}; {standing.queries}"


def _followed(change: ChangeStatus, offer: Offer) -> str:
    """Whether the new index learns what is written; "" where the server itself sees to that."""
    standing = change.standing
    if not standing.follows:
        return ""
    if change.followed_by:
        return f"by {change.followed_by}"
    since = f"not since {change.followed_until}" if change.followed_until else "not now"
    return f"{since}; {offer.command('watch', standing.name)} does so until it is stopped"
