"""Which settings of the project file fit which field, and the checks that they do.

| key                      | fits                                   | elsewhere                                  |
|--------------------------|----------------------------------------|--------------------------------------------|
| transform, reads,        | every field; transform: drop, one that |                                            |
| renamed_from, version    | the schema does not declare            |                                            |
| identifier               | every field of a hash index; geoshape  | JSON: the schema file has `path`           |
| unf                      | tag, geo, geoshape                     | text, numeric: the schema file has it      |
| no_index                 | every field but a vector               |                                            |
| separator ("" only)      | tag of a JSON index                    | the schema file has it                     |
| type, coord_system,      | a field that the schema does not       | the schema file has index_missing and      |
| index_missing, sortable  | declare: type: geoshape                | sortable                                   |
"""

from __future__ import annotations

from collections.abc import Mapping as Values

from rvlstate.files.spec import FieldBlock, IndexBlock
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping, Place, place_of, spec_error

SHAPE = "geoshape"

_ALWAYS = frozenset({"transform", "reads", "renamed_from", "version"})
_DROPPED = "dropped"
_FITS: dict[str, frozenset[str]] = {
    "text": frozenset({"identifier", "no_index"}),
    "tag": frozenset({"identifier", "no_index", "unf", "separator"}),
    "numeric": frozenset({"identifier", "no_index"}),
    "geo": frozenset({"identifier", "no_index", "unf"}),
    "vector": frozenset({"identifier"}),
    _DROPPED: frozenset(),
    SHAPE: frozenset({"identifier", "no_index", "unf", "type", "coord_system", "index_missing", "sortable"}),
}
_ELSEWHERE = {
    "identifier": "on JSON, write path in the schema file.",
    "separator": "write it under attrs in the schema file.",
    "unf": "for text and numeric fields, write it under attrs in the schema file.",
    "index_missing": "write it under attrs in the schema file.",
    "sortable": "write it under attrs in the schema file.",
    "coord_system": "it needs type: geoshape beside it.",
}


def check_field_settings(block: IndexBlock, tree: Mapping, name: str, types: Values[str, str], storage: str) -> None:
    """Raise SpecError unless the settings of index `name` fit its fields; `types` are the declared field types.

    `tree` holds the settings as written, for places.
    """
    for field, settings in block.fields.items():
        place = place_of(tree, ("fields", field))
        key = f"indexes.{name}.fields.{field}"
        kind = _kind(settings, types.get(field), place, key)
        if kind is None:
            what = f'{key}: the index "{name}" has no field "{field}"'
            raise unknown_name(place, what, field, types, key=key)
        _check_keys(settings, tree, field, key, (kind, storage))
        if settings.renamed_from == field:
            own = place_of(tree, ("fields", field, "renamed_from"))
            raise spec_error(own, f"{key}.renamed_from is the field itself", key=key, next_step="remove it.")


def _kind(settings: FieldBlock, declared: str | None, place: Place, key: str) -> str | None:
    if settings.type is None:
        return _DROPPED if declared is None and settings.transform == "drop" else declared
    if declared is not None:
        what = f"{key} declares a {SHAPE} field, and the schema file a {declared} field of that name"
        raise spec_error(place, what, key=key, next_step="remove one of them.")
    return SHAPE


def _check_keys(settings: FieldBlock, tree: Mapping, field: str, key: str, target: tuple[str, str]) -> None:
    kind, storage = target
    fits = _FITS[kind] | _ALWAYS
    if storage == "json" and kind != SHAPE:
        fits -= {"identifier"}
    if storage == "hash":
        fits -= {"separator"}
    for name in sorted(settings.model_fields_set - fits):
        place = place_of(tree, ("fields", field, name))
        what = f"{key}.{name} does not fit a {kind} field of a {storage} index"
        raise spec_error(
            place,
            what,
            key=f"{key}.{name}",
            next_step="remove it." if kind == SHAPE else _ELSEWHERE.get(name, "remove it."),
        )
