"""pydantic's complaints about a block of the project file, said as SpecErrors at the line that is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rvlstate.errors import SpecError
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping, Path, data_of, node_at, place_of, spec_error

BlockType = TypeVar("BlockType", bound=BaseModel)

_PHRASES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
}

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most"}


def parse_block(model: type[BlockType], node: Mapping, path: Path = ()) -> BlockType:
    """The node as a checked value; `path` says where it stands in its file. Raises SpecError at the first fault."""
    try:
        return model.model_validate(data_of(node))
    except ValidationError as error:
        # By line, since a person mends a file from the top.
        faults = sorted(error.errors(), key=lambda fault: place_of(node, fault["loc"]).line)
        raise _complaint(model, node, path, faults[0]) from error


def dotted(path: Path) -> str:
    """A path as it is spoken of: `indexes.products.checks[0].knn`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _complaint(model: type[BaseModel], node: Mapping, path: Path, fault: Any) -> SpecError:
    loc = _real_path(node, fault["loc"])
    place = place_of(node, loc)
    key = dotted(path + loc)
    if fault["type"] == "extra_forbidden":
        parent = dotted(path + loc[:-1])
        what = f'unknown key "{loc[-1]}"' + (f" in {parent}" if parent else "")
        return unknown_name(place, what, str(loc[-1]), _known_keys(model, loc[:-1]), key=key)
    if fault["type"] == "missing":
        where = place if len(loc) > 1 or path else replace(place, line=0)
        what = f"the key {key} is missing"
        return spec_error(where, what, key=key, next_step="add it; docs/project-file.md has an example.")
    return spec_error(place, f"{key} {_phrase(fault)}", key=key)


def _phrase(fault: Any) -> str:
    if fault["type"] == "literal_error":
        expected = fault["ctx"]["expected"].replace("'", "")
        return f"must be {expected or 'empty text'}"
    for bound, words in _BOUNDS.items():
        if bound in fault.get("ctx", {}):
            return f"must be {words} {fault['ctx'][bound]:g}"
    return _PHRASES.get(fault["type"], str(fault["msg"]))


def _real_path(node: Mapping, loc: Path) -> Path:
    """`loc` without the names that pydantic gives to the arms of a union; the last part may be a missing key."""
    kept: Path = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if last or node_at(node, (*kept, part)) is not None:
            kept = (*kept, part)
    return kept


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys of the block at `path`."""
    kinds = _blocks_at(model, path)
    return sorted({name for kind in kinds for name in kind.model_fields})


def _blocks_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    kinds = [model]
    for part in path:
        fields = [kind.model_fields[str(part)].annotation for kind in kinds if part in kind.model_fields]
        if fields:
            kinds = [kind for field in fields for kind in _blocks_within(field)]
    return kinds


def _blocks_within(annotation: Any) -> list[type[BaseModel]]:
    """The block types that an annotation is made of: of `dict[str, IndexBlock]`, IndexBlock."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _blocks_within(part)]
