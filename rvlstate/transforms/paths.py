"""JSON paths: what they match in a document, and where they put a value into a new one.

Understood are `$`, `.name`, `["name"]`, `[0]`, `[-1]`, `[1:3]`, `[*]`, `.*` and `..name`; no filters and no unions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from rvlstate.transforms.texts import UnfitError

_STEP = re.compile(
    r"""(?P<deep>\.\.)?(?:
        \.?\[\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
            |(?P<every>\*)|(?P<slice>-?\d*:-?\d*)|(?P<index>-?\d+))\s*\]
        |(?:\.|(?<=\.\.)|^)(?P<name>[^.\[\]*\s"'$@?()]+|\*)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Name:
    """A member of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An item of an array; negative ones count from the end."""

    index: int


@dataclass(frozen=True, slots=True)
class Every:
    """All members or items, or those from `start` to before `stop`."""

    start: int | None = None
    stop: int | None = None

    @property
    def part(self) -> slice:
        """The same as Python says it."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Deep:
    """Everything below, and the value itself."""


PathStep: TypeAlias = Name | Index | Every | Deep


def is_several(path: str) -> bool:
    """Whether a path may match more than one value: JSON.GET's list of matches is then the value of its column."""
    bare = re.sub(r"""\[\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\]""", "", path)
    return any(sign in bare for sign in ("*", "..", "?", ":", ","))


@lru_cache(maxsize=1024)
def parse_path(path: str) -> tuple[PathStep, ...]:
    """The steps of a path; one without `$` is of the old syntax and begins at the root. Raises UnfitError."""
    rest = path[1:] if path.startswith("$") else path.removeprefix(".")
    steps: list[PathStep] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise UnfitError(f"the JSON path {path} cannot be followed here")
        steps += [Deep()] if found["deep"] else []
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> PathStep:
    for quoted in (found["double"], found["single"]):
        if quoted is not None:
            return Name(re.sub(r"\\(.)", r"\1", quoted))
    if found["index"]:
        return Index(int(found["index"]))
    if found["slice"]:
        start, stop = (int(part) if part else None for part in found["slice"].split(":"))
        return Every(start, stop)
    return Every() if found["every"] or found["name"] == "*" else Name(found["name"])


def matches(document: Any, path: str) -> list[Any]:
    """All values of a parsed document that a path matches, in the order of the document."""
    found = [document]
    for step in parse_path(path):
        found = [value for one in found for value in _under(one, step)]
    return found


def value_at(document: Any, path: str) -> Any:
    """The value of a column: of a path with several matches their list, else the value, None if there is none."""
    found = matches(document, path)
    return found if is_several(path) else next(iter(found), None)


def _under(value: Any, step: PathStep) -> Iterator[Any]:
    match step:
        case Name(name=name):
            if isinstance(value, dict) and name in value:
                yield value[name]
        case Index(index=index):
            if isinstance(value, list) and -len(value) <= index < len(value):
                yield value[index]
        case Every():
            yield from _parts(value)[step.part]
        case Deep():
            yield value
            for inner in _parts(value):
                yield from _under(inner, step)


def _parts(value: Any) -> list[Any]:
    """What an object or an array is made of; nothing for anything else."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value into a new document, making the objects on the way; `[*]` at the end stands for the list itself.

    Raises UnfitError for a path through arrays, and where something else is there already.
    """
    steps = parse_path(path)
    names = [step.name for step in (steps[:-1] if steps and steps[-1] == Every() else steps) if isinstance(step, Name)]
    if not names or len(names) < len(steps) - (steps[-1] == Every()):
        raise UnfitError(f"nothing can be written to the JSON path {path} of a new document")
    place = document
    for name in names[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise UnfitError(f"{name} is in the way of {path}")
    if names[-1] in place:
        raise UnfitError(f"{names[-1]} is in the way of {path}")
    place[names[-1]] = value


def take(document: Any, path: str) -> None:
    """Remove what a path matches from a parsed document, and the objects and arrays that are empty then."""
    _take(document, parse_path(path))


def _take(value: Any, steps: tuple[PathStep, ...]) -> bool:
    """Remove what the steps match within `value`; whether something was, and nothing is left of it."""
    if not steps:
        return True
    if isinstance(steps[0], Deep):
        below = _remove(value, steps[0], steps)
        return _take(value, steps[1:]) or (below and not value)
    return _remove(value, steps[0], steps[1:]) and not value


def _remove(value: Any, step: PathStep, later: tuple[PathStep, ...]) -> bool:
    """Remove what a step leads to, if nothing is left of it after the later ones; whether anything was removed."""
    places: list[Any] = list(value) if isinstance(value, dict) else list(range(len(_parts(value))))
    gone = [place for place in _chosen(places, step) if _take(value[place], later)]
    for place in reversed(gone):
        del value[place]
    return bool(gone)


def _chosen(places: list[Any], step: PathStep) -> list[Any]:
    """Those of the keys of an object, or of the positions of an array, that a step leads to."""
    match step:
        case Name(name=name):
            return [name] if name in places else []
        case Index(index=index):
            numbers = places if places[:1] == [0] else []
            return [index % len(numbers)] if -len(numbers) <= index < len(numbers) else []
        case Every():
            return places[step.part]
        case Deep():
            return places
