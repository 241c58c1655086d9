"""Names: addresses of attributes ("products.fields.price.sortable"), physical index names, and hash tags."""

from __future__ import annotations

import re

REVISION = re.compile(r"^(?P<name>.+)@(?P<revision>[1-9][0-9]*)$")
BESIDE = re.compile(r"~(rehearsal|members)$")
"""How the names end of indexes that a change of documents needs for itself, and that nobody asks."""


def field_address(index: str, field: str, attribute: str = "") -> str:
    """The address of a field, or of one of its attributes."""
    return f"{index}.fields.{field}.{attribute}" if attribute else f"{index}.fields.{field}"


def index_address(index: str, attribute: str) -> str:
    """The address of an attribute of the index itself."""
    return f"{index}.index.{attribute}"


def physical_name(name: str, revision: int, *, one_slot: bool = False) -> str:
    """The physical index of a revision: `name@revision`; with a hash tag where alias and index must share a slot."""
    if one_slot and not _has_hash_tag(name):
        return f"{{{name}}}@{revision}"
    return f"{name}@{revision}"


def name_of(physical: str) -> str | None:
    """The declared name that a physical name is a revision of, None for a name of its own."""
    match = REVISION.match(physical)
    return match["name"].removeprefix("{").removesuffix("}") if match else None


def revision_of(physical: str, name: str) -> int | None:
    """The revision that a physical name stands for, or None if it is not a revision of `name`."""
    match = REVISION.match(physical)
    if match is None or match["name"] not in (name, f"{{{name}}}"):
        return None
    return int(match["revision"])


def hash_tag(name: str) -> str:
    """The part of a name that decides its slot on a cluster: names with the same one share it."""
    start = name.find("{")
    end = name.find("}", start)
    return name[start + 1 : end] if start >= 0 and end > start + 1 else name


def _has_hash_tag(name: str) -> bool:
    return hash_tag(name) != name
