"""The names by which settings refer to indexes: each must mean one declared index, or none where that is the point."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.files.names import name_fault, shown
from rvlstate.files.suggest import nearest, unknown_name
from rvlstate.files.tree import Mapping, Place, as_mapping, data_of, place_of, spec_error
from rvlstate.model.desired import DesiredIndex

_UNDECLARED = "remove it, or leave only prevent_destroy, to keep an index that is no longer declared."


def check_references(indexes: Iterable[DesiredIndex], tree: Mapping) -> None:
    """Raise SpecError where depends_on, renamed_from or aliases name what they must not; `tree` is the project file."""
    declared = {index.name: index for index in indexes}
    owners: dict[str, tuple[str, str]] = {}
    for index in declared.values():
        for target in index.depends_on:
            _check_dependency(index.name, target, declared, _place(tree, index.name, "depends_on"))
        claims = [("renamed_from", index.renamed_from)] if index.renamed_from else []
        for key, target in [*claims, *(("aliases", alias) for alias in index.aliases)]:
            _check_claim((index.name, key), target, declared, owners, _place(tree, index.name, key))


def undeclared_names(tree: Mapping, declared: Iterable[str]) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Names of `indexes` that no schema declares, each with its prevent_destroy, and warnings about likely slips.

    Raises SpecError for a name that carries other settings as well.
    """
    known = sorted(declared)
    indexes = tree.get("indexes")
    entries = indexes.entries if isinstance(indexes, Mapping) else {}
    names: dict[str, bool] = {}
    warnings = []
    for name, entry in entries.items():
        if name in known:
            continue
        settings = as_mapping(entry.value, entry.place)
        if list(settings.entries) != ["prevent_destroy"]:
            what = f'indexes.{name}: no schema file declares the index "{name}"'
            raise unknown_name(entry.place, what, name, known, key=f"indexes.{name}", otherwise=_UNDECLARED)
        names[name] = data_of(settings)["prevent_destroy"]
        near = nearest(name, known)
        if near:
            place = f"{entry.place.file}:{entry.place.line}"
            warnings.append(f"{place}: indexes.{name}: no schema file declares this index; did you mean {near}?")
    return names, tuple(warnings)


def _check_dependency(name: str, target: str, declared: dict[str, DesiredIndex], place: Place) -> None:
    key = f"indexes.{name}.depends_on"
    if target == name:
        raise spec_error(place, f"{key} names the index itself", key=key, next_step="remove it.")
    if target not in declared:
        what = f'{key}: no schema file declares the index "{target}"'
        raise unknown_name(place, what, target, [other for other in declared if other != name], key=key)


def _check_claim(
    claimant: tuple[str, str],
    target: str,
    declared: dict[str, DesiredIndex],
    owners: dict[str, tuple[str, str]],
    place: Place,
) -> None:
    """Check that a former name or a further name of an index belongs to nobody else."""
    name, kind = claimant
    key = f"indexes.{name}.{kind}"
    fault = name_fault(target)
    if fault:
        raise spec_error(place, f"{key}: the name {shown(target)} {fault}", key=key)
    if target == name:
        raise spec_error(place, f"{key} names the index itself", key=key, next_step="remove it.")
    if target in declared:
        what = f'{key}: "{target}" is a declared index itself'
        raise spec_error(place, what, key=key, why=f"It is declared in {declared[target].source}.")
    owner = owners.setdefault(target, claimant)
    if owner != claimant:
        what = f'{key}: "{target}" is claimed twice'
        raise spec_error(place, what, key=key, why=f"The other one is indexes.{owner[0]}.{owner[1]}.")


def _place(tree: Mapping, name: str, key: str) -> Place:
    """Where the setting of an index is written: in its own block, else in the defaults."""
    own = place_of(tree, ("indexes", name, key))
    parent = place_of(tree, ("indexes", name))
    return own if own is not parent else place_of(tree, ("defaults", key))
