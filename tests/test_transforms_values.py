"""Texts, numbers, tags and points: what each step makes of a value, and what it refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transform_kit import blobs, numbers, reasons, rewrite, run, value, vector

from rvlstate.errors import PlannerBugError
from rvlstate.model.rewrite import FieldRewrite, Kind
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
)
from rvlstate.transforms.columns import Storage
from rvlstate.transforms.compute import compute

TEXT, NUMBER, TAG, POINT = value("t"), value("n", "numeric"), value("c", "tag"), value("p", "geo")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def one(
    step: TransformStep, kind: Kind, given_value: Any, storage: Storage = "hash", separator: str = ","
) -> tuple[Any, str]:
    """What one step makes of one value, and why it is bad, "" if it is not."""
    outcome = run([value("a")], [step], value("b", kind, separator), [given_value], storage=storage)
    return outcome.values[0][0], reasons(outcome).get(0, "")


@pytest.mark.parametrize(
    ("step", "kind", "given_value", "made"),
    [
        (ToNumber(), "numeric", b" 007 ", b"7"),
        (ToNumber(), "numeric", b"-1.50", b"-1.5"),
        (ToNumber(), "numeric", b"1e3", b"1000"),
        (ToNumber(), "numeric", b".5", b"0.5"),
        (ToNumber(), "numeric", b"12345678901234567890", b"12345678901234567890"),
        (ToNumber(), "numeric", b"0.1", b"0.1"),
        (ToText(), "text", "Größe 5".encode(), "Größe 5".encode()),
        (ToText(), "text", b"", b""),
        (ToTag(lower=True), "tag", "ROT,Grün".encode(), "rot,grün".encode()),
        (ToTag(), "tag", b"Red", b"Red"),
        (ToGeo(), "geo", b"13.4,52.5", b"13.4,52.5"),
        (ToGeo(), "geo", b" 13.40 ; 52.5 ", b"13.4,52.5"),
        (ToGeo(order="lat-lon"), "geo", b"52.5 13.4", b"13.4,52.5"),
        (Split(separator=","), "text", b"a,b", b"a"),
        (Split(separator=",", part=-1), "text", b"a,b", b"b"),
        (Split(separator=",", part=2), "text", b"a,b", None),
        (Split(separator=", "), "text", b"", b""),
        (Copy(), "numeric", b" 3.0 ", b"3"),
        (Copy(), "text", b"x", b"x"),
    ],
)
def test_texts_of_a_hash(step: TransformStep, kind: Kind, given_value: bytes, made: bytes | None) -> None:
    """Each step on one value."""
    assert one(step, kind, given_value) == (made, "")


@pytest.mark.parametrize(
    ("step", "kind", "given_value", "made"),
    [
        (ToNumber(), "numeric", "3.50", 3.5),
        (ToNumber(), "numeric", 7, 7),
        (ToNumber(), "numeric", ["1", 2.5], [1, 2.5]),
        (ToText(), "text", 3.0, "3"),
        (ToText(), "text", 0.1, "0.1"),
        (ToText(), "text", True, "true"),
        (ToText(), "text", ["a", 1, None, False], "a 1 false"),
        (ToTag(lower=True), "tag", ["A", "B,C"], ["a", "b,c"]),
        (ToTag(), "tag", 5, "5"),
        (ToGeo(), "geo", [13.4, 52.5], "13.4,52.5"),
        (ToGeo(order="lat-lon"), "geo", "52.5, 13.4", "13.4,52.5"),
        (Copy(), "numeric", "12", 12),
        (Copy(), "text", 12, "12"),
        (ToText(), "text", None, None),
    ],
)
def test_values_of_json(step: TransformStep, kind: Kind, given_value: Any, made: Any) -> None:
    """Numbers come out as numbers, lists of tags stay lists, the rest is text; null is nothing."""
    found = one(step, kind, given_value, "json")
    assert found == (made, "")
    assert type(found[0]) is type(made)


@pytest.mark.parametrize(
    ("step", "kind", "given_value", "reason"),
    [
        (ToNumber(), "numeric", "12 EUR", '"12 EUR" is no number'),
        (ToNumber(), "numeric", "", '"" is no number'),
        (ToNumber(), "numeric", "1_000", '"1_000" is no number'),
        (ToNumber(), "numeric", "\u0663", '"\\u0663" is no number'),
        (ToNumber(), "numeric", "nan", '"nan" is no number'),
        (ToNumber(), "numeric", "1e999", '"1e999" is no finite number'),
        (ToNumber(), "numeric", "9" * 400, f'"{"9" * 39}... is no finite number'),
        (ToNumber(), "numeric", True, "true is no number"),
        (ToNumber(), "numeric", {"a": 1}, '{"a": 1} is no number'),
        (ToText(), "text", {"a": 1}, '{"a": 1} is no text'),
        (ToTag(), "tag", ["a", {}], "{} is no text"),
        (ToGeo(), "geo", "13.4", '"13.4" is no point'),
        (ToGeo(), "geo", "1,2,3", '"1,2,3" is no point'),
        (ToGeo(), "geo", "a,b", '"a" is no number'),
        (ToGeo(), "geo", "52.5,190", "longitude 52.5, latitude 190 is no point on the map"),
        (ToGeo(), "geo", "181,0", "longitude 181, latitude 0 is no point on the map"),
        (Constant(value="x"), "geo", "1,2", '"x" is no point'),
        (Copy(), "numeric", "cheap", '"cheap" is no number'),
    ],
)
def test_what_does_not_fit_is_bad(step: TransformStep, kind: Kind, given_value: Any, reason: str) -> None:
    """With a reason that quotes it."""
    assert one(step, kind, given_value, "json") == (None, reason)


def test_bytes_that_are_no_text_are_bad_but_can_be_copied() -> None:
    """A field that is only renamed keeps its bytes, whatever they are."""
    assert reasons(run([TEXT], [ToText()], value("u"), [b"a\xff"])) == {0: "byte 1 (0xff) is not UTF-8"}
    assert run([TEXT], [], value("u"), [b"a\xff", None]).values[0] == [b"a\xff", None]


def test_text_that_utf8_has_no_bytes_for_is_bad() -> None:
    """Half of a surrogate pair, which a JSON document or the user's code may hold."""
    for storage in ("hash", "json"):
        outcome = run(
            [TEXT],
            [Call(function="m:f")],
            value("u"),
            [b"a" if storage == "hash" else "a"],
            storage=storage,
            f=lambda _: ["x\ud800"],
        )
        assert reasons(outcome) == {0: "character 1 cannot be written as UTF-8"}


