"""Which values of which documents a change of an index needs written: from facts to a `Rewrite`.

| fact                             | written                         | from                   | told done by        |
|----------------------------------|---------------------------------|------------------------|---------------------|
| field added, with a transform    | the new field                   | its `reads`            | presence            |
| datatype or dims of a hash vector| the vector                      | itself, or its `reads` | length, else marker |
| field renamed in the documents   | the new place; the old one goes | the old, or `reads`    | absence of the old  |
| type changed, with a transform   | the field                       | itself, or its `reads` | marker              |
| version of a transform raised    | the field                       | itself, or its `reads` | marker              |
| field removed, transform: drop   | nothing; the field goes         |                        | absence             |
| storage                          | the whole document              |                        | the type of the key |
| prefix                           | nothing; the key is renamed     |                        | the key             |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rvlstate.diff.facts import (
    AttributeChanged,
    Fact,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRetyped,
    SettingChanged,
    ValuesOutdated,
)
from rvlstate.model.address import field_address, index_address
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import DesiredIndex, FieldSettings
from rvlstate.model.field import INTEGERS, Field, TagField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Layout, Source, VectorShape
from rvlstate.model.transform import Call, Cast, Constant, Copy, Drop, TransformStep, Truncate
from rvlstate.plan.remedies import Remedy

LARGEST_STEP = {"int8": 127, "uint8": 255}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentWork:
    """What is to be written into the documents of one index; `refusals` say why it cannot be done as declared."""

    fields: tuple[FieldRewrite, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    changes_storage: bool = False
    refusals: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether documents are touched at all."""
        return bool(self.fields or self.moves or self.changes_storage)


