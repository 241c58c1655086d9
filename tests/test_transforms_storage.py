"""Whole documents from hash to JSON and back, and the JSON paths that lead through them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transform_kit import blobs, numbers, value, vector

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Field, Flat, GeoField, NumericField, TagField, TextField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite
from rvlstate.model.transform import Call, Cast, Copy, Drop, ToTag
from rvlstate.transforms.columns import Bad
from rvlstate.transforms.paths import is_several, matches, parse_path, put, take, value_at
from rvlstate.transforms.storage import all_to_hash, all_to_json, to_hash, to_json
from rvlstate.transforms.texts import UnfitError


def fields(storage: str, **at: str) -> tuple[Field, ...]:
    """A field of each kind; `at` puts some of them elsewhere."""

    def place(name: str) -> dict[str, Any]:
        return {"name": name, "identifier": at.get(name, f"$.{name}" if storage == "json" else name)}

    return (
        TextField(**place("title")),
        TagField(**place("color"), separator="" if storage == "json" else ","),
        NumericField(**place("price")),
        GeoField(**place("spot")),
        VectorField(**place("v"), dims=2, datatype="float32", search=Flat()),
    )


IN_HASH = IndexDefinition(storage="hash", fields=fields("hash"))
IN_JSON = IndexDefinition(storage="json", fields=fields("json", color="$.tags[*]", price="$.offer.price"))


def change(before: IndexDefinition, after: IndexDefinition, *rewrites: FieldRewrite) -> Rewrite:
    """A change of storage."""
    return Rewrite(id="r", name="a", strategy="recreate", before=before, after=after, fields=rewrites)


HASH = {
    b"title": "Größe".encode(),
    b"color": b"red,blue",
    b"price": b"12.50",
    b"spot": b"13.4,52.5",
    b"v": blobs([[1, 2]])[0],
    b"note": "für später".encode(),
    b"a.b": b"7",
}
DOCUMENT = {
    "title": "Größe",
    "tags": ["red", "blue"],
    "offer": {"price": 12.5},
    "spot": "13.4,52.5",
    "v": [1.0, 2.0],
    "note": "für später",
    "a.b": "7",
}


def test_a_hash_becomes_a_document() -> None:
    """Each field goes to its path in its form; what is not declared stays a string at the top."""
    assert to_json(change(IN_HASH, IN_JSON), HASH) == DOCUMENT


def test_a_document_becomes_a_hash() -> None:
    """And back again; only the number has another form."""
    assert to_hash(change(IN_JSON, IN_HASH), DOCUMENT) == {**HASH, b"price": b"12.5"}


def test_what_is_not_declared_in_json_is_kept_as_text() -> None:
    """The rest of an object that holds a declared value, too; null is not; an object that is empty then is gone."""
    document = {
        "title": "x",
        "offer": {"price": 1, "currency": "EUR"},
        "list": [1, {"a": "ü"}],
        "flag": True,
        "count": 3.0,
        "nothing": None,
    }
    assert to_hash(change(IN_JSON, IN_HASH), document) == {
        b"title": b"x",
        b"price": b"1",
        b"offer": b'{"currency": "EUR"}',
        b"list": '[1, {"a": "ü"}]'.encode(),
        b"flag": b"true",
        b"count": b"3",
    }


def test_missing_fields_are_missing_still() -> None:
    """Nothing is made up."""
    assert to_json(change(IN_HASH, IN_JSON), {b"title": b"x"}) == {"title": "x"}
    assert to_hash(change(IN_JSON, IN_HASH), {"title": "x", "tags": []}) == {b"title": b"x"}


def test_a_field_that_is_declared_no_more_keeps_its_form() -> None:
    """Under its own name: a vector becomes a list though no index reads it."""
    after = IndexDefinition(storage="json", fields=IN_JSON.fields[:1])
    assert to_json(change(IN_HASH, after), HASH) == {
        "title": "Größe",
        "color": "red,blue",
        "price": 12.5,
        "spot": "13.4,52.5",
        "v": [1.0, 2.0],
        "note": "für später",
        "a.b": "7",
    }


def test_field_rewrites_are_applied_on_the_way() -> None:
    """A cast, a rename, a drop and a callable, read in the old storage and written in the new."""
    after = IndexDefinition(
        storage="json",
        fields=(
            TextField(name="headline", identifier="$.headline"),
            VectorField(name="v", identifier="$.v", dims=2, datatype="int8", search=Flat()),
            TextField(name="upper", identifier="$.extra.upper"),
            TagField(name="color", identifier="$.color"),
        ),
    )
    rewrites = (
        FieldRewrite(
            field="headline",
            reads=(value("title"),),
            steps=(Copy(),),
            writes=value("$.headline"),
            removes=("title",),
            layout="absence",
        ),
        FieldRewrite(
            field="v",
            reads=(vector("v", "float32", 2),),
            steps=(Cast(scale=0.5),),
            writes=vector("$.v", "int8", 2),
            layout="length",
        ),
        FieldRewrite(
            field="upper",
            reads=(value("title"),),
            steps=(Call(function="m:upper"),),
            writes=value("$.extra.upper"),
            layout="presence",
        ),
        FieldRewrite(
            field="color",
            reads=(value("color", "tag"),),
            steps=(ToTag(lower=True),),
            writes=value("$.color", "tag"),
            layout="marker",
        ),
        FieldRewrite(field="price", steps=(Drop(),), removes=("price",), layout="absence"),
    )
    functions = {"m:upper": lambda texts: [text.upper() for text in texts]}
    fields_of_hash = {**HASH, b"color": b"RED,Blue"}
    assert to_json(change(IN_HASH, after, *rewrites), fields_of_hash, functions=functions) == {
        "headline": "Größe",
        "v": [2, 4],
        "extra": {"upper": "GRÖSSE"},
        "color": "red,blue",
        "spot": "13.4,52.5",
        "note": "für später",
        "a.b": "7",
    }


def test_score_and_language_of_documents_move_along() -> None:
    """The index reads them beside its fields: a score is a number in JSON."""
    before = IndexDefinition(storage="hash", score_field="rank", language_field="lang", fields=IN_HASH.fields[:1])
    after = IndexDefinition(
        storage="json", score_field="$.meta.rank", language_field="$.lang", fields=IN_JSON.fields[:1]
    )
    document = {"title": "x", "meta": {"rank": 0.5}, "lang": "german"}
    assert to_json(change(before, after), {b"title": b"x", b"rank": b"0.5", b"lang": b"german"}) == document
    assert to_hash(change(after, before), document) == {b"title": b"x", b"rank": b"0.5", b"lang": b"german"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({b"note": b"\xff"}, "b'\\xff' is not UTF-8"),
        ({b"\xfe": b"x"}, "b'\\xfe' is not UTF-8"),
        ({b"title": b"\xff"}, "byte 0 (0xff) is not UTF-8"),
        ({b"price": b"cheap"}, '"cheap" is no number'),
        ({b"v": b"12345"}, "5 bytes, expected 8 (2 x float32)"),
        ({b"tags": b"x"}, "tags is in the way of $.tags[*]"),
        ({b"offer": b"x"}, "offer is in the way of $.offer.price"),
    ],
)
def test_hashes_that_cannot_be_documents(more: dict[bytes, bytes], reason: str) -> None:
    """Each with its reason; nothing is overwritten silently."""
    made = to_json(change(IN_HASH, IN_JSON), {**HASH, **more})
    assert isinstance(made, Bad)
    assert made.reason == reason


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([1, 2], "the document is no JSON object"),
        ({"color": "x", "tags": ["y"]}, "color is in the document under two paths"),
        ({"tags": ["a,b", "c"]}, 'the tag "a,b" holds the separator ","'),
        ({"offer": {"price": {}}}, "{} is no number"),
        ({"v": [1]}, "1 values, expected 2"),
        ({"tags": []}, "nothing is left of it, and there is no empty hash"),
    ],
)
def test_documents_that_cannot_be_hashes(document: Any, reason: str) -> None:
    """Each with its reason."""
    made = to_hash(change(IN_JSON, IN_HASH), document)
    assert isinstance(made, Bad)
    assert made.reason == reason


def test_several_vectors_do_not_fit_into_one_field() -> None:
    """One of them does."""
    many = IndexDefinition(
        storage="json",
        fields=(VectorField(name="v", identifier="$.parts[*].v", dims=2, datatype="float32", search=Flat()),),
    )
    one = IndexDefinition(storage="hash", fields=IN_HASH.fields[4:])
    made = to_hash(change(many, one), {"parts": [{"v": [1, 2]}]})
    assert isinstance(made, dict)
    assert numbers(made[b"v"], "float32") == [1, 2]
    refused = to_hash(change(many, one), {"parts": [{"v": [1, 2]}, {"v": [3, 4]}]})
    assert isinstance(refused, Bad)
    assert refused.reason == "2 vectors, and the field holds one"


def test_a_path_that_no_new_document_can_have_is_refused() -> None:
    """An item of an array that is not there."""
    after = IndexDefinition(storage="json", fields=(TextField(name="title", identifier="$.titles[0]"),))
    made = to_json(change(IN_HASH, after), {b"title": b"x"})
    assert isinstance(made, Bad)
    assert made.reason == "nothing can be written to the JSON path $.titles[0] of a new document"


def test_batches_keep_their_rows() -> None:
    """Bad rows are None, and told by their number."""
    converted = all_to_json(change(IN_HASH, IN_JSON), [HASH, {b"price": b"x"}, {b"title": b"y"}], functions={})
    assert converted.documents == [DOCUMENT, None, {"title": "y"}]
    assert [(bad.row, bad.field) for bad in converted.bad] == [(1, "price")]
    back = all_to_hash(change(IN_JSON, IN_HASH), [7, DOCUMENT], functions={})
    assert back.documents[0] is None
    assert back.documents[1] == {**HASH, b"price": b"12.5"}


texts = st.text(st.characters(exclude_categories=["Cs"]))
names = texts.filter(lambda name: name not in {"title", "color", "price", "spot", "v", "tags", "offer"})


@given(
    st.dictionaries(names, texts, max_size=4),
    st.floats(-1e9, 1e9),
    st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=2),
)
def test_there_and_back_is_the_same_hash(more: dict[str, str], price: float, row: list[float]) -> None:
    """Whatever else is in it, under whatever names."""
    stored = {name.encode(): text.encode() for name, text in more.items()}
    stored |= {b"price": repr(price).encode(), b"v": blobs([row])[0], b"title": b"x"}
    document = to_json(change(IN_HASH, IN_JSON), stored)
    assert isinstance(document, dict)
    back = to_hash(change(IN_JSON, IN_HASH), json.loads(json.dumps(document)))
    assert isinstance(back, dict)
    assert float(back.pop(b"price")) == float(stored.pop(b"price"))
    assert back == stored


# Paths

TREE = {"a": {"b": [1, 2, {"c": 3}], "x.y": 4, "*": 5}, "v": [[1, 2], [3, 4]], "n": None}


@pytest.mark.parametrize(
    ("path", "found", "several"),
    [
        ("$", [TREE], False),
        ("$.a.b", [[1, 2, {"c": 3}]], False),
        ("$.a.b[0]", [1], False),
        ("$.a.b[-1].c", [3], False),
        ("$.a.b[9]", [], False),
        ("$.a['x.y']", [4], False),
        ('$["a"]["*"]', [5], False),
        ("$.a.b[*]", [1, 2, {"c": 3}], True),
        ("$.a.b[1:]", [2, {"c": 3}], True),
        ("$.a.b[:1]", [1], True),
        ("$..c", [3], True),
        ("$.v[*][0]", [1, 3], True),
        ("$.v.*", [[1, 2], [3, 4]], True),
        ("$.n", [None], False),
        ("$.missing.deep", [], False),
        ("a.b[0]", [1], False),
        (".a.b[0]", [1], False),
    ],
)
def test_paths(path: str, found: list[Any], several: bool) -> None:
    """What is matched, in the order of the document; whether it may be more than one thing."""
    assert matches(TREE, path) == found
    assert is_several(path) is several
    assert value_at(TREE, path) == (found if several else next(iter(found), None))


@pytest.mark.parametrize(("path", "several"), [("$.a[?(@.b>1)].c", True), ("$['a','b']", True), ("$.a[0,1]", True)])
def test_filters_and_unions_are_known_to_have_several_matches_but_not_followed(path: str, several: bool) -> None:
    """They are refused rather than misread."""
    assert is_several(path) is several
    with pytest.raises(UnfitError, match="cannot be followed here"):
        parse_path(path)


def test_put_makes_objects_on_the_way() -> None:
    """Several values may share them; nothing is overwritten."""
    document: dict[str, Any] = {}
    put(document, "$.a.b", 1)
    put(document, "$.a['c.d']", 2)
    put(document, "$.tags[*]", ["x"])
    assert document == {"a": {"b": 1, "c.d": 2}, "tags": ["x"]}
    for path in ("$.a.b", "$.a", "$.a.b.c"):
        with pytest.raises(UnfitError, match="is in the way of"):
            put(document, path, 3)
    for path in ("$", "$.x[0].y", "$..x", "$.x.*.y", "$[*]"):
        with pytest.raises(UnfitError, match="nothing can be written"):
            put(document, path, 3)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.a.b", {"a": {"x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}),
        ("$.v[*].c", {"a": {"b": [1, 2], "x": 1}, "v": [{"d": 2}]}),
        ("$.v[0]", {"a": {"b": [1, 2], "x": 1}, "v": [{"c": 3}]}),
        ("$..c", {"a": {"b": [1, 2], "x": 1}, "v": [{"d": 2}]}),
        ("$..b[*]", {"a": {"x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}),
        ("$.e.x", {"a": {"b": [1, 2], "x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}),
        ("$.a.*", {"v": [{"c": 1, "d": 2}, {"c": 3}]}),
        ("$.missing.x", {"a": {"b": [1, 2], "x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}),
        ("$.a.b[9]", {"a": {"b": [1, 2], "x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}),
    ],
)
def test_take_leaves_no_empty_shells(path: str, left: Any) -> None:
    """Objects and arrays that have become empty go with what was in them."""
    document = {"a": {"b": [1, 2], "x": 1}, "v": [{"c": 1, "d": 2}, {"c": 3}]}
    take(document, path)
    assert document == left


def test_what_was_empty_before_stays() -> None:
    """Only what has become empty goes."""
    document = {"a": {}, "b": {"c": []}, "d": 1}
    for path in ("$.a.x", "$.b.c[*]", "$..y"):
        take(document, path)
    assert document == {"a": {}, "b": {"c": []}, "d": 1}
