"""Schema files in redisvl's own format, read strictly; redisvl is the parser of record, and this package its only door.

A file is read as it is: nothing is interpolated in it, so that redisvl reads the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from redisvl.schema import IndexInfo, IndexSchema
from redisvl.schema.fields import FieldFactory

from rvlstate.errors import SpecError
from rvlstate.files.blame import dotted
from rvlstate.files.names import name_fault, shown
from rvlstate.files.redisvl_log import redisvl_warnings
from rvlstate.files.schema_definition import definition_from_schema
from rvlstate.files.schema_dump import DumpedSchema, dump_schema
from rvlstate.files.schema_keys import check_schema_keys, schema_fields
from rvlstate.files.schema_limits import check_limits
from rvlstate.files.settings_edit import add_index_settings
from rvlstate.files.tree import Mapping, Place, data_of, place_of, spec_error
from rvlstate.files.tree import Path as TreePath
from rvlstate.files.yaml_text import parse_tree, read_text

__all__ = [
    "DumpedSchema",
    "SchemaFile",
    "add_index_settings",
    "definition_from_schema",
    "dump_schema",
    "load_schema",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFile:
    """A schema file that was read: the index it declares, where its name and fields stand, what redisvl warned of."""

    name: str
    place: Place
    fields_place: Place
    schema: IndexSchema
    warnings: tuple[str, ...] = ()


def load_schema(path: Path) -> SchemaFile:
    """The index that a file declares. Raises SpecError with the line of the first fault."""
    file = path.as_posix()
    tree = parse_tree(read_text(path), file)
    check_schema_keys(tree)
    with redisvl_warnings() as warnings:
        schema = _parse(data_of(tree), tree)
    place = place_of(tree, ("index", "name"))
    fault = name_fault(schema.index.name)
    if fault:
        raise spec_error(place, f"the index name {shown(schema.index.name)} {fault}", key="index.name")
    check_limits(schema, tree)
    found = tuple(f"{file}: {message}" for message in dict.fromkeys(warnings))
    return SchemaFile(
        name=schema.index.name,
        place=place,
        fields_place=place_of(tree, ("fields",)),
        schema=schema,
        warnings=found,
    )


def _parse(data: dict[str, Any], tree: Mapping) -> IndexSchema:
    try:
        return IndexSchema.from_dict(data)
    except (ValueError, TypeError, AttributeError) as error:  # redisvl lets all three out on a wrong type
        raise _refusal(data, tree, error) from error


def _refusal(data: dict[str, Any], tree: Mapping, error: Exception) -> SpecError:
    """What redisvl itself says about a schema, at the line that it is about.

    redisvl validates the parts inside a validator of the whole, so the place is lost; each part is tried again here.
    """
    index_error = _attempt(IndexInfo, data.get("index") or {})
    if index_error:
        return _words(tree, ("index",), "index", index_error)
    for path, field in schema_fields(tree):
        part = data_of(field)
        field_error = _attempt(FieldFactory.create_field, part)
        if field_error:
            return _words(tree, path, f'field "{part["name"]}"', field_error)
    whole = isinstance(error, ValidationError) and error.errors()[0]["loc"]
    return _words(tree, () if whole else ("fields",), "the schema", error)


def _attempt(build: Any, arguments: dict[str, Any]) -> Exception | None:
    try:
        build(**arguments)
    except (ValueError, TypeError, AttributeError) as error:
        return error
    return None


def _words(tree: Mapping, path: TreePath, what: str, error: Exception) -> SpecError:
    loc: TreePath = ()
    text = str(error)
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        loc = fault["loc"]
        text = fault["msg"].removeprefix("Value error, ")
    about = f"{what}, {dotted(loc)}" if loc else what
    return spec_error(place_of(tree, (*path, *loc)), f"redisvl refuses {about}: {text}", key=dotted((*path, *loc)))
