"""Values to and from JSON-like data; the door to pydantic."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import Field as Discriminated
from pydantic import TypeAdapter

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.state import State


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The adapter of a type, made once."""
    return TypeAdapter(kind)


def discriminated(union: Any, key: str) -> Any:
    """A union of values that are told apart by one literal attribute."""
    return Annotated[union, Discriminated(discriminator=key)]


def dump_value(value: Any) -> Any:
    """A frozen value as JSON-like data: dicts, lists, str, numbers, None."""
    return adapter(type(value)).dump_python(value, mode="json")


def parse_definition(data: Any) -> IndexDefinition:
    """The definition that `dump_value` wrote. Raises pydantic.ValidationError."""
    parsed: IndexDefinition = adapter(IndexDefinition).validate_python(data)
    return parsed


def parse_state(data: Any) -> State:
    """The state that `dump_value` wrote. Raises pydantic.ValidationError."""
    parsed: State = adapter(State).validate_python(data)
    return parsed
