"""What a server must not be asked to do."""

from __future__ import annotations

from strategies import STANDALONE

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, NumericField, TagField, VectorField
from rvlstate.plan.needs import unmet_needs

VECTOR = VectorField(name="title", identifier="title", dims=4, search=Flat())


def test_names_that_differ_in_case_alone_are_refused_beside_a_vector() -> None:
    """FT.INFO would crash the server; two such names without a vector are nobody's business."""
    upper = NumericField(name="Title", identifier="Title")
    (line,) = unmet_needs("shop", IndexDefinition(fields=(upper, VECTOR)), STANDALONE)
    assert line.startswith("shop.fields.title: it differs from Title in case alone")
    lower = TagField(name="title", identifier="title")
    assert unmet_needs("shop", IndexDefinition(fields=(upper, lower)), STANDALONE) == ()
