"""Drift: what others changed on the server since it was last applied, and what went wrong there by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rvlstate.model.codec import dump_value
from rvlstate.model.desired import Desired, DesiredIndex, FieldSettings, Policy
from rvlstate.model.fingerprint import fingerprint
from rvlstate.model.state import Record, State
from rvlstate.plan.deviations import BY_HAND, KINDS, Finding, Kind, conditions_of, done_by_hand
from rvlstate.plan.judge import hijack_notes
from rvlstate.plan.plan import Change
from rvlstate.plan.recovery import forgotten
from rvlstate.plan.situation import World, situate
from rvlstate.plan.standing import NextCommand, Standing, standings_of

REPAIR_FILE = "repair.json"
"""How the file of a repair is called where nobody named one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDrift:
    """What is wrong with one managed index; `notes` explain cause and cure, `commands` are what to run next."""

    name: str
    physical: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[NextCommand, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """The differences without their kinds."""
        return tuple(finding.change for finding in self.findings)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its findings, each once, the gravest first."""
        found = {finding.kind for finding in self.findings}
        return tuple(kind for kind in KINDS if kind in found)

    @property
    def by_hand(self) -> bool:
        """Whether somebody did something to it that a plan can undo."""
        return not BY_HAND.isdisjoint(self.kinds)

    @property
    def failing_since(self) -> Change | None:
        """The failures that were counted when it was applied, and those counted now; None if there are no new ones."""
        return next((finding.change for finding in self.findings if finding.kind == "failing"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All drift of a project.

    `in_progress` describes an apply that is running, whose changes are not drift; `interrupted` one that was cut short,
    and `waits` are changes that wait for somebody, which is no drift either. `counts_unmanaged`: indexes that nobody
    declared are drift, too.
    """

    project: str
    indexes: tuple[IndexDrift, ...] = ()
    unmanaged: tuple[str, ...] = ()
    in_progress: str = ""
    interrupted: str = ""
    waits: tuple[Standing, ...] = ()
    counts_unmanaged: bool = False

    @property
    def found(self) -> bool:
        """Whether anything drifted."""
        return bool(self.indexes) or (self.counts_unmanaged and bool(self.unmanaged))

    @property
    def kinds(self) -> Mapping[Kind, int]:
        """How many indexes each kind has: an index counts under the gravest of its own. Every kind is there."""
        counted = Counter(index.kinds[0] for index in self.indexes if index.kinds)
        counted["unmanaged"] = len(self.unmanaged)
        return {kind: counted[kind] for kind in KINDS}

    @property
    def fingerprint(self) -> str:
        """The same for as long as the drift is the same, though figures such as refused documents grow."""
        unmanaged = list(self.unmanaged) if self.counts_unmanaged else []
        return fingerprint([self.project, [_essence(index) for index in self.indexes], unmanaged])


def find_drift(world: World, project: str, retain_old: float = 0.0) -> Drift:
    """Compare every record with the live server, while nobody applies; declarations play no part.

    `retain_old` is the policy, in seconds.
    """
    found = [_look(record, world) for record in world.state.records]
    away = {index.name for index in found if index.by_hand}
    standings = [one for one in standings_of(world, retain_old) if one.name not in away]
    known = {*world.owners, *world.foreign, *forgotten(world), *(record.name for record in world.state.records)}
    return Drift(
        project=project,
        indexes=tuple(index for index in found if index.findings),
        unmanaged=tuple(index.name for index in world.catalog.indexes if index.name not in known),
        waits=tuple(one for one in standings if one.phase in ("ready", "serving")),
    )


def _look(record: Record, world: World) -> IndexDrift:
    situation = situate(as_declared(record, world.state), world)
    by_hand = done_by_hand(situation, world)
    findings = (*by_hand, *conditions_of(record, world, touched=bool(by_hand)))
    index = IndexDrift(name=record.name, physical=record.physical, findings=findings)
    if not findings:
        return index
    notes = (*hijack_notes(situation), *_notes(index, world))
    return replace(index, notes=notes, commands=_commands(index, world))


def _notes(index: IndexDrift, world: World) -> tuple[str, ...]:
    """What no command of rvlstate does: to be done on the server, or by whoever writes documents."""
    notes = []
    live = world.catalog.index(index.physical)
    if "incomplete" in index.kinds and live is not None and live.statistics.scan_error:
        notes.append(
            f"free memory or raise maxmemory; then FT.DROPINDEX {index.physical} (its documents stay), and the repair "
            "of that builds it again"
        )
    if "failing" in index.kinds:
        notes.append(
            f"FT.INFO {index.physical} names the document that was refused last, and why; queries do not find such "
            "documents. The server counts events, also of documents that were mended since: the repair takes note of "
            "the present count"
        )
    return tuple(notes)


def _commands(index: IndexDrift, world: World) -> tuple[NextCommand, ...]:
    """What to run next, the most useful first."""
    if world.state.rewrite(index.name) is not None and index.by_hand:
        # A change in the middle has ways of its own: forward as it was declared, or back as it was before.
        return next((one.commands for one in standings_of(world, 0.0) if one.name == index.name), ())
    commands = []
    if index.by_hand or "failing" in index.kinds:
        effect = f"writes the plan that undoes it, for rvlstate apply {REPAIR_FILE}"
        commands.append(NextCommand(words=("drift", "--repair", REPAIR_FILE), effect=effect))
    if "incomplete" in index.kinds:
        commands.append(NextCommand(words=("status", "--follow"), effect="shows how far the server is"))
    return tuple(commands)


def _essence(index: IndexDrift) -> object:
    return [index.name, [_told(finding) for finding in index.findings]]


def _told(finding: Finding) -> object:
    change = dump_value(finding.change)
    values = [change["before"], change["after"]] if finding.kind in BY_HAND else []
    return [finding.kind, change["address"], *values]


def as_declared(record: Record, state: State) -> DesiredIndex:
    """The declaration that a record stands for: applied again, it changes nothing."""
    return DesiredIndex(
        name=record.name,
        definition=record.definition,
        depends_on=tuple(name for name in record.depends_on if state.record(name) is not None),
        aliases=record.aliases,
        fields=tuple((name, FieldSettings(version=version)) for name, version in record.versions),
    )


def declared_from(project: str, state: State, policy: Policy | None = None) -> Desired:
    """The declared set that the state alone describes, for commands that need no schema files."""
    indexes = tuple(as_declared(record, state) for record in state.records)
    return Desired(project=project, indexes=indexes, policy=policy or Policy())