def document_work(
    judged: Iterable[tuple[Fact, Remedy]], before: IndexDefinition, wanted: DesiredIndex, scales: Mapping[str, float]
) -> DocumentWork:
    """What the facts whose remedy writes documents need written; `scales` are those of integer vectors, by field."""
    facts = [fact for fact, remedy in judged if remedy.documents and remedy.classification != "refused"]
    changes = _Changes(before=before, wanted=wanted, scales=scales)
    fields: dict[str, FieldRewrite] = {}
    refusals: list[str] = []
    for fact in facts:
        name = _field_of(fact)
        if name is None or name in fields:
            continue
        made = _rewrite(fact, facts, changes)
        if isinstance(made, str):
            refusals.append(made)
        else:
            fields[name] = made
    moves, refusal = _moves(facts, wanted.name)
    return DocumentWork(
        fields=tuple(fields[name] for name in sorted(fields)),
        moves=moves,
        changes_storage=changes.converts,
        refusals=(*refusals, *refusal),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """Both sides of a change."""

    before: IndexDefinition
    wanted: DesiredIndex
    scales: Mapping[str, float]

    @property
    def converts(self) -> bool:
        """Whether each document turns from a hash into JSON or back."""
        return self.before.storage != self.wanted.definition.storage

    @property
    def json(self) -> bool:
        """Whether what is read is JSON."""
        return self.before.storage == "json"

    def source(self, name: str) -> Source:
        """What is meant by a name of `reads`: a field as it was, by either of its names, a new one, or a place."""
        old = self.before.field(self.wanted.field_settings(name).renamed_from or name)
        field = self.before.field(name) or old or self.wanted.definition.field(name)
        if field is not None:
            return source_of(field)
        return Source(identifier=f"$.{name}" if self.json and not name.startswith("$") else name)


def source_of(field: Field) -> Source:
    """Where a field is in the documents, and in which form."""
    if isinstance(field, VectorField):
        return Source(
            identifier=field.identifier, kind="vector", shape=VectorShape(datatype=field.datatype, dims=field.dims)
        )
    separator = field.separator if isinstance(field, TagField) else ","
    return Source(identifier=field.identifier, kind=field.type, separator=separator)


def _field_of(fact: Fact) -> str | None:
    """The field that a fact is about, by its new name; None for one about the whole index."""
    match fact:
        case FieldAdded() | FieldRemoved():
            return fact.field.name
        case FieldRenamed() | FieldRetyped():
            return fact.after.name
        case AttributeChanged() | ValuesOutdated():
            return fact.field
        case _:
            return None


def _rewrite(fact: Fact, facts: list[Fact], changes: _Changes) -> FieldRewrite | str:
    name = _field_of(fact) or ""
    if isinstance(fact, FieldRemoved):
        return FieldRewrite(field=name, steps=(Drop(),), removes=(fact.field.identifier,), layout="absence")
    after = changes.wanted.definition.field(name)
    if after is None:
        return f"{field_address(changes.wanted.name, name)}: it is not declared, so nothing can be written for it"
    renamed = next((item for item in facts if isinstance(item, FieldRenamed) and item.after.name == name), None)
    settings = changes.wanted.field_settings(name)
    own = renamed.before if renamed else changes.before.field(name)
    return _written(after, own, settings, changes)


def _written(after: Field, own: Field | None, settings: FieldSettings, changes: _Changes) -> FieldRewrite | str:
    address = field_address(changes.wanted.name, after.name)
    writes = source_of(after)
    reads = tuple(changes.source(name) for name in settings.reads)
    steps = settings.transform or ((Cast(),) if writes.kind == "vector" else (Copy(),))
    if not reads and not isinstance(steps[0], Constant):
        if own is None:
            return f"{address}: its transform does not say which fields it reads: declare reads"
        reads = (source_of(own),)
    refusal = _refused_dims(address, reads, writes, steps)
    if refusal:
        return refusal
    moved = own is not None and (own.name != after.name if changes.converts else own.identifier != after.identifier)
    removes = (own.identifier,) if own is not None and moved else ()
    return FieldRewrite(
        field=after.name,
        reads=reads,
        steps=_scaled(steps, after.name, writes, changes.scales),
        writes=writes,
        removes=removes,
        layout=_layout(own, writes, () if changes.converts else removes, changes),
    )


def _refused_dims(address: str, reads: tuple[Source, ...], writes: Source, steps: tuple[TransformStep, ...]) -> str:
    """Why vectors cannot get the declared length, "" if they can; a callable of the user's may make any length."""
    before = reads[0].shape if len(reads) == 1 else None
    if before is None or writes.shape is None or any(isinstance(step, Call) for step in steps):
        return ""
    becomes = writes.shape.dims
    trimmed = any(isinstance(step, Truncate) for step in steps) and before.dims > becomes
    if before.dims == becomes or trimmed:
        return ""
    return (
        f"{address}.dims: stored vectors have {before.dims} values and cannot become {becomes} by this transform: "
        "truncate makes them shorter, a callable of your own computes new ones"
    )


def _scaled(
    steps: tuple[TransformStep, ...], name: str, writes: Source, scales: Mapping[str, float]
) -> tuple[TransformStep, ...]:
    """The steps with the scale by which integers are made, if the field is to hold any."""
    if writes.shape is None or writes.shape.datatype not in INTEGERS:
        return steps
    scale = scales.get(name, 1 / LARGEST_STEP[writes.shape.datatype])
    if not any(isinstance(step, Cast) for step in steps):
        return (*steps, Cast(scale=scale))
    return tuple(
        replace(step, scale=scale) if isinstance(step, Cast) and step.scale is None else step for step in steps
    )


def _layout(own: Field | None, writes: Source, removes: tuple[str, ...], changes: _Changes) -> Layout:
    if removes:
        return "absence"
    if own is None:
        return "presence"
    before = source_of(own).shape
    told_by_length = (
        not changes.json
        and before is not None
        and writes.shape is not None
        and own.identifier == writes.identifier
        and before.nbytes != writes.shape.nbytes
    )
    return "length" if told_by_length else "marker"


def _moves(facts: list[Fact], name: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The prefixes that documents move between, and why that cannot be told."""
    fact = next((item for item in facts if isinstance(item, SettingChanged) and item.setting == "prefixes"), None)
    if fact is None or not isinstance(fact.before, tuple) or not isinstance(fact.after, tuple):
        return (), ()
    old, new = sorted(set(fact.before) - set(fact.after)), sorted(set(fact.after) - set(fact.before))
    if len(old) == len(new) == 1:
        return ((old[0], new[0]),), ()
    address = index_address(name, "prefixes")
    return (), (
        (
            f"{address}: documents move from {', '.join(old) or 'none'} to {', '.join(new) or 'none'}, and nothing "
            "tells which goes where: change one prefix at a time"
        ),
    )
