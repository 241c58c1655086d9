"""What changes about an index, as lines that all views show alike: symbol, subject, value, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.definition import IndexDefinition, settings_of
from rvlstate.model.field import Field, Value, attributes
from rvlstate.plan.operations import CreateIndex
from rvlstate.plan.plan import Change, IndexPlan, Plan
from rvlstate.views.untrusted import printable
from rvlstate.views.values import describe_field, show_text, show_value

Tone: TypeAlias = Literal["add", "change", "remove", "drift", "refused", "idle"]

SYMBOLS: dict[Tone, str] = {"add": "+", "change": "~", "remove": "-", "drift": "~", "refused": "x", "idle": "."}
CLASS_WORDS = {
    "in_place": "in place",
    "backfill": "backfill",
    "shadow": "shadow",
    "recreate": "recreate",
    "refused": "refused",
}
DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One line: `subject` says which field or setting, `value` from what to what, `verdict` the class and the reason.

    `symbol` tells added, changed, removed, refused or left as it is; `tone` also tells drift apart.
    """

    symbol: str
    subject: str
    value: str
    verdict: str
    tone: Tone


def change_lines(index: IndexPlan) -> tuple[ChangeLine, ...]:
    """The drift of an index, then its changes."""
    drifted = [change_line(index.name, change, tone="drift") for change in index.drift]
    return (*drifted, *(change_line(index.name, change, tone=_tone(change)) for change in index.changes))


def change_line(index: str, change: Change, *, tone: Tone) -> ChangeLine:
    """One change of the index called `index`."""
    subject, attribute = _subject(index, change)
    value = _value(subject.removeprefix("field "), attribute, change)
    word = DRIFT if tone == "drift" else CLASS_WORDS.get(change.classification or "", "not applied")
    symbol = SYMBOLS[_movement(change)] if tone == "drift" else SYMBOLS[tone]
    return ChangeLine(
        symbol=symbol,
        subject=printable(subject),
        value=value,
        verdict=printable(f"{word}: {change.reason}"),
        tone=tone,
    )


def created_lines(definition: IndexDefinition) -> tuple[ChangeLine, ...]:
    """The settings and fields of an index that is to be created, as far as they are not as by default."""
    usual = settings_of(IndexDefinition())
    settings = {key: value for key, value in settings_of(definition).items() if value != usual[key]}
    return (
        *(_created("index", f"{key} {show_value(value)}") for key, value in settings.items()),
        *(_created(f"field {field.name}", _described(field)) for field in definition.fields),
    )


def created_definitions(plan: Plan) -> dict[str, IndexDefinition]:
    """Name -> definition, for every index of the plan that does not exist yet."""
    names = {index.name for index in plan.indexes if index.action == "create"}
    operations = [step.operation for step in plan.steps]
    return {
        operation.name: operation.definition
        for operation in operations
        if isinstance(operation, CreateIndex) and operation.name in names
    }


def _created(subject: str, value: str) -> ChangeLine:
    return ChangeLine(symbol="+", subject=printable(subject), value=value, verdict="", tone="add")


def _described(field: Field) -> str:
    return describe_field(field.name, attributes(field))


def _tone(change: Change) -> Tone:
    if change.classification is None:
        return "idle"
    return "refused" if change.classification == "refused" else _movement(change)


def _movement(change: Change) -> Tone:
    if change.before is None and isinstance(change.after, dict):
        return "add"
    if change.after is None and isinstance(change.before, dict):
        return "remove"
    return "change"


def _subject(index: str, change: Change) -> tuple[str, str]:
    """What an address names, in words, and the attribute of it: names may hold dots, attributes do not."""
    kind, _, rest = change.address.removeprefix(f"{index}.").partition(".")
    if kind == "aliases":
        return f"alias {rest}", ""
    if kind != "fields":
        return ("index", rest) if kind == "index" else ("answers from", "")
    whole = _movement(change) != "change" or rest == change.after
    name, _, attribute = (rest, "", "") if whole else rest.rpartition(".")
    return f"field {name}", attribute


def _value(name: str, attribute: str, change: Change) -> str:
    if isinstance(change.after, dict) and change.before is None:
        return describe_field(name, change.after)
    if isinstance(change.before, dict) and change.after is None:
        return describe_field(name, change.before)
    moved = f"{show_value(change.before)} -> {show_value(change.after)}"
    if not attribute and _movement(change) == "change" and change.address.endswith(f".fields.{name}"):
        return f"renamed from {show_text(str(change.before))}"
    return f"{attribute} {moved}".strip()


def physical_words(before: Value, after: Value) -> str:
    """`products@1 -> products@2`, or the one name if it stays."""
    if before is None or after is None or before == after:
        return printable(str(before or after or ""))
    return f"{printable(str(before))} -> {printable(str(after))}"
