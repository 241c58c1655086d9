"""What redisvl accepts and the way to the server does not: refused here, before anything is planned.

| attribute                | refused                       | because                                                |
|--------------------------|-------------------------------|--------------------------------------------------------|
| phonetic_matcher         | other than the four known     | redis-py drops it silently, the server refuses it      |
| no_index                 | without sortable              | redis-py raises; the project file can say it           |
| separator                | other than one character      | FT.CREATE refuses it (measured)                        |
| weight, epsilon          | NaN, infinite                 | FT.CREATE refuses infinity; NaN never equals itself    |
| dims, m, ef_*, ...       | below their least value       | FT.CREATE refuses them (measured)                      |
"""

from __future__ import annotations

import math
from typing import Any, Final

from redisvl.schema import IndexSchema

from rvlstate.errors import SpecError
from rvlstate.files.schema_keys import schema_fields
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping, Place, Scalar, spec_error

PHONETIC_MATCHERS: Final = ("dm:en", "dm:es", "dm:fr", "dm:pt")
"""The phonetic matchers of RediSearch: double metaphone for English, Spanish, French and Portuguese."""

LEAST: Final = {
    "dims": 1,
    "m": 1,
    "ef_construction": 1,
    "ef_runtime": 1,
    "block_size": 1,
    "initial_cap": 0,
    "epsilon": 0,
}
"""The least value of a number that FT.CREATE accepts (measured on RediSearch 2.10.5)."""

_MAX_ASCII = 0x7F


def check_limits(schema: IndexSchema, tree: Mapping) -> None:
    """Raise SpecError at the first attribute that redisvl accepts and FT.CREATE would never get or take."""
    for _, node in schema_fields(tree):
        written = node.get("attrs")
        name = node.get("name")
        if isinstance(written, Mapping) and isinstance(name, Scalar):
            _check_field(schema.index.name, schema.fields[name.value], written)


def _check_field(index: str, field: Any, written: Mapping) -> None:
    for name, entry in written.entries.items():
        value = getattr(field.attrs, name)
        fault = _fault(name, value, field.attrs)
        if fault:
            what, hint = fault
            next_step = hint.format(index=index, field=field.name)
            raise _error(entry.place, f'{name} of field "{field.name}" {what}', name, value, next_step)


def _error(place: Place, what: str, name: str, value: Any, next_step: str) -> SpecError:
    if name == "phonetic_matcher":
        return unknown_name(place, what, value, PHONETIC_MATCHERS, key=name)
    return spec_error(place, what, key=name, next_step=next_step)


def _fault(name: str, value: Any, attrs: Any) -> tuple[str, str] | None:
    """What is wrong with an attribute, and what to do next; None if nothing is."""
    if value is None:
        return None
    match name:
        case "phonetic_matcher" if value not in PHONETIC_MATCHERS:
            return f'is "{value}", which the server does not know', ""
        case "no_index" if value and not attrs.sortable:
            hint = "write it in rvlstate.yaml instead: indexes.{index}.fields.{field}.no_index: true."
            return "needs sortable, or redis-py refuses it", hint
        case "separator" if value == "":
            hint = 'on JSON, write it in rvlstate.yaml: indexes.{index}.fields.{field}.separator: "".'
            return "is empty, which FT.CREATE refuses", hint
        case "separator" if len(value) != 1 or not 0 < ord(value) <= _MAX_ASCII:
            return f"must be one ASCII character, not {value!r}", ""
        case "weight" | "epsilon" if not math.isfinite(value):
            return "must be a finite number", ""
    least = LEAST.get(name)
    if least is not None and not value >= least:
        return f"must be at least {least}", ""
    return None
