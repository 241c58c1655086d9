"""Filters while documents change: the index that tells which of them one lets in, and one that would let none in."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.address import index_address
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import TagField
from rvlstate.model.filter_text import names_in, with_other_names
from rvlstate.model.rewrite import Rewrite

NOBODYS_FIELD = "rvlstate~members"
OWN_NAME = "rvlstate_{}"
"""What the attributes are called that the filter reads; without signs that would have to be escaped there."""


def members_definition(before: IndexDefinition) -> IndexDefinition:
    """The filter with the fields that it reads and nothing else, which is cheap to build and to keep.

    The fields have names of their own: of two filters over the same keys that read one name from different places, the
    server looks for the second in the place of the first, and lets all in (hash beside JSON; measured).
    """
    named = names_in(before.filter or "")
    read = [field for field in before.fields if field.name in named]
    own = {field.name: OWN_NAME.format(number) for number, field in enumerate(read)}
    path = f"$.{NOBODYS_FIELD}" if before.storage == "json" else NOBODYS_FIELD
    return IndexDefinition(
        storage=before.storage,
        prefixes=before.prefixes,
        filter=with_other_names(before.filter, own) if before.filter else None,
        fields=(
            *(replace(field, name=own[field.name]) for field in read),
            TagField(name=NOBODYS_FIELD, identifier=path),
        ),
    )


def blinded(rewrite: Rewrite) -> tuple[str, ...]:
    """Why the new filter would find nothing to read in the documents, one sentence for each name; () if it would."""
    before, after = _places(rewrite.before), _places(rewrite.after)
    removed = {place for item in rewrite.fields for place in item.removes}
    return tuple(
        f"{index_address(rewrite.name, 'filter')}: it reads @{name}, which this change removes from the documents, and "
        "would let none of them in: declare a filter that reads what is there afterwards"
        for name in sorted(names_in(rewrite.after.filter or ""))
        if after.get(name, before.get(name, name)) in removed
    )


def _places(definition: IndexDefinition) -> dict[str, str]:
    return {field.name: field.identifier for field in definition.fields}
