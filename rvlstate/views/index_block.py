"""One index of a plan as text: a header, its lines, what speaks against it, what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rvlstate.model.definition import IndexDefinition
from rvlstate.plan.plan import IndexPlan
from rvlstate.views.change_lines import ChangeLine, Tone, change_lines, created_lines, physical_words
from rvlstate.views.impact_words import basis_words, impact_words
from rvlstate.views.paper import NO_BREAK, Cell, Paper
from rvlstate.views.plan_words import is_held_back
from rvlstate.views.quantities import count, number
from rvlstate.views.untrusted import printable

STYLES: dict[Tone, str] = {
    "add": "green",
    "change": "yellow",
    "remove": "red",
    "drift": "magenta",
    "refused": "bold red",
    "idle": "dim",
}
HEADS = {
    "create": ("+", "bold green"),
    "update": ("~", "bold yellow"),
    "delete": ("-", "bold red"),
    "adopt": ("=", "bold cyan"),
    "no-op": (".", "bold"),
}
NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A marked sentence below the lines of an index; `mark` says what it is about, "" if it goes on."""

    mark: str
    text: str
    style: str = ""


def write_index(paper: Paper, index: IndexPlan, created: IndexDefinition | None) -> None:
    """Everything that a person should know about one index before it is changed."""
    write_head(paper, index)
    lines = (*change_lines(index), *(created_lines(created) if created else ()))
    write_change_lines(paper, lines)
    for remark in remarks(index, lines):
        write_remark(paper, remark)


def write_remark(paper: Paper, remark: Remark) -> None:
    """One remark, hanging below its mark."""
    paper.paragraph(remark.text, style=remark.style, first=f"  {remark.mark} ", rest="    ")


def write_head(paper: Paper, index: IndexPlan) -> None:
    """`~ products  (products@1, 1.2M documents, 3 fields)`."""
    symbol, style = ("x", "bold red") if is_held_back(index) else HEADS[index.action]
    about = ", ".join(part for part in _facts(index) if part)
    paper.words(
        Cell(text=f"{symbol} {printable(index.name)}", style=style), Cell(text=f"  ({about})", style="dim"), hang=4
    )


def write_change_lines(paper: Paper, lines: Iterable[ChangeLine]) -> None:
    """Lines in columns: symbol and subject, value, verdict."""
    paper.rows(
        [
            (
                Cell(text=f"{line.symbol} {line.subject}", style=STYLES[line.tone]),
                Cell(text=line.value),
                Cell(text=line.verdict, style=STYLES[line.tone] if line.tone in ("refused", "drift") else "dim"),
            )
            for line in lines
        ]
    )


def remarks(index: IndexPlan, lines: Iterable[ChangeLine] = ()) -> tuple[Remark, ...]:
    """Hazards, notes, what is refused or waits for somebody, what cannot be verified, and the impact."""
    verdicts = {line.verdict for line in lines}
    return (
        *(Remark(mark="!", text=f"{h.code}  {printable(h.message)}", style="yellow") for h in index.hazards),
        *(Remark(mark="note:", text=printable(note), style="cyan") for note in index.notes),
        *(Remark(mark="x", text=f"refused: {text}", style="bold red") for text in refusals(index, verdicts)),
        *(Remark(mark="waiting:", text=text, style="bold yellow") for text in holds(index)),
        *(Remark(mark="?", text=text, style="dim") for text in unverifiable(index)),
        *_impact(index),
    )


def refusals(index: IndexPlan, verdicts: Iterable[str] = ()) -> tuple[str, ...]:
    """Why nothing is done about an index, but for what the verdict of a line says already."""
    told = {verdict.removeprefix("refused: ") for verdict in verdicts}
    known = {f"{change.address}: {change.reason}" for change in index.changes if printable(change.reason) in told}
    return tuple(printable(reason) for reason in index.refused if reason not in known)


def holds(index: IndexPlan) -> tuple[str, ...]:
    """What a change waits for, and who can let it go on."""
    return tuple(printable(reason) for reason in index.held)


def unverifiable(index: IndexPlan) -> tuple[str, ...]:
    """One sentence about what the server does not reveal; none if it reveals everything."""
    names = [printable(address.removeprefix(f"{index.name}.")) for address in index.unverifiable]
    if not names:
        return ()
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return (f"not shown by the server, taken as declared: {', '.join(names[:NAMES_SHOWN])}{more}",)


def _impact(index: IndexPlan) -> list[Remark]:
    words, basis = impact_words(index), basis_words(index)
    if not words:
        return []
    because = [Remark(mark="basis:", text=basis, style="dim")] if basis else []
    return [Remark(mark="impact:", text="; ".join(part.replace(" ", NO_BREAK) for part in words)), *because]


def _facts(index: IndexPlan) -> tuple[str, ...]:
    documents = index.impact.documents
    known = count(documents, "document") if documents is not None and index.action != "create" else ""
    fields = f"{number(index.fields)} field{'' if index.fields == 1 else 's'}"
    renamed = f"renamed from {printable(index.renamed_from)}" if index.renamed_from else ""
    held_back = "refused" if index.refused else ""
    return (held_back, *_standing(index), renamed, known, fields)


def _standing(index: IndexPlan) -> tuple[str, ...]:
    where = physical_words(index.physical_before, index.physical_after)
    match index.action:
        case "create":
            return (f"new, as {where}",)
        case "delete":
            return ("no longer declared", where)
        case "adopt":
            return ("to be recorded as it is", where)
        case _:
            return (where,)
