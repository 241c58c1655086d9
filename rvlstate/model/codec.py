"""Values to and from JSON-like data; the door to pydantic."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Annotated, Any, cast

from pydantic import Field as Discriminated
from pydantic import TypeAdapter

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.state import State


@cache
def adapter(kind: Hashable) -> TypeAdapter[Any]:
    """The adapter of a type, made once."""
    made: TypeAdapter[Any] = TypeAdapter(cast("Any", kind))
    return made


def discriminated(union: Any, key: str) -> Any:
    """A union of values that are told apart by one literal attribute."""
    return Annotated[union, Discriminated(discriminator=key)]


def dump_value(value: Any) -> Any:
    """A frozen value as JSON-like data: dicts, lists, str, numbers, None."""
    return adapter(cast("Hashable", type(value))).dump_python(value, mode="json")


def parse_definition(data: Any) -> IndexDefinition:
    """The definition that `dump_value` wrote. Raises pydantic.ValidationError."""
    parsed: IndexDefinition = adapter(cast("Hashable", IndexDefinition)).validate_python(data)
    return parsed


def parse_state(data: Any) -> State:
    """The state that `dump_value` wrote. Raises pydantic.ValidationError."""
    parsed: State = adapter(cast("Hashable", State)).validate_python(data)
    return parsed
