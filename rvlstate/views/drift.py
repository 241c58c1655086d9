"""Drift as text: what others changed on the server since it was last applied, what it means, and what to do."""

from __future__ import annotations

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.views.drift_words import (
    IN_PROGRESS,
    KEEP,
    can_be_kept,
    headline,
    kind_rows,
    kind_words,
    lines_of_drift,
    next_commands,
)
from rvlstate.views.index_block import write_change_lines
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer, unmanaged_words
from rvlstate.views.standing import write_waits
from rvlstate.views.untrusted import lines_of, printable


def write_drift(paper: Paper, drift: Drift, offer: Offer) -> None:
    """All drift, and what can be done about it."""
    paper.line(Cell(text=f"Project {printable(drift.project)} on {printable(offer.server)}", style="dim"))
    paper.blank()
    for index in drift.indexes:
        _write_index(paper, index)
    if drift.in_progress:
        paper.line(Cell(text=IN_PROGRESS, style="bold yellow"))
        for line in lines_of(drift.in_progress):
            paper.line(f"  {line}")
    else:
        paper.line(Cell(text=headline(drift), style="bold" if drift.found else "bold green"))
    if drift.interrupted:
        paper.paragraph(printable(drift.interrupted), style="yellow", first="! ", rest="  ")
    if drift.found:
        _write_next(paper, drift, offer)
    if drift.waits:
        write_waits(paper, drift.waits, offer)
        paper.blank()
    if drift.unmanaged:
        words = unmanaged_words(drift.unmanaged, offer)
        paper.line(words.label, printable(words.text), printable(words.command))


def _write_index(paper: Paper, index: IndexDrift) -> None:
    about = ", ".join(part for part in (printable(index.physical), kind_words(index)) if part)
    paper.line(Cell(text=f"~ {printable(index.name)}", style="bold magenta"), f"  ({about})")
    write_change_lines(paper, lines_of_drift(index))
    for note in index.notes:
        paper.paragraph(printable(note), style="cyan", first="  note: ", rest="    ")
    paper.blank()


def _write_next(paper: Paper, drift: Drift, offer: Offer) -> None:
    """What the kinds mean, and the commands that lead on."""
    paper.rows([(Cell(text=title), Cell(text=many), Cell(text=means)) for title, many, means in kind_rows(drift)])
    commands = next_commands(drift, offer)
    if commands:
        paper.line("Next:")
        paper.rows([(Cell(text=printable(line), style="bold"), Cell(text=printable(told))) for line, told in commands])
    if can_be_kept(drift):
        paper.line(KEEP)
