"""Transforms as values: how the new value of a field comes about. What they compute is in `rvlstate.transforms`.

A transform is a chain of these, applied in order to the columns that are read; at its end the value is written in the
declared form of the field: a vector in its datatype and dims, a number as a number of JSON, everything else as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Write a vector in the declared datatype; `scale` is the value of one integer step (None: found from a sample)."""

    kind: Literal["cast"] = "cast"
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """Keep the first dims values of a vector (Matryoshka embeddings)."""

    kind: Literal["truncate"] = "truncate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """Scale a vector to L2 length 1."""

    kind: Literal["normalize"] = "normalize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The value of another field as it is."""

    kind: Literal["copy"] = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same value for every document."""

    kind: Literal["constant"] = "constant"
    value: str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Remove the field from the documents."""

    kind: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Several fields as one text, those that are there, with `separator` between."""

    kind: Literal["join"] = "join"
    separator: str = " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One part of a text that `separator` divides; `part` counts from 0, or from the end if negative."""

    kind: Literal["split"] = "split"
    separator: str
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToNumber:
    """A text as a number."""

    kind: Literal["number"] = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToText:
    """A value as text: numbers in their shortest form, lists joined by a space."""

    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTag:
    """A text as a tag, with `lower` in lower case; in a hash, lists are joined by the field's separator."""

    kind: Literal["tag"] = "tag"
    lower: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToGeo:
    """Two numbers, or a text that holds two, as "longitude,latitude"; `order` says what comes first in what is read."""

    kind: Literal["geo"] = "geo"
    order: Literal["lon-lat", "lat-lon"] = "lon-lat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A callable of the user's own, `module:name` beside the project file, over columns of a batch."""

    kind: Literal["call"] = "call"
    function: str


TransformStep: TypeAlias = (
    Cast | Truncate | Normalize | Copy | Constant | Drop | Join | Split | ToNumber | ToText | ToTag | ToGeo | Call
)


def user_functions(steps: tuple[TransformStep, ...]) -> tuple[str, ...]:
    """The user's own callables among the steps, in order."""
    return tuple(step.function for step in steps if isinstance(step, Call))
