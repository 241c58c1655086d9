"""The differ: which facts lead from one definition to another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from plan_cases import parse_field, parse_fields
from strategies import definitions, edits

from rvlstate.diff.compare import _compare_field, compare
from rvlstate.diff.facts import (
    AttributeChanged,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRetyped,
    RenameContradicted,
    SettingChanged,
)
from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.definition import IndexDefinition, settings_of
from rvlstate.model.field import UNREVEALED, attributes

many = settings(deadline=None, max_examples=80, derandomize=True, suppress_health_check=list(HealthCheck))


def hashes(*lines: str, **given: object) -> IndexDefinition:
    """A definition over hashes, with fields as in plan cases."""
    return replace(IndexDefinition(fields=parse_fields(lines, "hash")), **given)  # type: ignore[arg-type]


def test_each_difference_is_a_fact_at_its_address_in_order() -> None:
    """Added, removed, retyped and changed, each with both values, sorted by address."""
    before = hashes("gone tag", "kept text weight=2.0", "turned text", score=0.5)
    after = hashes("kept text weight=3.0 no_stem", "new geo", "turned tag")
    found = compare("goods", before, after)
    assert found.unverifiable == ()
    assert found.facts == (
        FieldRemoved(index="goods", field=parse_field("gone tag")),
        AttributeChanged(index="goods", field="kept", type="text", attribute="no_stem", before=False, after=True),
        AttributeChanged(index="goods", field="kept", type="text", attribute="weight", before=2.0, after=3.0),
        FieldAdded(index="goods", field=parse_field("new geo")),
        FieldRetyped(index="goods", before=parse_field("turned text"), after=parse_field("turned tag")),
        SettingChanged(index="goods", setting="score", before=0.5, after=1.0),
    )
    assert [fact.address for fact in found.facts] == [
        "goods.fields.gone",
        "goods.fields.kept.no_stem",
        "goods.fields.kept.weight",
        "goods.fields.new",
        "goods.fields.turned.type",
        "goods.index.score",
    ]


def test_another_algorithm_is_one_fact() -> None:
    """Parameters that come and go with the algorithm are no facts of their own; those that both have are."""
    before, after = hashes("v vector hnsw epsilon=0.5 m=32"), hashes("v vector svs-vamana epsilon=0.1")
    assert [fact.address for fact in compare("goods", before, after).facts] == [
        "goods.fields.v.algorithm",
        "goods.fields.v.epsilon",
    ]


def test_a_declared_rename_is_compared_with_the_old_field() -> None:
    """Name and place are told by the rename alone; other attributes are facts beside it."""
    before, after = hashes("price numeric"), hashes("cost numeric identifier=price no_index")
    found = compare("goods", before, after, {"cost": "price"})
    assert found.facts == (
        FieldRenamed(index="goods", before=before.fields[0], after=after.fields[0]),
        AttributeChanged(index="goods", field="cost", type="numeric", attribute="no_index", before=False, after=True),
    )


def test_a_rename_to_another_type_is_both() -> None:
    """Renamed, and retyped."""
    before, after = hashes("price numeric"), hashes("cost tag identifier=price")
    kinds = [type(fact) for fact in compare("goods", before, after, {"cost": "price"}).facts]
    assert kinds == [FieldRenamed, FieldRetyped]


@pytest.mark.parametrize(
    ("renames", "before", "after", "kinds"),
    [
        pytest.param({"cost": "price"}, hashes("cost tag"), hashes("cost tag"), [], id="done already"),
        pytest.param({"cost": "price"}, hashes("a tag"), hashes("a tag", "cost tag"), [FieldAdded], id="never was one"),
        pytest.param(
            {"other": "price"}, hashes("price tag"), hashes("a tag"), [FieldAdded, FieldRemoved], id="unknown"
        ),
        pytest.param(
            {"cost": "price"},
            hashes("price tag"),
            hashes("cost tag", "price tag"),
            [FieldAdded, RenameContradicted],
            id="still declared",
        ),
        pytest.param(
            {"cost": "price", "fee": "price"},
            hashes("price tag"),
            hashes("cost tag", "fee tag"),
            [FieldRenamed, RenameContradicted, FieldRenamed, RenameContradicted],
            id="claimed twice",
        ),
        pytest.param(
            {"a": "b", "b": "a"},
            hashes("a tag", "b text"),
            hashes("a text", "b tag"),
            [RenameContradicted, FieldRetyped, RenameContradicted, FieldRetyped],
            id="exchanged",
        ),
    ],
)
def test_renames_that_are_done_unknown_or_contradicted(
    renames: dict[str, str], before: IndexDefinition, after: IndexDefinition, kinds: list[type]
) -> None:
    """A rename counts only while the old field is live, the new one is not, and nothing speaks against it."""
    assert [type(fact) for fact in compare("goods", before, after, renames).facts] == kinds


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_the_server_hides_is_no_fact(side: str) -> None:
    """On either side: a hidden value is neither equal nor different."""
    one = hashes("t text phonetic_matcher=dm:en", "v vector hnsw ef_runtime=77", temporary=60)
    hidden = mask(hashes("t text weight=2.0", "v vector hnsw"))
    found = compare("goods", hidden, one) if side == "before" else compare("goods", one, hidden)
    assert [fact.address for fact in found.facts] == ["goods.fields.t.weight"]
    assert found.unverifiable == (
        "goods.fields.t.phonetic_matcher",
        "goods.fields.v.ef_runtime",
        "goods.fields.v.epsilon",
        "goods.fields.v.initial_cap",
        "goods.index.temporary",
    )


def test_two_hidden_values_are_equal() -> None:
    """Nothing is known of either, so nothing is said."""
    hidden = mask(hashes("t text"))
    assert compare("goods", hidden, hidden) == compare("goods", hashes(), hashes())


@given(pair=definitions().flatmap(lambda before: edits(before).map(lambda after: (before, after))))
@many
def test_no_facts_exactly_when_nothing_differs(pair: tuple[IndexDefinition, IndexDefinition]) -> None:
    """The differ sees every difference of canonical forms, and no other."""
    before, after = pair
    found = compare("goods", before, after)
    assert (found.facts == ()) == (canonicalise(before) == canonicalise(after))
    assert found.unverifiable == ()


@given(pair=definitions().flatmap(lambda before: edits(before).map(lambda after: (before, after))))
@many
def test_facts_lead_there_and_back(pair: tuple[IndexDefinition, IndexDefinition]) -> None:
    """Carrying the facts out on the one definition gives the other; turned round they are the facts of the way back."""
    before, after = (canonicalise(item) for item in pair)
    there, back = compare("goods", before, after).facts, compare("goods", after, before).facts
    assert {fact.address for fact in there} == {fact.address for fact in back}
    fields = {field.name: field for field in before.fields}
    values = settings_of(before)
    for fact in there:
        match fact:
            case FieldAdded():
                fields[fact.field.name] = fact.field
            case FieldRemoved():
                del fields[fact.field.name]
            case FieldRetyped():
                fields[fact.after.name] = fact.after
            case SettingChanged():
                assert values[fact.setting] == fact.before
                values[fact.setting] = fact.after
            case AttributeChanged():
                wanted = after.field(fact.field)
                assert wanted is not None
                assert attributes(fields[fact.field])[fact.attribute] == fact.before
                assert attributes(wanted)[fact.attribute] == fact.after
    changed = {fact.field for fact in there if isinstance(fact, AttributeChanged)}
    assert values == settings_of(after)
    assert {name: field for name, field in fields.items() if name not in changed} == {
        field.name: field for field in after.fields if field.name not in changed
    }
    assert UNREVEALED not in values.values()


def test_what_was_compared_once_is_not_compared_again() -> None:
    """A plan looks at each index twice: to see which documents are worth a look, and to say what is to be done."""
    before, after = hashes("price numeric"), hashes("price numeric sortable")
    first = compare("compared once", before, after)
    missed = _compare_field.cache_info().misses
    assert compare("compared once", before, after) == first
    assert _compare_field.cache_info().misses == missed
