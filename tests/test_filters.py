"""Filters as text, and the index that tells which documents one lets in."""

from __future__ import annotations

import pytest

from rvlstate.model.canonical import canonicalise
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import NumericField, TagField
from rvlstate.model.filter_text import names_in, sendable, with_other_names
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.members import members_definition

PRICE = NumericField(name="price", identifier="$.price")
KIND = TagField(name="kind", identifier="$.kind")
FILTERED = IndexDefinition(storage="json", prefixes=("p:",), filter="@price > 0", fields=(KIND, PRICE))


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        (r"@price > 0\n && @kind == 'a'", "@price > 0\n && @kind == 'a'"),
        (r"@price\n > 0", "@price\n > 0"),
        (r"@kind == 'a\nb'", r"@kind == 'a\nb'"),
        (r"""@kind == "a\"\n" \n""", '@kind == "a\\"\\n" \n'),
    ],
)
def test_line_breaks_are_sent_as_they_were_declared(shown: str, sent: str) -> None:
    r"""FT.INFO and canonical definitions show them as \n, which the server takes within quotes only."""
    assert sendable(shown) == sent
    assert sendable(sent) == sent


def test_a_canonical_definition_can_be_created() -> None:
    """What a rollback creates is canonical."""
    declared = IndexDefinition(prefixes=("p:",), filter="@price > 0\n&& 1", fields=(PRICE,))
    assert "@price > 0\n&& 1" in create_arguments("goods@1", canonicalise(declared))


def test_names_are_those_outside_of_quotes() -> None:
    """Whole names, not their beginnings."""
    text = r"@price_net > 1 && @größe == '@kind' && exists(@price)\n"
    assert names_in(text) == {"price_net", "größe", "price"}
    assert with_other_names(text, {"price": "x", "kind": "y"}) == "@price_net > 1 && @größe == '@kind' && exists(@x)\n"


def test_the_index_that_knows_a_filter_has_names_of_its_own() -> None:
    """Only fields that the filter reads, from where they are read."""
    definition = members_definition(FILTERED)
    assert (definition.storage, definition.prefixes, definition.filter) == ("json", ("p:",), "@rvlstate_0 > 0")
    assert [(field.name, field.identifier) for field in definition.fields] == [
        ("rvlstate_0", "$.price"),
        ("rvlstate~members", "$.rvlstate~members"),
    ]
