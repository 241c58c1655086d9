"""Judge one declared index: compare it with what is live, classify each change, and find what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rvlstate.diff.compare import compare
from rvlstate.diff.facts import (
    AttributeChanged,
    Comparison,
    Fact,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRetyped,
    RenameContradicted,
    SettingChanged,
    ValuesOutdated,
)
from rvlstate.model.address import field_address
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import DesiredIndex
from rvlstate.model.field import Field, Value, attributes
from rvlstate.plan.plan import Change
from rvlstate.plan.remedies import Classification, Remedy, gravest, remedy_for
from rvlstate.plan.situation import Situation, World


def comparison_of(situation: Situation) -> Comparison:
    """The facts between how the documents are laid out and indexed now and what is declared."""
    wanted, before = situation.wanted, situation.basis
    if before is None:
        return Comparison()
    found = compare(wanted.name, before, wanted.definition, declared_renames(wanted))
    outdated = _outdated(situation, before)
    if not outdated:
        return found
    facts = sorted((*found.facts, *outdated), key=lambda fact: (fact.address, type(fact).__name__))
    return replace(found, facts=tuple(facts))


def _outdated(situation: Situation, before: IndexDefinition) -> list[Fact]:
    """Fields whose transform has a higher version than the one that was carried out."""
    begun = situation.pending if situation.pending and situation.pending.strategy != "backfill" else None
    known = begun or situation.record
    done = dict(known.versions) if known else {}
    return [
        ValuesOutdated(index=situation.wanted.name, field=name, before=done.get(name, 0), after=settings.version)
        for name, settings in situation.wanted.fields
        if settings.version > done.get(name, 0) and before.field(name) and situation.wanted.definition.field(name)
    ]


def declared_renames(wanted: DesiredIndex) -> dict[str, str]:
    """New field name -> old field name, as declared."""
    return {name: settings.renamed_from for name, settings in wanted.fields if settings.renamed_from}


def remedies_of(situation: Situation, facts: Iterable[Fact]) -> tuple[tuple[Fact, Remedy], ...]:
    """Each fact with its remedy."""
    before = situation.basis
    return tuple((fact, remedy_for(fact, before, situation.wanted)) for fact in facts) if before else ()


def changes_of(judged: Iterable[tuple[Fact, Remedy]]) -> tuple[Change, ...]:
    """The changes of an index for the plan."""
    return tuple(change_of(fact, remedy.classification, remedy.reason) for fact, remedy in judged)


def change_of(fact: Fact, classification: Classification | None, reason: str) -> Change:
    """A fact as a change with values that JSON can hold."""
    before, after = _values(fact)
    return Change(address=fact.address, before=before, after=after, classification=classification, reason=reason)


def _values(fact: Fact) -> tuple[Value | dict[str, Value], Value | dict[str, Value]]:
    match fact:
        case FieldAdded():
            return None, _shown(fact.field)
        case FieldRemoved():
            return _shown(fact.field), None
        case FieldRenamed():
            return fact.before.name, fact.after.name
        case FieldRetyped():
            return fact.before.type, fact.after.type
        case RenameContradicted():
            return fact.renamed_from, fact.field
        case AttributeChanged() | SettingChanged() | ValuesOutdated():
            return fact.before, fact.after


def _shown(field: Field) -> dict[str, Value]:
    """Type and attributes of a field, without those that say nothing (false, none)."""
    return {name: value for name, value in attributes(field).items() if value not in (False, None)}


def classify(judged: Iterable[tuple[Fact, Remedy]]) -> Classification | None:
    """The class of an index: the gravest of its changes."""
    return gravest([remedy.classification for _, remedy in judged])


def unknown_notes(classification: Classification | None, unverifiable: tuple[str, ...]) -> tuple[str, ...]:
    """What a rebuild may change unseen: attributes of an adopted index that the server does not reveal."""
    known = [address for address in unverifiable if not address.endswith(".temporary")]
    if classification != "shadow" or not known:
        return ()
    return (
        (
            "the new index gets the declared values of attributes that the server does not reveal; what the present "
            f"one has cannot be known: {', '.join(known)}."
        ),
    )


def rename_notes(situation: Situation, judged: Iterable[tuple[Fact, Remedy]]) -> tuple[str, ...]:
    """Fields that look like others under a new name: the documents may well not hold them."""
    facts = [fact for fact, _ in judged]
    removed = [fact.field for fact in facts if isinstance(fact, FieldRemoved)]
    notes = []
    for fact in facts:
        if not isinstance(fact, FieldAdded) or situation.wanted.field_settings(fact.field.name).transform:
            continue
        twin = next((old for old in removed if _is_alike(old, fact.field)), None)
        if twin is not None:
            name = fact.field.name
            notes.append(
                f"{name} looks like {twin.name} under another name: if the documents do not hold {name} yet, declare "
                f"indexes.{situation.wanted.name}.fields.{name}.renamed_from: {twin.name}, which renames it in them"
            )
    return tuple(notes)


def _is_alike(old: Field, new: Field) -> bool:
    """Whether two fields differ in their name and place alone."""
    return type(old) is type(new) and replace(old, name=new.name, identifier=new.identifier) == new


def refusals(judged: Iterable[tuple[Fact, Remedy]], situation: Situation, world: World) -> tuple[str, ...]:
    """Why nothing can be done about an index as it is declared."""
    reasons = [f"{fact.address}: {remedy.reason}" for fact, remedy in judged if remedy.classification == "refused"]
    reasons += _taken_by_others(situation, world)
    reasons += _occupied_fields(situation)
    if situation.stranger is not None:
        reasons.append(
            f"{situation.wanted.name}: renamed_from: {situation.was_named} cannot be carried out, since "
            f"{situation.stranger} answers to {situation.wanted.name} already: import or drop that index first"
        )
    if situation.occupied is not None:
        name, owner = situation.wanted.name, situation.occupied
        reasons.append(
            f"{name}: the physical index {name} serves {owner}, so that {name} cannot lead to another index: declare "
            f"{name} under another name, or remove {owner} first"
        )
    reasons += [
        f"{situation.wanted.name}.aliases.{alias}: a physical index {alias} exists and would hide the alias: drop it "
        "first, or give up the alias"
        for alias in situation.hidden_aliases
    ]
    return tuple(reasons)


def _occupied_fields(situation: Situation) -> list[str]:
    """Renames onto a field that the index has beside the old one; what others added since the rename is no reason."""
    before, wanted, record = situation.basis, situation.wanted, situation.record
    known = [definition for definition in (before, record.definition if record else None) if definition is not None]
    return [
        f"{field_address(wanted.name, name)}: renamed_from: {source} cannot be carried out, since the index has both "
        f"and documents may hold both: first apply without {name} (transform: drop removes its values), then rename"
        for name, source in sorted(declared_renames(wanted).items())
        if wanted.definition.field(name) is not None
        and wanted.definition.field(source) is None
        and known
        and all(definition.field(name) and definition.field(source) for definition in known)
    ]


def _taken_by_others(situation: Situation, world: World) -> list[str]:
    """Names of an index that lead to one of another project, which must neither be dropped nor lose its name."""
    wanted = situation.wanted
    reasons = []
    for address, name in ((wanted.name, wanted.name), *((f"{wanted.name}.aliases.{a}", a) for a in wanted.aliases)):
        physical = world.catalog.resolve(name)
        if physical is not None and physical in world.foreign:
            reasons.append(
                f"{address}: {physical} is managed by project {world.foreign[physical]} on this server: declare it "
                "in one project only, or under another name"
            )
    return reasons


def actionable(task_facts: Iterable[tuple[Fact, Remedy]]) -> tuple[Fact, ...]:
    """The facts that need something done."""
    return tuple(fact for fact, remedy in task_facts if remedy.classification is not None)


def hijack_notes(situation: Situation) -> tuple[str, ...]:
    """What to tell about a hijacked name: the cause, the cure, and how the application should open the index."""
    if situation.hijacker is None or situation.serving is None:
        return ()
    name = situation.wanted.name
    return (
        (
            f"cause: an application created a physical index {name}, for instance with redisvl's index.create(); "
            f"it hides the alias {name} -> {situation.serving.name}, so queries miss what rvlstate manages."
        ),
        f"cure: rvlstate apply drops the physical index {name} (never its documents); the alias answers again at once.",
        (
            "in the application: open it from its schema, SearchIndex.from_yaml(...), and do not call create() at "
            "start-up: redisvl's exists() answers False for an alias. from_existing() would keep the physical index of "
            "that moment, which the next cutover drops."
        ),
    )
