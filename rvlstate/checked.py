"""Arguments of the Python API, looked at before anything is done: one of another type is an error that says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import isfunction, signature
from os import PathLike
from typing import Any, TypeVar

from rvlstate.errors import UsageError
from rvlstate.plan.drift import Drift
from rvlstate.plan.plan import Plan
from rvlstate.runtime.admit import ApplyOptions

Class = TypeVar("Class")
Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an argument has to be: a check, its words, and how it is written."""

    fits: Callable[[object], bool]
    words: str
    example: str


def checked(cls: type[Class]) -> type[Class]:
    """The class, of which each public method raises UsageError for an argument that is not of its kind."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, classmethod):
            setattr(cls, name, classmethod(_checking(member.__func__)))
        elif isfunction(member):
            setattr(cls, name, _checking(member))
    return cls


def _checking(method: Method) -> Method:
    """A method that looks at its arguments first; how many there are, and their names, is left to Python."""
    parameters = signature(method)
    kinds = {name: kind for name in parameters.parameters if (kind := _kind(method.__name__, name))}

    @wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        try:
            given = parameters.bind(*args, **named).arguments
        except TypeError:
            given = {}
        for name, kind in kinds.items():
            if name in given and not kind.fits(given[name]):
                raise UsageError(
                    f"{name} has to be {kind.words}; this is {_told(given[name])}",
                    where=f"Project.{method.__name__}",
                    next_step=f"write, for instance, {name}={kind.example}.",
                )
        return method(*args, **named)

    return call if kinds else method  # type: ignore[return-value]  # it takes and gives what the method does


def _kind(method: str, name: str) -> Kind | None:
    return KINDS.get(f"{method}.{name}") or KINDS.get(name)


def _told(value: object) -> str:
    """The type of a value, which may be secret; of options what is wrong within them."""
    if isinstance(value, ApplyOptions):
        return f"one with allow={value.allow!r} and lock_timeout={value.lock_timeout!r}"
    return f"of type {type(value).__name__}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_path(value: object) -> bool:
    return isinstance(value, str | PathLike)


def _is_names(value: object) -> bool:
    return isinstance(value, tuple | list | set | frozenset) and all(isinstance(name, str) for name in value)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and math.isfinite(value)


def _is_options(value: object) -> bool:
    return value is None or (
        isinstance(value, ApplyOptions) and _is_names(value.allow) and _is_amount(value.lock_timeout)
    )


NAME = Kind(fits=_is_text, words="a name in a str", example='"products"')
NAMES = Kind(fits=_is_names, words="names in a tuple or list", example='("products",)')
PATH = Kind(fits=_is_path, words="a path: a str or pathlib.Path", example='"rvlstate.yaml"')
FLAG = Kind(fits=lambda value: isinstance(value, bool), words="True or False", example="True")
AMOUNT = Kind(fits=_is_amount, words="a number, 0 or more", example="5.0")

KINDS: Mapping[str, Kind] = {
    "path": PATH,
    "redis_url": Kind(
        fits=lambda value: value is None or _is_text(value),
        words="a URL in a str, or None",
        example='"redis://host:6379"',
    ),
    "environ": Kind(
        fits=lambda value: value is None or isinstance(value, Mapping), words="a mapping, or None", example="os.environ"
    ),
    "schemas": Kind(
        fits=lambda value: isinstance(value, str) and value in ("required", "optional", "ignored"),
        words='"required", "optional" or "ignored"',
        example='"required"',
    ),
    "env": Kind(fits=_is_text, words='the name of an environment in a str, "" for none', example='"prod"'),
    "targets": NAMES,
    "names": NAMES,
    "roles": Kind(fits=_is_names, words="roles in a tuple or list", example='("plan",)'),
    "name": NAME,
    "run_id": Kind(fits=_is_text, words="the id of a run in a str", example="project.history()[0].id"),
    "lock_id": Kind(fits=_is_text, words="the id of a lock in a str", example="project.status().lock.id"),
    "saved": PATH,
    "backup": Kind(
        fits=lambda value: value is None or _is_path(value), words="the path of a folder, or None", example='"backups"'
    ),
    "plan": Kind(
        fits=lambda value: value is None or isinstance(value, Plan),
        words="a Plan, or None",
        example="project.propose_cutover(name)",
    ),
    "apply.plan": Kind(
        fits=lambda value: value is None or value == "now" or isinstance(value, Plan),
        words='a Plan, or "now"',
        example="project.plan()",
    ),
    "drift": Kind(fits=lambda value: isinstance(value, Drift), words="a Drift", example="project.drift()"),
    "options": Kind(fits=_is_options, words="ApplyOptions, or None", example='ApplyOptions(allow=("SLOW_BUILD",))'),
    "on_event": Kind(fits=callable, words="something that can be called with an event", example="print"),
    "postpone": FLAG,
    "everything": FLAG,
    "documents": FLAG,
    "lock_timeout": AMOUNT,
    "rate": AMOUNT,
    "limit": Kind(
        fits=lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        words="a whole number, 1 or more",
        example="20",
    ),
}
"""Arguments by name, or by method and name, as they are called throughout."""
