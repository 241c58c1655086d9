"""Grants: the rights of the users for plan, drift and apply of a project, as rules of an ACL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.address import name_of, physical_name
from rvlstate.model.canonical import STAGED
from rvlstate.model.desired import Desired
from rvlstate.model.state import State
from rvlstate.plan.commands import (
    CHANGING,
    READING,
    READING_A_CLUSTER,
    WORKING,
    checking,
    copying,
    looking,
    restoring,
    tidying,
)
from rvlstate.plan.operations.rehearse_rewrite import NOWHERE
from rvlstate.plan.phases import companions
from rvlstate.plan.rights import beside_documents, escaped, pattern, sorted_names, tag_of

Role: TypeAlias = Literal["plan", "drift", "apply"]
ROLES: tuple[Role, ...] = ("plan", "drift", "apply")

PROJECTS = "rvlstate:projects"
OTHERS = ("%R~{rvlstate:*}:history", "%R~{rvlstate:*}:state")
"""The states of other projects, which tell whose their indexes are."""

HINTING = ("CONFIG GET", "PSUBSCRIBE")
"""What is given apart: CONFIG GET tells more of the server than everybody is to know."""

BARE = "on resetkeys resetchannels clearselectors -@all"
"""How a line begins: all rights are taken, passwords stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The rights of one user: commands, and rules for keys (`~...`, `%R~...` to read only), all sorted.

    `further` is given apart: commands and rules that are done without where they are missing.
    """

    role: Role
    user: str
    commands: tuple[str, ...]
    keys: tuple[str, ...]
    further: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The command that gives just these rights and takes all others; passwords stay as they are."""
        rules = (f"+{name.lower().replace(' ', '|')}" for name in self.commands)
        return " ".join(("ACL SETUSER", self.user, BARE, *rules, *self.keys))

    @property
    def further_line(self) -> str:
        """The command that gives what can be done without; "" where there is nothing."""
        return " ".join(("ACL SETUSER", self.user, *self.further)) if self.further else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What of a grant depends on the server: the commands that it has, and two habits.

    `reads_prefixes`: it shows an index only to those who may read all that it covers. `one_slot`: a physical index has
    a hash tag in its name, to be in the slot of its alias.
    """

    known: frozenset[str]
    reads_prefixes: bool = False
    one_slot: bool = False


def grant(role: Role, desired: Desired, state: State, ways: Ways, *, documents: bool) -> Grant:
    """The rights of the user for a role. `documents` False: not what changes documents.

    A plan that does so is then refused before anything is written.
    """
    commands = commands_of(role, _storages(desired, state), documents=documents)
    return Grant(
        role=role,
        user=f"{desired.project}-{role}",
        commands=tuple(name for name in commands if name in ways.known),
        keys=_rules(role, desired, state, ways, documents=documents),
        further=_further(desired, state) if role == "apply" and documents else (),
    )


def commands_of(role: Role, storages: tuple[str, ...], *, documents: bool) -> tuple[str, ...]:
    """The commands of a role over documents of these storage types, whatever the server knows."""
    always = ("ACL DRYRUN", "ACL WHOAMI", "CLIENT SETINFO", "PING", "SMEMBERS", *READING, *READING_A_CLUSTER)
    pairs = [(before, after) for before in storages for after in storages]
    looks = ("FT.SEARCH", *(name for pair in pairs for name in looking(*pair))) if documents else ()
    if role != "apply":
        return sorted_names(always, looks)
    works = (*WORKING, *CHANGING, "SADD", "READONLY", "ROLE", "UNLINK", "WAIT", *_checks(storages))
    writes = [(*copying(*pair, moves=True), *restoring(*pair, moves=True)) for pair in pairs if documents]
    return sorted_names(always, looks, works, tidying() if documents else (), *writes)


def _checks(storages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for storage in storages for name in checking(storage, neighbours=True))


def _rules(role: Role, desired: Desired, state: State, ways: Ways, *, documents: bool) -> tuple[str, ...]:
    tag, marks, copies = tag_of(desired.project), *beside_documents(desired.project)
    ours = (f"~{tag}*", f"~{PROJECTS}") if role == "apply" else (f"%R~{tag}*", f"%R~{PROJECTS}")
    names = [f"~{rule}" for name in _declared(desired, state) for rule in _name_rules(name, one_slot=ways.one_slot)]
    prefixes = [f"{pattern(prefix)}*" for prefix in _prefixes(desired, state)]
    if documents:
        covered = [f"~{rule}" for rule in (*prefixes, f"{marks}*", f"{copies}*")]
    else:
        covered = [f"%R~{rule}" for rule in (*prefixes, f"{copies}*") if ways.reads_prefixes or role == "apply"]
        covered += [f"~{marks}*"] if role == "apply" else []
    nowhere = (f"%R~{NOWHERE}*",) if ways.reads_prefixes and role == "apply" else ()
    return (*ours, *OTHERS, *sorted_names(names), *dict.fromkeys(covered), *nowhere)


def _name_rules(name: str, *, one_slot: bool) -> tuple[str, ...]:
    """The name, its physical indexes, and the aliases beside it during a change."""
    physical = physical_name(name, 1, one_slot=one_slot).removesuffix("1")
    return (pattern(name), f"{pattern(physical)}*", *map(pattern, companions(name)))


def _further(desired: Desired, state: State) -> tuple[str, ...]:
    """What has the server tell which documents were written meanwhile.

    A prefix that no rule can hold as it is (spaces, quotes, what is not ASCII) is left out, and done without.
    """
    channels = [f"&{channel(prefix)}" for prefix in _prefixes(desired, state) if pattern(prefix) == escaped(prefix)]
    return ("+config|get", "+psubscribe", *channels)


def channel(prefix: str, database: int = 0) -> str:
    """What is subscribed to for documents under a prefix; a rule of an ACL must be spelt just so."""
    spelt = re.sub(r"[*?\[\]\\^-]", r"\\\g<0>", prefix)
    return f"__keyspace@{database}__:{spelt}*"


def _declared(desired: Desired, state: State) -> tuple[str, ...]:
    names = [(wanted.name, *wanted.aliases, wanted.renamed_from or "") for wanted in desired.indexes]
    names += [(record.name, name_of(record.physical) or record.physical, *record.aliases) for record in state.records]
    return tuple(name for name in sorted_names(*names) if name)


def _prefixes(desired: Desired, state: State) -> tuple[str, ...]:
    declared = [wanted.definition.prefixes for wanted in desired.indexes]
    applied = [record.definition.prefixes for record in state.records]
    begun = [(*rewrite.before.prefixes, *rewrite.after.prefixes) for rewrite in state.rewrites]
    return tuple(prefix for prefix in sorted_names(*declared, *applied, *begun) if not prefix.startswith(STAGED))


def _storages(desired: Desired, state: State) -> tuple[str, ...]:
    definitions = [wanted.definition for wanted in desired.indexes] + [record.definition for record in state.records]
    definitions += [rewrite.before for rewrite in state.rewrites]
    return sorted_names(definition.storage for definition in definitions) or ("hash",)
