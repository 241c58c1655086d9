"""Drift of every kind, as it is shown: the values whose renders are kept in cases/render/views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rvlstate.model.field import Value
from rvlstate.plan.deviations import KINDS, Finding, Kind
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.plan.standing import NextCommand, Standing

REPAIR = NextCommand(words=("drift", "--repair", "repair.json"), effect="writes the plan that undoes it")
WATCH = NextCommand(words=("watch", "late"), effect="brings them into the new layout")


def finding(kind: Kind, address: str, before: Value, after: Value, reason: str = "somebody did it") -> Finding:
    """One difference."""
    change = Change(address=address, before=before, after=after, classification=None, reason=reason)
    return Finding(kind=kind, change=change)


def index(
    name: str, *findings: Finding, notes: tuple[str, ...] = (), **settings: tuple[NextCommand, ...]
) -> IndexDrift:
    """One index that drifted."""
    return IndexDrift(name=name, physical=f"{name}@1", findings=findings, notes=notes, **settings)


def every_kind() -> Drift:
    """One index of each kind, one of several, and one of somebody else."""
    return Drift(
        project="shop",
        indexes=(
            index(
                "changed",
                finding("changed", "changed.fields.b.c.sortable", before=False, after=True),
                finding("changed", "changed.index.prefixes", ("a:",), ("a:", "b:")),
                finding("moved", "changed.aliases.also.this", "changed@1", None, "the alias is gone"),
                commands=(REPAIR,),
            ),
            index("failing", finding("failing", "failing.failures", 2, 1_207, "refused; the last one: p:7")),
            index(
                "hijacked",
                finding("hijacked", "hijacked.physical", "hijacked@1", "hijacked"),
                notes=("cause: @someone did it",),
                commands=(REPAIR,),
            ),
            index("late", finding("late", "late.documents", 0, 31), commands=(WATCH,)),
            index("missing", finding("missing", "missing.physical", "missing@1", None), commands=(REPAIR,)),
            index("moved", finding("moved", "moved.physical", "moved@1", "other"), commands=(REPAIR,)),
            index("unfinished", finding("incomplete", "unfinished.build", 1.0, 0.42, "the server is building it")),
        ),
        unmanaged=("legacy idx",),
    )


def waiting() -> Drift:
    """Nothing but a change that waits, and a run that was cut short."""
    standing = Standing(
        name="products",
        phase="ready",
        summary="products@2 is built and verified, and waits for its cutover",
        answers_from="products@1",
        new="products@2",
        old="products@1",
        writers="",
        queries="",
        follows=False,
        commands=(NextCommand(words=("cutover", "products"), effect="leads products to it"),),
    )
    return Drift(project="shop", waits=(standing,), interrupted="an apply was interrupted: run rvlstate apply.")


def many(number: int = 300) -> Drift:
    """So many indexes that each drifted in every way, with names and values that are as bad as can be."""
    hostile = "|`<b>@all</b> https://evil.example/#1 \x1b[31m\u202e" + "x" * 400
    one = [finding(kind, f"i.fields.{hostile}", hostile, hostile, hostile) for kind in KINDS if kind != "unmanaged"]
    indexes = tuple(
        index(f"{place:05}{hostile}", *one, notes=(hostile,), commands=(replace(WATCH, words=("watch", f"{place}")),))
        for place in range(number)
    )
    return Drift(project=hostile, indexes=indexes, unmanaged=tuple(f"{hostile}{place}" for place in range(number)))


DRIFTS: dict[str, Callable[[], Drift]] = {
    "drift": every_kind,
    "no_drift": lambda: Drift(project="shop"),
    "drift_in_progress": lambda: Drift(project="shop", in_progress="Held by apply of me on host.\nLock id: 7"),
    "drift_waiting": waiting,
    "drift_unmanaged": lambda: Drift(project="shop", unmanaged=("legacy idx",), counts_unmanaged=True),
}
