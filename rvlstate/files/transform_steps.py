"""`transform` as it is written to the steps that it means.

| written                                    | means                                                    |
|--------------------------------------------|----------------------------------------------------------|
| `cast`                                     | a step as it is without parameters                       |
| `module:callable`                          | a callable of the user's own                             |
| `{split: ","}`                             | a step with its main parameter                           |
| `{split: {separator: ",", part: 1}}`       | a step with its parameters by name                       |
| a list of these                            | a chain                                                  |
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Values
from dataclasses import dataclass
from typing import Any

from rvlstate.errors import SpecError
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping, Node, Place, Scalar, Sequence, data_of, spec_error
from rvlstate.model.transform import (
    Call,
    Cast,
    Constant,
    Copy,
    Drop,
    Join,
    Normalize,
    Split,
    ToGeo,
    ToNumber,
    ToTag,
    ToText,
    TransformStep,
    Truncate,
)

CALLABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""How a callable of the user's own is written."""

_SMALLEST, _LARGEST = 1e-30, 1e30
"""The bounds of a scale: beyond them, float32 cannot divide by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a step is written: what it means, its parameters with their kinds, the main one, those that it needs."""

    step: Any
    parameters: Values[str, str]
    main: str = ""
    required: bool = False


STEPS: Values[str, Form] = {
    "cast": Form(step=Cast, parameters={"scale": "scale"}, main="scale"),
    "truncate": Form(step=Truncate, parameters={}),
    "normalize": Form(step=Normalize, parameters={}),
    "copy": Form(step=Copy, parameters={}),
    "constant": Form(step=Constant, parameters={"value": "value"}, main="value", required=True),
    "drop": Form(step=Drop, parameters={}),
    "join": Form(step=Join, parameters={"separator": "text"}, main="separator"),
    "split": Form(step=Split, parameters={"separator": "sign", "part": "whole"}, main="separator", required=True),
    "number": Form(step=ToNumber, parameters={}),
    "text": Form(step=ToText, parameters={}),
    "tag": Form(step=ToTag, parameters={"lower": "truth"}),
    "geo": Form(step=ToGeo, parameters={"order": "order"}, main="order"),
}
"""Name of a step -> how it is written."""

_PHRASES = {
    "scale": f"must be a number between {_SMALLEST:g} and {_LARGEST:g}",
    "value": "must be a text, a number, true or false",
    "text": "must be text",
    "sign": "must be text, and not empty",
    "whole": "must be a whole number",
    "truth": "must be true or false",
    "order": "must be lon-lat or lat-lon",
}


def read_steps(node: Node, key: str) -> tuple[TransformStep, ...]:
    """The steps of a `transform`; `key` is its path in the file. Raises SpecError at the part that is wrong."""
    if isinstance(node, Scalar) and node.value is None:
        return ()
    if not isinstance(node, Sequence):
        return (_step(node, key),)
    if not node.items:
        raise spec_error(node.place, f"{key} is a chain of no steps", key=key, next_step="remove it.")
    return tuple(_step(item, f"{key}[{position}]") for position, item in enumerate(node.items))


def _step(node: Node, key: str) -> TransformStep:
    match node:
        case Scalar(value=str(name)):
            return _bare(name, node.place, key)
        case Mapping() if len(node.entries) == 1:
            ((name, entry),) = node.entries.items()
            return _with_parameters(name, entry.value, entry.place, key)
        case Mapping():
            raise _not_one_key(node, key)
        case _:
            what = f"{key} must be a step, such as cast or module:callable, or a list of steps"
            raise spec_error(node.place, what, key=key)


def _bare(name: str, place: Place, key: str) -> TransformStep:
    if name in STEPS:
        form = STEPS[name]
        if form.required:
            what = f"{key}: {name} needs its {form.main}"
            raise spec_error(place, what, key=key, next_step=f"write {{{name}: ...}}.")
        step: TransformStep = form.step()
        return step
    if CALLABLE.fullmatch(name):
        return Call(function=name)
    if ":" in name:
        what = f'{key}: "{name}" is no module:callable'
        why = "Both are names of Python, of letters, digits and underscores; the module may have dots."
        raise spec_error(place, what, key=key, why=why, next_step="the module is a file beside the project file.")
    raise _unknown(name, place, key)


def _unknown(name: str, place: Place, key: str) -> SpecError:
    what = f'{key}: unknown step "{name}"'
    return unknown_name(place, what, name, STEPS, key=key, otherwise="a callable of your own is module:callable.")


def _not_one_key(node: Mapping, key: str) -> SpecError:
    known = [name for name in node.entries if name in STEPS]
    if len(known) == 1 and STEPS[known[0]].main:
        form = STEPS[known[0]]
        hint = f"write {{{known[0]}: {{{', '.join(f'{name}: ...' for name in form.parameters)}}}}}."
    else:
        hint = "write a list for several steps."
    return spec_error(node.place, f"{key} must have one key, the step", key=key, next_step=hint)


def _with_parameters(name: str, value: Node, place: Place, key: str) -> TransformStep:
    form = STEPS.get(name)
    if form is None:
        if ":" in name:
            raise spec_error(place, f"{key}: a callable has no parameters", key=key, next_step=f'write "{name}".')
        raise _unknown(name, place, key)
    if isinstance(value, Mapping):
        return _named(name, form, value, key)
    if not form.main:
        what = f"{key}: {name} has no main parameter"
        hint = f"write {{{name}: {{{next(iter(form.parameters))}: ...}}}}." if form.parameters else f"write {name}."
        raise spec_error(place, what, key=key, next_step=hint)
    _check(form.parameters[form.main], data_of(value), place, f"{key}.{name}")
    step: TransformStep = form.step(**{form.main: data_of(value)})
    return step


def _named(name: str, form: Form, value: Mapping, key: str) -> TransformStep:
    for parameter, entry in value.entries.items():
        if parameter not in form.parameters:
            what = f'{key}: {name} has no parameter "{parameter}"'
            raise unknown_name(entry.place, what, parameter, form.parameters, key=key)
        _check(form.parameters[parameter], data_of(entry.value), entry.place, f"{key}.{name}.{parameter}")
    if form.required and form.main not in value.entries:
        raise spec_error(value.place, f"{key}: {name} needs its {form.main}", key=key, next_step="add it.")
    step: TransformStep = form.step(**data_of(value))
    return step


def _check(kind: str, value: Any, place: Place, key: str) -> None:
    if not _fits(kind, value):
        raise spec_error(place, f"{key} {_PHRASES[kind]}", key=key)


def _fits(kind: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "scale":
            return number and _SMALLEST <= value <= _LARGEST
        case "value":
            return isinstance(value, str | bool) or (number and abs(value) <= _LARGEST)
        case "whole":
            return isinstance(value, int) and number
        case "truth":
            return isinstance(value, bool)
        case "order":
            return value in ("lon-lat", "lat-lon")
        case _:
            return isinstance(value, str) and (kind == "text" or value != "")
