"""What of the settings of a field contradicts itself, its type or the other fields: transforms, reads, versions.

Names in `reads` are fields of the index, declared now or before, or places in the documents: fields of a hash as they
are, paths of JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.errors import SpecError
from rvlstate.files.suggest import nearest, unknown_name
from rvlstate.files.tree import Mapping, Path, place_of, spec_error
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import FieldSettings
from rvlstate.model.field import Field, NumericField, VectorField
from rvlstate.model.transform import (
    Call,
    Cast,
    Constant,
    Copy,
    Drop,
    Join,
    Normalize,
    ToGeo,
    TransformStep,
    Truncate,
)

Flow: TypeAlias = Literal["vector", "value", "any"]
"""What a step is given or gives: vectors, texts and numbers, or what nobody knows before it runs."""

_FEWEST_JOINED, _MOST_FOR_GEO = 2, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """The settings of one field, and where they are written."""

    tree: Mapping
    index: str
    name: str
    field: Field | None
    settings: FieldSettings
    definition: IndexDefinition

    def part(self, position: int) -> int | None:
        """Where a step stands in the list of a chain, None if there is but one step."""
        return position if len(self.settings.transform) > 1 else None

    def fault(self, key: str, what: str, hint: str = "", why: str = "", part: int | None = None) -> SpecError:
        """The error about `key` of the field, or about one part of its list."""
        path: Path = ("fields", self.name, key) if part is None else ("fields", self.name, key, part)
        address = f"indexes.{self.index}.fields.{self.name}.{key}"
        return spec_error(place_of(self.tree, path), f"{address}{what}", key=address, why=why, next_step=hint)


def check_transforms(
    index: str, definition: IndexDefinition, fields: tuple[tuple[str, FieldSettings], ...], tree: Mapping
) -> None:
    """Raise SpecError for the first setting that contradicts another; `tree` holds them as written, for places."""
    for name, settings in fields:
        subject = _Subject(
            tree=tree,
            index=index,
            name=name,
            field=definition.field(name),
            settings=settings,
            definition=definition,
        )
        _check_rename(subject)
        _check_needs(subject)
        _check_reads(subject)
        _check_drop(subject)
        if subject.field is not None:
            _check_steps(subject, subject.field)


def _check_rename(subject: _Subject) -> None:
    old = subject.settings.renamed_from
    if old is None or subject.field is None or subject.definition.field(old) is None:
        return
    what = "itself" if old == subject.name else f"{old}, which is still a field of the schema"
    hint = "remove renamed_from once the rename was applied everywhere, or the old field from the schema."
    raise subject.fault("renamed_from", f" is {what}: a field that is renamed does not stay", hint)


def _check_needs(subject: _Subject) -> None:
    if subject.settings.transform:
        return
    if subject.settings.reads:
        hint = "add a transform, such as copy, or remove reads."
        raise subject.fault("reads", " says what a transform reads, and there is none", hint)
    if subject.settings.version:
        hint = "remove it, or add a transform."
        raise subject.fault("version", " counts the versions of a transform, and there is none", hint)


def _check_reads(subject: _Subject) -> None:
    names = subject.settings.reads
    known = [field.name for field in subject.definition.fields]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise subject.fault("reads", f' names "{name}" twice', "keep one.", part=position)
        # The name may be that of a field that the schema declared once: only what looks like a slip is refused.
        is_place = subject.definition.storage == "hash" or name.startswith("$") or name in known
        if not is_place and nearest(name, known):
            place = place_of(subject.tree, ("fields", subject.name, "reads", position))
            key = f"indexes.{subject.index}.fields.{subject.name}.reads"
            what = f'{key}: the index "{subject.index}" has no field "{name}"'
            raise unknown_name(place, what, name, known, key=key)


def _check_drop(subject: _Subject) -> None:
    steps = subject.settings.transform
    if not any(isinstance(step, Drop) for step in steps):
        return
    if subject.field is not None:
        raise subject.fault(
            "transform",
            " drops a field that the schema declares",
            "remove the field from the schema file, or the transform.",
        )
    for key in ("reads", "renamed_from", "version"):
        if getattr(subject.settings, key):
            raise subject.fault(key, " does not go with transform: drop", "remove it.")
    if len(steps) > 1:
        raise subject.fault("transform", ": drop stands alone", "remove the other steps.")


def _check_steps(subject: _Subject, field: Field) -> None:
    steps = subject.settings.transform
    width = _width_fault(subject, steps[0]) if steps else None
    if width:
        key, what, hint = width
        raise subject.fault(key, what, hint)
    flow = _read_flow(subject, field)
    for position, step in enumerate(steps):
        _check_order(subject, position)
        takes, gives = _flow_of(step.kind)
        if {takes, flow} == {"vector", "value"}:
            what = f": {step.kind} is for {_named(takes)}, and {_given(subject, field, position)} {_named(flow)}"
            raise subject.fault("transform", what, "remove it.", part=subject.part(position))
        flow = flow if gives == "any" and not isinstance(step, Call) else gives
    _check_end(subject, field, flow)


def _check_order(subject: _Subject, position: int) -> None:
    steps = subject.settings.transform
    step, part = steps[position], subject.part(position)
    if position and isinstance(step, Constant | Copy | Join):
        raise subject.fault("transform", f": {step.kind} must come first", "put it first.", part=part)
    if position < len(steps) - 1 and isinstance(step, Cast):
        why = "It writes the vector as declared; what comes behind it would change that."
        raise subject.fault("transform", ": cast must come last", "put it last.", why, part)
    if isinstance(step, Truncate) and any(isinstance(before, Normalize) for before in steps[:position]):
        why = "What is left of a vector of length 1 is shorter than 1."
        raise subject.fault("transform", ": truncate must come before normalize", "put it in front.", why, part)


def _given(subject: _Subject, field: Field, position: int) -> str:
    if position:
        return f"{subject.settings.transform[position - 1].kind} makes"
    return "reads names" if subject.settings.reads else f"a {field.type} field holds"


def _read_flow(subject: _Subject, field: Field) -> Flow:
    """What the first step is given; nobody knows it of places in the documents that no field declares."""
    if not subject.settings.reads:
        # Without reads a field is made from its own old values, and its type may have changed, but not to a vector.
        return "vector" if isinstance(field, VectorField) else "any" if subject.settings.renamed_from else "value"
    declared = [subject.definition.field(name) for name in subject.settings.reads]
    kinds = {"any" if one is None else "vector" if isinstance(one, VectorField) else "value" for one in declared}
    return "any" if len(kinds) > 1 or "any" in kinds else "vector" if "vector" in kinds else "value"


def _flow_of(kind: str) -> tuple[Flow, Flow]:
    """What a step takes and gives; "any" from a step that is no callable means: what it took."""
    if kind in ("cast", "truncate", "normalize"):
        return "vector", "vector"
    if kind in ("join", "split", "number", "text", "tag", "geo"):
        return "value", "value"
    return "any", "value" if kind == "constant" else "any"


def _width_fault(subject: _Subject, first: TransformStep) -> tuple[str, str, str] | None:
    """What is wrong about the number of columns that the first step is to read: the key, what, and a hint."""
    reads = subject.settings.reads
    match first:
        case Constant() if reads:
            return "reads", ": a constant reads nothing", "remove reads."
        case Join() if len(reads) < _FEWEST_JOINED:
            return "transform", ": join needs two fields or more in reads", "add reads."
        case Copy() if reads in ((), (subject.name,)) and not subject.settings.renamed_from:
            return "transform", ": copy needs another field in reads", "add reads."
        case ToGeo() if len(reads) > _MOST_FOR_GEO:
            return "reads", ": geo reads one field, or two", "keep two."
        case Join() | ToGeo() | Call() | Drop():
            return None
        case _ if len(reads) > 1:
            return "reads", f": {first.kind} reads one field", "keep one, or begin with join."
        case _:
            return None


def _check_end(subject: _Subject, field: Field, flow: Flow) -> None:
    steps = subject.settings.transform
    wanted: Flow = "vector" if isinstance(field, VectorField) else "value"
    if steps and {flow, wanted} == {"vector", "value"}:
        hint = "a callable of your own, module:callable, can make one from the other."
        what = f": {steps[-1].kind} makes {_named(flow)}, and a {field.type} field holds {_named(wanted)}"
        raise subject.fault("transform", what, hint, part=subject.part(len(steps) - 1))
    only = steps[0] if len(steps) == 1 else None
    if isinstance(only, Constant) and isinstance(field, NumericField) and not _is_number(only.value):
        raise subject.fault("transform", ": the constant of a numeric field must be a number")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(flow: Flow) -> str:
    return "vectors" if flow == "vector" else "texts and numbers"
