"""The keys that redisvl's schema files know, taken from redisvl's own models, and the check that a file uses no other.

redisvl ignores a misspelt key; here it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel
from redisvl.schema import IndexInfo, IndexSchema
from redisvl.schema.fields import FIELD_TYPE_MAP, VECTOR_FIELD_TYPE_MAP, BaseField

from rvlstate.errors import SpecError
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping, Node, Path, Place, Scalar, Sequence, as_mapping, place_of, spec_error

VECTOR = "vector"


def check_schema_keys(tree: Mapping) -> None:
    """Raise SpecError at the first key, field type or algorithm that redisvl does not know, or field declared twice."""
    _check(tree, _keys(IndexSchema), "the schema")
    index = tree.get("index")
    if index is not None and not isinstance(index, Mapping):
        raise spec_error(tree.entries["index"].place, "index must be a mapping", key="index")
    _check(as_mapping(index, tree.place), _keys(IndexInfo), "index")
    seen: dict[str, int] = {}
    for path, field in schema_fields(tree):
        _check_field(path, field)
        name = _text(field.get("name"))
        place = field.entries["name"].place
        if name in seen:
            what = f'the field "{name}" is declared twice'
            raise spec_error(
                place, what, key=name, why=f"The other one is in line {seen[name]}.", next_step="keep one."
            )
        seen[name] = place.line


def schema_fields(tree: Mapping) -> Iterator[tuple[Path, Mapping]]:
    """The fields of a schema file with their paths; redisvl takes a list of them, or a mapping by name."""
    for path, item in _field_nodes(tree):
        if not isinstance(item, Mapping):
            raise spec_error(item.place, "a field must be a mapping with name and type", key="fields")
        yield path, item


def no_fields(place: Place) -> SpecError:
    """The error about a schema that declares no fields."""
    return spec_error(place, "the schema declares no fields", key="fields", next_step="declare at least one field.")


def _field_nodes(tree: Mapping) -> list[tuple[Path, Node]]:
    match tree.get("fields"):
        case None:
            return []
        case Sequence(items=items):
            return [(("fields", number), item) for number, item in enumerate(items)]
        case Mapping(entries=entries):
            return [(("fields", name), entry.value) for name, entry in entries.items()]
        case Scalar(value=None):
            raise no_fields(place_of(tree, ("fields",)))
        case Scalar():
            raise spec_error(place_of(tree, ("fields",)), "fields must be a list", key="fields")


def _check_field(path: Path, field: Mapping) -> None:
    for key in ("name", "type"):
        if key not in field.entries:
            raise spec_error(field.place, f"a field has no {key}", key=str(path[0]), next_step=f"give it a {key}.")
    kind = _text(field.get("type"))
    name = _text(field.get("name"))
    attrs = as_mapping(field.get("attrs"), field.place)
    known = _attribute_keys(kind, field, attrs)
    for key, entry in field.entries.items():
        if key not in _keys(BaseField) and key in known:
            what = f'{key} of field "{name}" stands beside attrs, not in it'
            raise spec_error(entry.place, what, key=key, next_step=f"move {key} under attrs.")
    _check(field, _keys(BaseField), f'field "{name}"')
    _check(attrs, known, f'attrs of {kind} field "{name}"')


def _attribute_keys(kind: str, field: Mapping, attrs: Mapping) -> frozenset[str]:
    """The keys that `attrs` may have in a field of type `kind`. Raises SpecError for a type that redisvl lacks."""
    if kind == VECTOR:
        return _vector_keys(attrs)
    if kind not in FIELD_TYPE_MAP:
        place = field.entries["type"].place
        if kind.lower() == "geoshape":
            hint = "declare the field in rvlstate.yaml: indexes.<index>.fields.<field>.type: geoshape."
            raise spec_error(place, "redisvl's schema has no type geoshape", key="type", next_step=hint)
        raise unknown_name(place, f'unknown field type "{kind}"', kind, [*FIELD_TYPE_MAP, VECTOR], key="type")
    return _attrs_of(FIELD_TYPE_MAP[kind])


def _vector_keys(attrs: Mapping) -> frozenset[str]:
    entry = attrs.entries.get("algorithm")
    if entry is None:  # redisvl itself will ask for it
        return frozenset[str]().union(*(_attrs_of(model) for model in VECTOR_FIELD_TYPE_MAP.values()))
    for key in ("datatype", "distance_metric"):  # redisvl calls upper() on them unseen
        value = attrs.entries.get(key)
        if value is not None and not (isinstance(value.value, Scalar) and isinstance(value.value.value, str)):
            raise spec_error(value.place, f"{key} must be text", key=key)
    algorithm = _text(entry.value)
    if algorithm.lower() not in VECTOR_FIELD_TYPE_MAP:
        what = f'unknown algorithm "{algorithm}"'
        raise unknown_name(entry.place, what, algorithm, VECTOR_FIELD_TYPE_MAP, key="algorithm")
    return _attrs_of(VECTOR_FIELD_TYPE_MAP[algorithm.lower()])


@cache
def _keys(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(model.model_fields)


@cache
def _attrs_of(field_model: type[BaseModel]) -> frozenset[str]:
    attrs = field_model.model_fields["attrs"].annotation
    if not (isinstance(attrs, type) and issubclass(attrs, BaseModel)):
        raise TypeError(f"{field_model.__name__}.attrs of this redisvl is no model: {attrs!r}")
    return _keys(attrs)


def _check(node: Mapping, known: frozenset[str], where: str) -> None:
    for key, entry in node.entries.items():
        if key not in known:
            raise unknown_name(entry.place, f'unknown key "{key}" in {where}', key, known, key=key)


def _text(node: Node | None) -> str:
    return str(node.value) if isinstance(node, Scalar) else ""