def test_join_takes_what_is_there() -> None:
    """In the order of reads; nothing comes of nothing."""
    columns = [[b"Ada", b"Ada", None, b""], [b"Lovelace", None, None, b"x"]]
    outcome = run([value("a"), value("b")], [Join(separator=" ")], value("c"), *columns)
    assert outcome.values[0] == [b"Ada Lovelace", b"Ada", None, b" x"]


@given(
    st.lists(st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"])), min_size=2, max_size=5),
    st.data(),
)
def test_split_undoes_join(parts: list[str], data: Any) -> None:
    """Part n of what was joined is what the n-th field was, also counted from the end."""
    reads = [value(f"f{number}") for number in range(len(parts))]
    joined = run(reads, [Join(separator="|")], TEXT, *[[part.encode()] for part in parts]).values[0]
    part = data.draw(st.integers(-len(parts), len(parts) - 1))
    assert run([TEXT], [Split(separator="|", part=part)], TEXT, joined).values[0] == [parts[part].encode()]


def test_a_point_of_two_fields() -> None:
    """In either order; half a point is bad, none is nothing."""
    columns = [[b"52.5", None, b"1"], [b"13.4", None, None]]
    outcome = run([value("lat"), value("lon")], [ToGeo(order="lat-lon")], POINT, *columns)
    assert outcome.values[0] == [b"13.4,52.5", None, None]
    assert reasons(outcome) == {2: "one of the two numbers of the point is missing"}


@given(st.floats(-180, 180), st.floats(-85, 85))
def test_a_point_is_itself_a_second_time(longitude: float, latitude: float) -> None:
    """The digits that are written are read again."""
    text = f"{longitude!r},{latitude!r}".encode()
    once = run([TEXT], [ToGeo()], POINT, [text]).values[0]
    assert run([POINT], [ToGeo()], POINT, once).values[0] == once
    assert [float(part) for part in once[0].split(b",")] == [longitude, latitude]


@given(st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_as_text_is_the_same_number_again(number: float) -> None:
    """Shortest form and back, exactly; whole numbers beyond 2**53 included."""
    text = run([value("$.n", "numeric")], [ToText()], value("$.t"), [number], storage="json").values[0]
    back = run([value("$.t")], [ToNumber()], value("$.n", "numeric"), text, storage="json").values[0][0]
    assert back == number
    assert isinstance(back, float) <= isinstance(number, float)


@given(json_values)
def test_conversions_of_any_json_value_are_idempotent_or_refused(given_value: Any) -> None:
    """No value of JSON makes a step fail otherwise; what one makes, it leaves alone the next time."""
    kinds: list[tuple[TransformStep, Kind]] = [
        (ToText(), "text"),
        (ToNumber(), "numeric"),
        (ToTag(lower=True), "tag"),
        (ToGeo(), "geo"),
    ]
    for step, kind in kinds:
        made, reason = one(step, kind, given_value, "json")
        assert not (made is not None and reason)
        if made is not None:
            again, fault = one(step, kind, made, "json")
            # Lower case of lower case may differ once more in a few alphabets, such as that of Cherokee.
            assert (again, fault) == (made, "") or kind == "tag"
            json.dumps(made, allow_nan=False)


# Tags and separators


def test_tags_move_to_another_separator() -> None:
    """A tag that holds the new one would fall apart: bad."""
    outcome = run([value("a", "tag", ",")], [Copy()], value("b", "tag", ";"), [b"x,y", b"x", b"x;z,y", None])
    assert outcome.values[0] == [b"x;y", b"x", None, None]
    assert reasons(outcome) == {2: 'the tag "x;z" holds the separator ";"'}


def test_tags_of_one_separator_stay_the_text_they_are() -> None:
    """Also when they are put into lower case."""
    assert run([TAG], [ToTag(lower=True)], TAG, [b"X, Y"]).values[0] == [b"x, y"]
    place = value("$.c", "tag")
    assert run([place], [ToTag(lower=True)], place, ["X,Y"], storage="json").values[0] == ["x,y"]


def test_matches_of_a_path_are_transformed_one_by_one() -> None:
    """Each keeps its place, null included."""
    tags = value("$.items[*].tag", "tag")
    rows = [["A", None, "B"], [], None]
    assert run([tags], [ToTag(lower=True)], tags, rows, storage="json").values[0] == [["a", None, "b"], None, None]
    prices = value("$.items[*].price", "numeric")
    assert run([prices], [ToNumber()], prices, [["1", 2]], storage="json").values[0] == [[1, 2]]
    wrong = run([value("$.x")], [ToNumber()], prices, ["1"], storage="json")
    assert reasons(wrong) == {0: "$.items[*].price has several values, and one was made"}


# Constants, drops and several fields at once


@pytest.mark.parametrize(
    ("constant", "kind", "in_hash", "in_json"),
    [
        ("web", "text", b"web", "web"),
        (3, "numeric", b"3", 3),
        (2.5, "numeric", b"2.5", 2.5),
        (True, "tag", b"true", "true"),
        (5, "text", b"5", "5"),
    ],
)
def test_a_constant_is_written_in_the_form_of_its_field(
    constant: Any, kind: Kind, in_hash: bytes, in_json: Any
) -> None:
    """For every row, without reading anything."""
    field = FieldRewrite(field="f", steps=(Constant(value=constant),), writes=value("x", kind), layout="presence")
    assert compute([field], {}, 2, storage="hash", functions={}).values == ([in_hash, in_hash],)
    assert compute([field], {}, 2, storage="json", functions={}).values == ([in_json, in_json],)


def test_a_drop_writes_nothing() -> None:
    """What is removed is the business of whoever writes."""
    field = FieldRewrite(field="f", steps=(Drop(),), writes=None, removes=("old",), layout="absence")
    assert compute([field], {}, 3, storage="hash", functions={}).values == ([None] * 3,)


def test_a_row_that_is_bad_in_one_field_is_written_in_none() -> None:
    """A document is transformed whole or not at all; the first reason is told."""
    fields = [
        FieldRewrite(field="a", reads=(TEXT,), steps=(ToNumber(),), writes=NUMBER, layout="marker"),
        FieldRewrite(field="b", reads=(TEXT,), steps=(ToGeo(),), writes=POINT, layout="marker"),
    ]
    outcome = compute(fields, {"t": [b"7", b"x", b"1,2"]}, 3, storage="hash", functions={})
    assert outcome.values == ([None] * 3, [None] * 3)
    assert [(bad.row, bad.field, bad.reason) for bad in outcome.bad] == [
        (0, "b", '"7" is no point'),
        (1, "a", '"x" is no number'),
        (2, "a", '"1,2" is no number'),
    ]


def test_no_rows_and_no_rewrites_are_no_trouble() -> None:
    """An empty batch has an empty outcome."""
    field = rewrite([vector("v", "float32", 2)], [Cast()], vector("v", "float16", 2))
    assert compute([field], {"v": []}, 0, storage="hash", functions={}).values == ([],)
    assert compute([field], {"v": [None]}, 1, storage="hash", functions={}).values == ([None],)
    assert compute([], {}, 3, storage="hash", functions={}).values == ()


@pytest.mark.parametrize(
    ("reads", "steps", "writes", "column"),
    [
        ([TEXT], [Normalize()], vector("v", "float32", 2), [b"x"]),
        ([TEXT], [Cast()], TEXT, [b"x"]),
        ([vector("v", "float32", 1)], [ToText()], TEXT, blobs([[1]])),
        ([vector("v", "float32", 1)], [Normalize()], TEXT, blobs([[1]])),
        ([TEXT], [ToText()], vector("v", "float32", 1), [b"x"]),
        ([value("v", "vector")], [Cast()], vector("v", "float32", 1), [b"x"]),
        ([TEXT], [ToText()], value("v", "vector"), [b"x"]),
        ([TEXT], [Call(function="m:missing")], TEXT, [b"x"]),
    ],
)
def test_what_cannot_be_planned_is_a_bug_of_ours(reads: Any, steps: Any, writes: Any, column: Any) -> None:
    """It is no fault of the documents, so it stops the run at once."""
    with pytest.raises(PlannerBugError):
        run(reads, steps, writes, column)


def test_a_rewrite_that_reads_and_makes_nothing_is_a_bug_of_ours() -> None:
    """Nothing could ever be written."""
    with pytest.raises(PlannerBugError, match="nothing is read and nothing is made"):
        compute([rewrite([], [], TEXT)], {}, 1, storage="hash", functions={})


def test_values_that_a_vector_is_made_of_may_be_texts() -> None:
    """Kinds change only through the user's own code."""
    outcome = run([TEXT], [Call(function="m:f")], vector("v", "float16", 1), [b"ab"], f=lambda texts: [[len(texts[0])]])
    assert numbers(outcome.values[0][0], "float16") == [2]
    assert math.isclose(dict(outcome.largest).get("f", 2.0), 2.0)
