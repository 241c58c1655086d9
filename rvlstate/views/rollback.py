"""What a rollback would do, and what it did, as text and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rvlstate.plan.effects import Restored
from rvlstate.plan.rollback_plan import Proposal, Retreat
from rvlstate.views.paper import Cell, Paper
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import about, count, number, size, stopwatch
from rvlstate.views.untrusted import printable

if TYPE_CHECKING:
    from rvlstate.runtime.outcome import Report

TOLD = (
    ("documents_restored", "restored"),
    ("documents_as_before", "as before already"),
    ("documents_written_since", "written since, left as they are"),
    ("documents_gone", "gone, left so"),
    ("backup_rows_damaged", "rows of the backup damaged"),
)
"""Figures of the step that restores, and how they are told."""


PHASES = {
    "staging": "it is being prepared: the old index answers, and no document was touched",
    "ready": "its new index is ready and answers nobody yet; no document was touched",
    "serving": "it is cut over: the new index answers, and no document was touched",
}


def write_proposal(paper: Paper, proposal: Proposal | Retreat) -> None:
    """What will come back, what newer writes mean, whether search stops; then the steps."""
    if isinstance(proposal, Retreat):
        _write_retreat(paper, proposal)
    else:
        _write_restoration(paper, proposal)
    paper.blank()
    paper.rows(
        [(Cell(text=f"  {step.id}"), Cell(text=printable(step.operation.summary))) for step in proposal.plan.steps]
    )


def _write_retreat(paper: Paper, retreat: Retreat) -> None:
    rewrite = retreat.rewrite
    name = printable(rewrite.name)
    paper.line(Cell(text=f"~ {name}", style="bold"), f"  back to before {printable(rewrite.id)}")
    paper.paragraph(f"The change stands so: {PHASES[rewrite.phase]}.", first="  ", rest="    ")
    if rewrite.strategy == "staged":
        paper.paragraph("The copies of its documents are removed.", first="  ", rest="    ")
    newer = _newer(retreat)
    if newer:
        paper.paragraph(newer, style="yellow", first="  ! ", rest="    ")
    paper.paragraph(_answering(retreat), first="  ", rest="    ")


def _answering(retreat: Retreat) -> str:
    """What answers on the way back."""
    name, old = printable(retreat.rewrite.name), printable(retreat.rewrite.physical)
    answers = retreat.world.catalog.resolve(retreat.rewrite.name)
    if retreat.rebuilds:
        until = "the new index goes on answering" if answers else f"nothing answers to {name}, as now"
        return f"{old} is gone and is built again, {about(retreat.seconds)}; until then {until}."
    if not answers:
        return f"Nothing answers to {name} now: its alias is gone, and leads to {old} again."
    return f"{name} goes on answering all the while, from {old} in the end."


def _newer(retreat: Retreat) -> str:
    """What documents in the new layout mean, if there may be any."""
    rewrite = retreat.rewrite
    fate = "which the old index does not find as they are meant; they stay as they are"
    if retreat.newer is None and rewrite.phase == "serving" and (rewrite.touches_documents or rewrite.is_lost):
        return f"There may be documents that were written in the new layout since, {fate}."
    if retreat.newer:
        return f"About {count(retreat.newer, 'document')} in the new layout, {fate}."
    return ""


def _write_restoration(paper: Paper, proposal: Proposal) -> None:
    rewrite = proposal.rollback.rewrite
    paper.line(
        Cell(text=f"~ {printable(rewrite.name)}", style="bold"),
        f"  back to before {printable(rewrite.id)}, of {printable(proposal.created_at or 'an unknown time')}",
    )
    paper.paragraph(
        f"{count(proposal.rows, 'original')} in {printable(proposal.rollback.backup)} ({size(proposal.bytes)})",
        first="  ",
        rest="    ",
    )
    if proposal.damaged:
        paper.paragraph(
            f"{count(proposal.damaged, 'original')} cannot be read: these documents stay as they are",
            style="red",
            first="  ! ",
            rest="    ",
        )
    paper.paragraph(_sampled(proposal.sample), first="  ", rest="    ")
    paper.paragraph(
        "Documents that were written in the new layout since, or are new, stay as they are, and the old index does not "
        "find them; what was deleted stays deleted.",
        first="  ",
        rest="    ",
    )
    paper.paragraph(_downtime(proposal), style="yellow", first="  ! ", rest="    ")


def proposal_data(proposal: Proposal | Retreat) -> dict[str, Any]:
    """The same as JSON-like data."""
    if isinstance(proposal, Retreat):
        return {
            "index": proposal.rewrite.name,
            "rewrite": proposal.rewrite.id,
            "phase": proposal.rewrite.phase,
            "newer_documents": proposal.newer,
            "rebuilds": proposal.rebuilds,
            "estimated_seconds": proposal.seconds,
            "search_downtime": False,
            "steps": [step.operation.summary for step in proposal.plan.steps],
        }
    return {
        "index": proposal.rollback.name,
        "rewrite": proposal.rollback.rewrite.id,
        "backup": proposal.rollback.backup,
        "created_at": proposal.created_at,
        "originals": proposal.rows,
        "damaged": proposal.damaged,
        "bytes": proposal.bytes,
        "sample": asdict(proposal.sample),
        "estimated_seconds": proposal.seconds,
        "search_downtime": not proposal.searchable,
        "steps": [step.operation.summary for step in proposal.plan.steps],
    }


def write_rolled_back(paper: Paper, report: Report, offer: Offer, notes: tuple[str, ...]) -> None:
    """What came of it, and what the next plan will say; `notes` are what the steps told last."""
    figures = {name: value for step in report.steps for name, value in step.figures.items()}
    rows = [
        (Cell(text=f"  {number(round(figures[name]))}"), Cell(text=words)) for name, words in TOLD if figures.get(name)
    ]
    paper.rows(rows)
    for note in notes:
        paper.paragraph(printable(note), first="  ", rest="    ")
    if rows:
        paper.blank()
    paper.line(
        Cell(text=f"Rolled back in {stopwatch(report.seconds)}", style="bold green"),
        f"  (run {report.run})",
    )
    paper.paragraph(
        f"The declared change is pending again: {offer.command('plan')} shows it. Declare the index as it was, or the "
        "next apply carries the change out once more."
    )


def _sampled(sample: Restored) -> str:
    """What would come of the sampled documents."""
    seen = sample.restored + sample.as_before + sample.newer + sample.gone
    if not seen:
        return "There is no document to look at."
    parts = [f"{number(sample.restored)} hold what was written and would be restored"]
    parts += [f"{number(sample.as_before)} are as before already"] if sample.as_before else []
    parts += [f"{number(sample.newer)} were written since"] if sample.newer else []
    parts += [f"{number(sample.gone)} are gone"] if sample.gone else []
    return f"Of {count(seen, 'sampled document')} {', '.join(parts)}."


def _downtime(proposal: Proposal) -> str:
    name = printable(proposal.rollback.name)
    if proposal.searchable:
        return f"{name} goes on answering; {about(proposal.seconds)}."
    return f"{name} answers nothing from the drop until the old index is built again: {about(proposal.seconds)}."
