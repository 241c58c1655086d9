"""Queries: which of them break when the name moves to an index of another definition, and how to roll that out."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.diff.facts import AttributeChanged, Fact, FieldRemoved, FieldRenamed, FieldRetyped
from rvlstate.plan.phases import companions
from rvlstate.plan.remedies import Remedy

ENCODING = ("datatype", "dims")


def query_notes(name: str, judged: Iterable[tuple[Fact, Remedy]], *, moves: bool) -> tuple[str, ...]:
    """Which queries break, in one sentence, and how both may be answered at once; () if none does.

    `moves` tells that the name moves from an index that could go on answering.
    """
    facts = [fact for fact, remedy in judged if remedy.classification in ("shadow", "recreate")]
    broken = [words for fact in facts if (words := _broken(fact))]
    rewritten = any(_is_asked_otherwise(fact) for fact in facts)
    notes = [f"queries that break at the cutover: {', '.join(broken)}"] if broken else []
    if moves and rewritten:
        following, previous = companions(name)
        notes.append(
            f"to have both answered for a while: cutover: manual, and {following} is the new index until the cutover; "
            f"policy.retain_old, and {previous} is the old one behind it"
        )
    return tuple(notes)


def _is_asked_otherwise(fact: Fact) -> bool:
    """Whether the same question can be put to both indexes, in two forms."""
    encoded = isinstance(fact, AttributeChanged) and fact.attribute in ENCODING
    return encoded or isinstance(fact, FieldRenamed | FieldRetyped)


def _broken(fact: Fact) -> str:
    match fact:
        case FieldRenamed():
            return f"@{fact.before.name} (it is @{fact.after.name} then)"
        case FieldRemoved():
            return f"@{fact.field.name} (it is gone then)"
        case FieldRetyped():
            return f"@{fact.after.name} (it is {fact.after.type} then, not {fact.before.type})"
        case _:
            return ""
