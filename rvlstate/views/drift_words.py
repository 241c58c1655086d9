"""Drift in words that all its views share: the kinds, the lines of an index, totals, and what to run next."""

from __future__ import annotations

from collections.abc import Mapping

from rvlstate.plan.deviations import Kind
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.plan.standing import NextCommand
from rvlstate.views.change_lines import ChangeLine, change_line
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import count, number
from rvlstate.views.untrusted import printable
from rvlstate.views.values import show_value

TITLES: Mapping[Kind, str] = {
    "hijacked": "hijacked name",
    "missing": "missing",
    "moved": "moved alias",
    "changed": "changed by hand",
    "incomplete": "incomplete build",
    "failing": "failing documents",
    "late": "late documents",
    "unmanaged": "not managed",
}
MEANINGS: Mapping[Kind, str] = {
    "hijacked": "an index that rvlstate did not make answers to the name; queries miss what is managed",
    "missing": "the index is gone, and nothing answers; its documents are still there",
    "moved": "an alias of ours leads elsewhere, or nowhere",
    "changed": "the definition of the index is not the one that was applied",
    "incomplete": "the index does not hold all of its documents",
    "failing": "the index refused documents since it was applied; queries do not find them",
    "late": "documents were written in the layout from before the last change; queries do not find them as meant",
    "unmanaged": "nobody declared the index",
}
NO_DRIFT = "No drift. Every managed index is as it was last applied."
IN_PROGRESS = "An apply is in progress; what it changes is not drift."
KEEP = "Keep it: write it into the schema files, then plan."


def kind_words(index: IndexDrift) -> str:
    """`hijacked name, changed by hand`."""
    return ", ".join(TITLES[kind] for kind in index.kinds)


def headline(drift: Drift) -> str:
    """What was found, in one sentence."""
    if drift.in_progress:
        return IN_PROGRESS
    parts = [f"{count(len(drift.indexes), 'index', 'indexes')} drifted"] if drift.indexes else []
    if drift.counts_unmanaged and drift.unmanaged:
        parts.append(f"{count(len(drift.unmanaged), 'index', 'indexes')} not managed")
    return f"{', '.join(parts)}." if parts else NO_DRIFT


def kind_rows(drift: Drift) -> list[tuple[str, str, str]]:
    """The kinds that were found: title, how many indexes have it, and what it means."""
    found = {kind: sum(kind in index.kinds for index in drift.indexes) for kind in TITLES}
    found["unmanaged"] = len(drift.unmanaged) if drift.counts_unmanaged else 0
    return [(TITLES[kind], number(found[kind]), MEANINGS[kind]) for kind in TITLES if found[kind]]


def lines_of_drift(index: IndexDrift) -> tuple[ChangeLine, ...]:
    """The differences of one index."""
    return tuple(_line(index, finding.kind, finding.change) for finding in index.findings)


def _line(index: IndexDrift, kind: Kind, change: Change) -> ChangeLine:
    alias = f"{index.name}.aliases."
    match kind:
        case "incomplete":
            return _own("build", f"{_percent(change.after)} of the keys scanned", change)
        case "failing":
            return _own("indexing failures", f"{number(_growth(change))} new", change)
        case "late":
            about = count(change.after, "document") if isinstance(change.after, int) else ""
            return ChangeLine(
                symbol="~", subject="documents in the old layout", value=f"about {about}", verdict="", tone="drift"
            )
        case "moved" if change.address.startswith(alias):
            moved = f"{show_value(change.before)} -> {show_value(change.after)}"
            return _own(f"alias {printable(change.address.removeprefix(alias))}", moved, change)
        case "hijacked" | "missing" | "moved" | "changed" | "unmanaged":
            return change_line(index.name, change, tone="drift")


def _own(subject: str, value: str, change: Change) -> ChangeLine:
    return ChangeLine(symbol="~", subject=subject, value=value, verdict=printable(change.reason), tone="drift")


def _percent(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, float) else ""


def _growth(change: Change) -> int:
    before, after = change.before, change.after
    return after - before if isinstance(after, int) and isinstance(before, int) else 0


def next_commands(drift: Drift, offer: Offer) -> tuple[tuple[str, str], ...]:
    """What to run next, each once, with what comes of it; a repair that was written is offered to be applied."""
    rows: dict[str, str] = {}
    for command in (command for index in drift.indexes for command in index.commands):
        words, effect = _written(command, offer)
        rows.setdefault(offer.command(*words), effect)
    if drift.counts_unmanaged and drift.unmanaged:
        rows[offer.command("import", "--all")] = "takes indexes that nobody declared into management"
    return tuple(rows.items())


def _written(command: NextCommand, offer: Offer) -> tuple[tuple[str, ...], str]:
    if offer.plan_file and command.words[:2] == ("drift", "--repair"):
        return ("apply", offer.plan_file), "carries the repair out, as it was written"
    return command.words, command.effect


def can_be_kept(drift: Drift) -> bool:
    """Whether there is anything that might as well be declared."""
    return any("changed" in index.kinds for index in drift.indexes)
