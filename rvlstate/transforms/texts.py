"""Single values between text, number, tag and point; UnfitError says why one cannot be converted."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")
_EXACT = 2**53
_LONGITUDE, _LATITUDE = 180.0, 85.05112878
"""The bounds of what Redis takes for a point."""
_SHOWN = 40


class UnfitError(ValueError):
    """A value cannot be converted; the message is the reason."""


def shown(value: Any) -> str:
    """A value as a reason can quote it: short, on one line."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def number_text(number: float) -> str:
    """A number in its shortest form: "3" for 3.0, "0.1" for 0.1."""
    if isinstance(number, float):
        return str(int(number)) if number.is_integer() and abs(number) <= _EXACT else repr(number)
    return str(number)


def as_text(value: Any) -> str:
    """A value as text: numbers in their shortest form, true and false, lists joined by a space, null left out of them.

    Unfit: an object.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case list():
            return " ".join(as_text(item) for item in value if item is not None)
        case _:
            raise UnfitError(f"{shown(value)} is no text")


def as_number(value: Any) -> int | float:
    """A finite number: a number itself, or a text of ASCII digits with sign, point and exponent, blanks around it.

    Unfit: any other text, truth values, lists, objects, NaN and infinity.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number: int | float = value
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        number = int(text) if _WHOLE.fullmatch(text) else float(text)
    else:
        raise UnfitError(f"{shown(value)} is no number")
    if not _finite(number):
        raise UnfitError(f"{shown(value)} is no finite number")
    return number


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond every float
        return False


def as_point(value: Any, order: Literal["lon-lat", "lat-lon"] = "lon-lat") -> str:
    """Two numbers, in a list or in a text with a comma, semicolon or blank between, as "longitude,latitude" in degrees.

    Unfit: not exactly two numbers, a longitude beyond 180 or a latitude beyond 85.05112878.
    """
    parts = _BETWEEN.split(value.strip()) if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2:  # noqa: PLR2004 - a point on the ground has two
        raise UnfitError(f"{shown(value)} is no point")
    numbers = [as_number(part) for part in parts]
    longitude, latitude = numbers if order == "lon-lat" else reversed(numbers)
    if abs(longitude) > _LONGITUDE or abs(latitude) > _LATITUDE:
        raise UnfitError(f"longitude {number_text(longitude)}, latitude {number_text(latitude)} is no point on the map")
    return f"{number_text(longitude)},{number_text(latitude)}"


def as_tag(value: Any, separator: str) -> str:
    """A value as a tag of a hash: text as it is, a list joined by the separator ("" stands for a comma).

    Unfit: an object; a tag of a list that holds the separator itself.
    """
    separator = separator or ","
    if not isinstance(value, list):
        return as_text(value)
    tags = [as_text(item) for item in value if item is not None]
    torn = [tag for tag in tags if separator in tag]
    if torn:
        raise UnfitError(f"the tag {shown(torn[0])} holds the separator {shown(separator)}")
    return separator.join(tags)
