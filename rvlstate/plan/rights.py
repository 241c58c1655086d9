"""Rights: which commands on which keys a plan, a look at documents, or the lock needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rvlstate.model.canonical import STAGED
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.commands import (
    PHASES,
    READING,
    READING_STATE,
    WORKING,
    Scope,
    looking,
    putting_back,
    rewriting,
)
from rvlstate.plan.phases import companions
from rvlstate.plan.plan import Plan

PARTS = ("state", "lock", "fence", "control", "events", "history", "run:0")
"""One name of each kind of key that a project has."""

PROBE = "rvlstate:probe"
"""What stands behind a prefix in the question whether keys under it may be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What some work needs: commands, names of indexes and aliases, prefixes of documents; all sorted.

    `beside` tells that something is kept beside documents. `writes` False: keys of the project are not written.
    """

    project: str
    commands: tuple[str, ...]
    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    beside: bool = False
    writes: bool = True

    @property
    def keys(self) -> tuple[tuple[Scope, str, str], ...]:
        """What has to be within reach: on what it is, the pattern to ask for, and a key that stands for all of it."""
        tag = tag_of(self.project)
        parts = PARTS if self.writes else ()
        state: list[tuple[Scope, str, str]] = [("state", f"{tag}*", f"{tag}{part}") for part in parts]
        names: list[tuple[Scope, str, str]] = [("index", pattern(name), name) for name in self.names]
        prefixes = (*self.prefixes, *(beside_documents(self.project) if self.beside else ()))
        documents: list[tuple[Scope, str, str]] = [
            ("documents", f"{pattern(prefix)}*", f"{prefix}{PROBE}") for prefix in prefixes
        ]
        return (*state, *names, *documents)


def tag_of(project: str) -> str:
    """What the keys of a project begin with."""
    return f"{{rvlstate:{project}}}:"


def beside_documents(project: str) -> tuple[str, str]:
    """What keys beside documents begin with: digests, and staged copies."""
    return f"rvlstate:mark:{project}:", f"{STAGED}{project}."


def pattern(text: str) -> str:
    """A pattern for just this text; what a rule of an ACL cannot hold (spaces, quotes) becomes any byte."""
    return "".join(char if "!" <= char <= "~" and char not in "\"'" else "?" * _bytes(char) for char in escaped(text))


def escaped(text: str) -> str:
    """A pattern for just this text, whether or not a rule of an ACL can hold it."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


def work_needs(project: str) -> Needs:
    """What every command that takes the lock or gives an order needs."""
    return Needs(project=project, commands=sorted_names(READING_STATE, WORKING))


def look_needs(project: str, rewrites: Iterable[Rewrite]) -> Needs:
    """What a look at documents needs before a change of them is planned; nothing is written."""
    found = tuple(rewrites)
    commands = [looking(rewrite.before.storage, rewrite.after.storage) for rewrite in found]
    filtered = {rewrite.physical for rewrite in found if rewrite.before.filter}
    return Needs(
        project=project,
        commands=sorted_names(*commands, ("FT.SEARCH",) if filtered else ()),
        names=sorted_names(filtered),
        prefixes=sorted_names(*(rewrite.before.prefixes for rewrite in found)),
        beside=bool(found),
        writes=False,
    )


def plan_needs(plan: Plan) -> Needs:
    """What carrying out a plan needs, to the completion of what it begins, or back again."""
    steps = [step.operation for step in plan.steps]
    rewrites = tuple(dict.fromkeys(rewrite for step in steps if (rewrite := rewrite_of(step)) is not None))
    kept = {rewrite_of(step) for step in steps if getattr(step, "backup", "")}
    commands = [READING, WORKING, *(step.permissions for step in steps)]
    names = [_names(step) for step in steps]
    for rewrite in rewrites:
        commands += [PHASES if rewrite.phased else (), rewriting(rewrite) if rewrite.phased else ()]
        commands += [putting_back(rewrite) if rewrite in kept else ()]
        names.append(_names_of(rewrite))
    touched = [rewrite for rewrite in rewrites if rewrite.touches_documents]
    return Needs(
        project=plan.project,
        commands=sorted_names(*commands),
        names=sorted_names(*names),
        prefixes=sorted_names(*((*rewrite.before.prefixes, *rewrite.after.prefixes) for rewrite in touched)),
        beside=bool(rewrites),
    )


def change_needs(project: str, rewrite: Rewrite, *, phases: bool = False, backup: bool = False) -> Needs:
    """What passes of a change need; with its `phases`, to its end or back, and with its `backup`."""
    return Needs(
        project=project,
        commands=sorted_names(
            (*READING, *WORKING, *rewriting(rewrite)),
            PHASES if phases else (),
            putting_back(rewrite) if backup else (),
        ),
        names=sorted_names(_names_of(rewrite)),
        prefixes=sorted_names(rewrite.before.prefixes, rewrite.after.prefixes) if rewrite.touches_documents else (),
        beside=True,
    )


def rewrite_of(step: object) -> Rewrite | None:
    """The change that a step is about, None for a step about an index alone."""
    found = (getattr(step, name, None) for name in ("rewrite", "staged", "begins"))
    return next((rewrite for rewrite in found if isinstance(rewrite, Rewrite)), None)


def _names(step: object) -> tuple[str, ...]:
    """The names of indexes and aliases that a step sends."""
    serves = getattr(step, "serves", None)
    found = (getattr(step, name, None) for name in ("name", "physical", "against"))
    further = (serves.name, serves.physical) if serves is not None else ()
    return tuple(name for name in (*found, *further, *getattr(step, "drops", ())) if isinstance(name, str) and name)


def _names_of(rewrite: Rewrite) -> tuple[str, ...]:
    own = (rewrite.name, rewrite.physical, rewrite.target, rewrite.interim, *companions(rewrite.name))
    return tuple(name for name in (*own, *rewrite.aliases) if name)


def _bytes(char: str) -> int:
    return len(char.encode("utf-8", "surrogateescape"))


def sorted_names(*some: Iterable[str]) -> tuple[str, ...]:
    """All of them once, sorted."""
    return tuple(sorted({item for items in some for item in items}))
