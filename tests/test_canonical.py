"""Canonical forms: what the server cannot tell apart is equal, all else is not; and what FT.INFO hides is filled in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from plan_cases import parse_fields
from strategies import definitions, edits

from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.definition import IndexDefinition, settings_of
from rvlstate.model.field import NEVER_SHOWN, UNREVEALED, attributes
from rvlstate.model.reveal import reveal

many = settings(deadline=None, max_examples=80, derandomize=True, suppress_health_check=list(HealthCheck))


def hashes(*lines: str, **given: object) -> IndexDefinition:
    """A definition over hashes, with fields as in plan cases."""
    return replace(IndexDefinition(fields=parse_fields(lines, "hash")), **given)  # type: ignore[arg-type]


def documents(*lines: str) -> IndexDefinition:
    """A definition over JSON documents."""
    return IndexDefinition(storage="json", fields=parse_fields(lines, "json"))


THIRTY_THREE = tuple(f"t{number} text" for number in range(33))

SAME = {
    "fields in any order": (hashes("a tag", "b text"), hashes("b text", "a tag")),
    "prefixes in any order": (hashes(prefixes=("p", "q")), hashes(prefixes=("q", "p"))),
    "prefixes twice": (hashes(prefixes=("p", "p")), hashes(prefixes=("p",))),
    "no prefix is the empty one": (hashes(prefixes=()), hashes(prefixes=("",))),
    "numbers are sorted as they are": (hashes("a numeric sortable"), hashes("a numeric sortable unf")),
    "JSON values are sorted as they are": (documents("a text sortable"), documents("a text sortable unf")),
    "case-sensitive tags too": (hashes("a tag case_sensitive sortable"), hashes("a tag case_sensitive sortable unf")),
    "UNF of what is not sorted": (hashes("a text unf"), hashes("a text")),
    "no offsets, no highlights": (hashes(no_offsets=True), hashes(no_offsets=True, no_highlight=True)),
    "33 text fields": (hashes(*THIRTY_THREE), hashes(*THIRTY_THREE, max_text_fields=True)),
    "english is the default": (hashes(language="English"), hashes()),
    "languages are lower case": (hashes(language="German"), hashes(language="german")),
    "stopwords in any order and case": (hashes(stopwords=("B", "a", "b")), hashes(stopwords=("a", "b"))),
    "a line break in a filter": (hashes(filter="@a > 1\n&& @a < 2"), hashes(filter="@a > 1\\n&& @a < 2")),
    "whole and broken numbers": (hashes("a text weight=2", score=1), hashes("a text weight=2.0", score=1.0)),
    "LeanVec by default": (
        hashes("v vector svs-vamana dims=8 compression=LeanVec4x8"),
        hashes("v vector svs-vamana dims=8 compression=LeanVec4x8 reduce=4 training_threshold=10240"),
    ),
}
"""What is written in two ways and means the same to the server."""

DIFFERENT = {
    "no stopwords are not the server's own": (hashes(stopwords=()), hashes()),
    "a star is no wild card": (hashes(prefixes=("*",)), hashes(prefixes=("",))),
    "a prefix within another": (hashes(prefixes=("p", "pq")), hashes(prefixes=("p",))),
    "UNF of texts in hashes": (hashes("a text sortable unf"), hashes("a text sortable")),
    "UNF of tags in hashes": (hashes("a tag sortable unf"), hashes("a tag sortable")),
    "no highlights with offsets": (hashes(no_highlight=True), hashes()),
    "32 text fields": (hashes(*THIRTY_THREE[1:]), hashes(*THIRTY_THREE[1:], max_text_fields=True)),
    "names are case-sensitive": (hashes("a tag"), hashes("A tag")),
    "prefixes are case-sensitive": (hashes(prefixes=("p",)), hashes(prefixes=("P",))),
    "uncompressed vectors train nothing": (
        hashes("v vector svs-vamana"),
        hashes("v vector svs-vamana training_threshold=10240"),
    ),
}
"""What looks alike and is not."""


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_what_means_the_same_has_one_canonical_form(pair: tuple[IndexDefinition, IndexDefinition]) -> None:
    """Each row of the table in `canonical.py`."""
    one, other = pair
    assert canonicalise(one) == canonicalise(other)
    assert mask(one) == mask(other)


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_has_two(pair: tuple[IndexDefinition, IndexDefinition]) -> None:
    """A canonical form never hides a difference that the server shows."""
    one, other = pair
    assert canonicalise(one) != canonicalise(other)
    assert mask(one) != mask(other)


@given(definition=definitions())
@many
def test_a_canonical_form_is_its_own(definition: IndexDefinition) -> None:
    """Canonicalising and masking twice is as good as once, in any order of the two."""
    assert canonicalise(canonicalise(definition)) == canonicalise(definition)
    assert mask(mask(definition)) == mask(definition) == mask(canonicalise(definition))
    assert canonicalise(mask(definition)) == mask(definition)


@given(definition=definitions())
@many
def test_a_mask_hides_what_is_never_shown_and_nothing_else(definition: IndexDefinition) -> None:
    """Every attribute is either the canonical one or, if FT.INFO never shows it, unrevealed."""
    shown, canonical = mask(definition), canonicalise(definition)
    assert {**settings_of(canonical), "temporary": UNREVEALED} == settings_of(shown)
    for ours, theirs in zip(canonical.fields, shown.fields, strict=True):
        expected = {name: UNREVEALED if name in NEVER_SHOWN else value for name, value in attributes(ours).items()}
        assert attributes(theirs) == expected


@given(definition=definitions())
@many
def test_a_record_reveals_what_the_server_hides(definition: IndexDefinition) -> None:
    """What FT.INFO shows of an index, with the record of what was sent, is all that was sent."""
    assert reveal(mask(definition), [definition]) == canonicalise(definition)


@given(definition=definitions())
@many
def test_without_a_record_nothing_is_made_up(definition: IndexDefinition) -> None:
    """What nobody vouches for stays unrevealed."""
    assert reveal(mask(definition), []) == mask(definition)


@given(data=definitions().flatmap(lambda before: edits(before).map(lambda after: (before, after))))
@many
def test_the_record_of_another_definition_reveals_no_wrong_value(data: tuple[IndexDefinition, IndexDefinition]) -> None:
    """Each field is revealed by a record that has it just so, or not at all, whatever else is recorded."""
    recorded, live = data
    found = reveal(mask(live), [recorded])
    for field in found.fields:
        hidden = mask(found).field(field.name)
        assert field in (hidden, canonicalise(recorded).field(field.name))
    assert mask(found) == mask(live)
    assert mask(reveal(mask(live), [recorded, live])) == mask(live)


def test_the_first_record_that_agrees_is_believed() -> None:
    """What was intended last stands before what was recorded earlier."""
    now, before = hashes("a text phonetic_matcher=dm:fr"), hashes("a text phonetic_matcher=dm:en")
    assert reveal(mask(now), [now, before]) == canonicalise(now)
    assert reveal(mask(now), [before, now]) == canonicalise(before)


def test_a_field_is_revealed_though_others_were_changed_by_hand() -> None:
    """Drift in one field does not make the others unknown."""
    recorded = hashes("a text phonetic_matcher=dm:en", "b text phonetic_matcher=dm:fr")
    drifted = hashes("a text phonetic_matcher=dm:en", "b text phonetic_matcher=dm:fr weight=2.0")
    found = reveal(mask(drifted), [recorded])
    assert found.field("a") == recorded.field("a")
    assert found.field("b") == mask(drifted).field("b")
