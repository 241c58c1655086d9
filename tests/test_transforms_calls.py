"""The user's own callables: what they are given, what they may return, and who is to blame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transform_kit import blobs, numbers, reasons, run, value, vector

from rvlstate.model.rewrite import Source
from rvlstate.model.transform import Call, Cast, Normalize, Split, TransformStep, Truncate

F, G = Call(function="m:f"), Call(function="m:g")
TEXT, PAIR = value("t"), vector("v", "float32", 2)


def call(
    function: Any, writes: Source, *columns: Any, reads: Any = (TEXT,), steps: Any = (F,), storage: Any = "hash"
) -> Any:
    """The outcome of one callable over columns."""
    return run(reads, steps, writes, *columns, storage=storage, f=function)


def noting(seen: list[Any], what: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A callable that returns its column, and notes what it was given."""

    def f(column: Any) -> Any:
        seen.append(what(column))
        return column

    return f


# What it is given


def test_columns_come_in_the_order_of_reads() -> None:
    """Texts as a list of str and None, vectors as a matrix of float32 of its own."""
    seen: list[Any] = []

    def f(texts: list[str | None], vectors: Any) -> Any:
        seen.extend([texts, vectors.copy()])
        vectors[:] = 0
        return texts

    stored = blobs([[1, 2], [3, 4]])
    outcome = call(f, value("u"), [b"a", None], stored, reads=[TEXT, PAIR])
    assert seen[0] == ["a", None]
    assert seen[1].tolist() == [[1, 2], [3, 4]]
    assert seen[1].dtype == np.float32
    assert outcome.values[0] == [b"a", None]
    assert stored == blobs([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("stored", "given_as"),
    [("float64", "float64"), ("float16", "float32"), ("bfloat16", "float32"), ("int8", "int8"), ("uint8", "uint8")],
)
def test_vectors_come_as_stored_or_as_float32(stored: str, given_as: str) -> None:
    """Half precision is no dtype to compute in."""
    kinds: list[str] = []

    def f(vectors: Any) -> Any:
        kinds.append(str(vectors.dtype))
        return vectors

    call(f, PAIR, blobs([[1, 2]], stored), reads=[vector("v", stored, 2)])
    assert kinds == [given_as]


def test_documents_that_lack_what_is_read_are_not_passed() -> None:
    """A missing vector, or nothing at all: nothing is written for them."""
    sizes: list[int] = []

    def f(texts: Any, vectors: Any) -> Any:
        sizes.append(len(texts))
        assert len(vectors) == len(texts)
        return [text or "-" for text in texts]

    outcome = call(f, value("u"), [b"a", b"b", None], [*blobs([[1, 2]]), None, *blobs([[3, 4]])], reads=[TEXT, PAIR])
    assert (sizes, outcome.values[0]) == ([2], [b"a", None, b"-"])
    sizes.clear()
    alone = call(noting(sizes, len), value("u"), [None, b"a"])
    assert (sizes, alone.values[0]) == ([1], [None, b"a"])


def test_nothing_is_called_for_nothing() -> None:
    """A batch without a document that could be passed."""
    outcome = call(lambda _: pytest.fail("called"), PAIR, [None, None])
    assert (outcome.values[0], outcome.bad) == ([None, None], ())


def test_json_values_come_as_text() -> None:
    """Numbers in their shortest form, lists and objects as JSON."""
    seen: list[Any] = []
    rows = ["a", 3.0, True, ["x", 1], {"a": "ü"}, None]
    call(noting(seen, list), value("$.u"), rows, reads=[value("$.t")], storage="json")
    assert seen == [["a", "3", "true", '["x", 1]', '{"a": "ü"}']]


def test_several_vectors_come_as_one_matrix_for_each_document() -> None:
    """So that a document's vectors can be pooled."""
    reads = [vector("$.parts[*].v", "float32", 2)]
    rows = [[[1.0, 2.0], [3.0, 4.0]], [], [[5.0, 6.0]]]
    outcome = call(
        lambda many: [each.mean(axis=0) for each in many],
        vector("$.v", "float32", 2),
        rows,
        reads=reads,
        storage="json",
    )
    assert outcome.values[0] == [[2, 3], None, [5, 6]]


# What it may return


@pytest.mark.parametrize(
    "returned",
    [
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], dtype=np.float16),
        np.array([[1, 2], [3, 4]], dtype=ml_dtypes.bfloat16),
        [[1, 2], [3, 4]],
        [np.array([1.0, 2.0]), (3, 4)],
        ((1, 2), np.array([3, 4], dtype=ml_dtypes.bfloat16)),
    ],
    ids=repr,
)
def test_vectors_may_be_returned_in_many_shapes(returned: Any) -> None:
    """An array, or anything that holds one vector for each row."""
    outcome = call(lambda _: returned, PAIR, [b"a", b"b"])
    assert [numbers(blob, "float32") for blob in outcome.values[0]] == [[1, 2], [3, 4]]


def test_none_means_nothing_to_write() -> None:
    """For vectors and for values."""
    assert call(lambda _: [None, [1, 2]], PAIR, [b"a", b"b"]).values[0] == [None, *blobs([[1, 2]])]
    assert call(lambda _: [None, None], PAIR, [b"a", b"b"]).values[0] == [None, None]
    assert call(lambda _: [None, 3.0], value("u"), [b"a", b"b"]).values[0] == [None, b"3"]


@pytest.mark.parametrize(
    ("returned", "kind", "made"),
    [
        (["x"], "text", b"x"),
        ([2.50], "numeric", b"2.5"),
        (["7"], "numeric", b"7"),
        ([np.float32(0.5)], "numeric", b"0.5"),
        (np.array([3]), "numeric", b"3"),
        (np.array(["x"]), "tag", b"x"),
        ([["a", "b"]], "tag", b"a,b"),
        (["13.4 52.5"], "geo", b"13.4,52.5"),
        (("x",), "text", b"x"),
    ],
)
def test_values_are_written_in_the_form_of_the_field(returned: Any, kind: Any, made: bytes) -> None:
    """Texts, numbers of Python and of numpy, lists of tags."""
    assert call(lambda _: returned, value("u", kind), [b"a"]).values[0] == [made]


def test_integers_are_written_as_they_are_and_floats_need_a_cast() -> None:
    """Nobody else knows what an integer step is worth."""
    place = vector("v", "int8", 2)
    assert call(lambda _: np.array([[1, -2]]), place, [b"a"]).values[0] == [b"\x01\xfe"]
    outcome = call(lambda _: np.array([[200, -2]]), place, [b"a"])
    assert (outcome.values[0], outcome.saturated) == ([b"\x7f\xfe"], 1)
    refused = call(lambda _: np.array([[0.1, 0.2]]), place, [b"a"])
    assert reasons(refused) == {0: "m:f returned float64 for int8 vectors: return integers, or put cast behind it"}
    scaled = call(lambda _: [[0.1, -0.2]], place, [b"a"], steps=[F, Cast(scale=0.1)])
    assert (scaled.values[0], scaled.largest) == ([b"\x01\xfe"], (("f", 0.2),))


def test_callables_stand_in_chains() -> None:
    """Behind a step, in front of one, and behind each other."""
    chain: list[TransformStep] = [Split(separator=" "), F, G, Truncate(), Normalize()]
    outcome = run(
        [TEXT],
        chain,
        PAIR,
        [b"ab cd"],
        f=lambda texts: [text * 2 for text in texts],
        g=lambda texts: [[len(texts[0]), 3, 9]],
    )
    assert numbers(outcome.values[0][0], "float32") == pytest.approx([0.8, 0.6])


@pytest.mark.parametrize(
    ("returned", "writes", "reason"),
    [
        (None, PAIR, "m:f returned NoneType, expected a column of 2 values"),
        ("ab", value("u"), "m:f returned str, expected a column of 2 values"),
        (5, value("u"), "m:f returned int, expected a column of 2 values"),
        ({0: "a", 1: "b"}, value("u"), "m:f returned dict, expected a column of 2 values"),
        (["a"], value("u"), "m:f returned 1 values for 2 documents"),
        (np.zeros((3, 2)), PAIR, "m:f returned 3 values for 2 documents"),
        (np.zeros((2, 3)), PAIR, "m:f returned an array of shape (2, 3), expected (n, 2)"),
        (np.zeros(2), PAIR, "m:f returned an array of shape (2,), expected (n, 2)"),
        (np.array([["a", "b"]] * 2), PAIR, "m:f returned vectors of <U1, expected numbers"),
        ([[1, 2, 3]] * 2, PAIR, "m:f returned a vector of 3 values, expected 2"),
        (["a", "b"], PAIR, 'm:f returned "a" for a vector'),
        ([[[1], [2, 3]]] * 2, PAIR, "m:f returned list for a vector"),
        ([b"a", b"b"], value("u"), "m:f returned bytes for a value, expected str, a number or None"),
        ([{}, {}], value("u"), "m:f returned dict for a value, expected str, a number or None"),
        ([[1], [2]], value("u", "tag"), "m:f returned list for a value, expected str, a number or None"),
    ],
    ids=str,
)
def test_what_was_not_agreed_names_the_callable(returned: Any, writes: Source, reason: str) -> None:
    """Every row is bad, since no part of the batch fares better."""
    outcome = call(lambda _: returned, writes, [b"a", b"b"])
    assert reasons(outcome) == {0: reason, 1: reason}
    assert outcome.values[0] == [None, None]


def test_nan_of_the_users_making_is_bad() -> None:
    """As if it had been stored."""
    assert reasons(call(lambda _: [[1, 2], [np.nan, 1]], PAIR, [b"a", b"b"])) == {1: "value 0 is NaN"}


# Who is to blame


@given(st.lists(st.sampled_from((b"good", b"good", b"good", b"bad", None)), min_size=1, max_size=60))
def test_only_the_guilty_rows_are_bad(rows: list[bytes | None]) -> None:
    """Found by calling again with parts of the batch; the others are transformed."""

    def f(texts: list[str]) -> list[str]:
        if "bad" in texts:
            raise ValueError("cannot embed\nthis")
        return [text.upper() for text in texts]

    outcome = call(f, value("u"), rows)
    guilty = {at for at, row in enumerate(rows) if row == b"bad"}
    found = reasons(outcome)
    passed = [at for at, row in enumerate(rows) if row is not None]
    probed = [passed[at] for at in range(0, len(passed), max(1, len(passed) // 8))][:8]
    if guilty >= set(probed) and guilty:
        assert set(found) == set(passed)
    else:
        assert set(found) == guilty
        assert [row for row in outcome.values[0] if row] == [b"GOOD"] * (len(passed) - len(guilty))
    assert set(found.values()) <= {"m:f raised ValueError: cannot embed this"}


def test_the_traceback_is_the_users_own() -> None:
    """From the first frame that is theirs on; none of ours."""

    def inner(texts: list[str]) -> None:
        raise KeyError(texts[0])

    outcome = call(inner, value("u"), [b"x"])
    (bad,) = outcome.bad
    assert bad.reason == "m:f raised KeyError: 'x'"
    assert bad.detail.startswith("Traceback (most recent call last):\n  File ")
    assert "in inner" in bad.detail
    assert bad.detail.endswith("KeyError: 'x'")
    assert "calling.py" not in bad.detail


def test_a_batch_that_is_too_large_is_halved() -> None:
    """A service may take so many inputs and no more."""

    def f(texts: list[str]) -> list[str]:
        if len(texts) > 10:
            raise RuntimeError("too many inputs")
        return texts

    outcome = call(f, value("u"), [b"x"] * 64)
    assert outcome.bad == ()
    assert outcome.values[0] == [b"x"] * 64


def test_a_callable_that_always_fails_is_not_called_for_every_row() -> None:
    """Some rows from all over the batch are enough to tell."""
    calls: list[int] = []

    def f(texts: list[str]) -> list[str]:
        calls.append(len(texts))
        raise OSError("no route to host")

    outcome = call(f, PAIR, [b"x"] * 500)
    assert len(outcome.bad) == 500
    assert len(calls) == 9
    assert all(bad.detail for bad in outcome.bad)


def test_an_attempt_to_leave_the_program_is_a_failure() -> None:
    """`sys.exit()` in the user's code must not end a run with success; Ctrl-C ends it."""

    def leave(_: Any) -> None:
        raise SystemExit(0)

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    assert reasons(call(leave, value("u"), [b"x"])) == {0: "m:f raised SystemExit: 0"}
    with pytest.raises(KeyboardInterrupt):
        call(interrupt, value("u"), [b"x"])


def test_rows_that_are_bad_already_are_not_passed() -> None:
    """The user's code sees sound vectors and texts only."""
    seen: list[Any] = []
    rows = [*blobs([[1, 2], [np.nan, 1]]), b"12345"]
    outcome = call(noting(seen, lambda vectors: vectors.tolist()), PAIR, rows, reads=[PAIR])
    assert seen == [[[1, 2]]]
    assert set(reasons(outcome)) == {1, 2}


def test_parts_of_a_batch_must_agree_about_dims() -> None:
    """Where a truncation follows, any dims will do, but the same for all."""

    def f(texts: list[str]) -> Any:
        if len(texts) > 1:
            raise RuntimeError
        return np.zeros((1, 3 if texts[0] == "a" else 4)) + 1

    outcome = call(f, PAIR, [b"a", b"b"], steps=[F, Truncate()])
    assert set(reasons(outcome).values()) == {"m:f returned vectors of different dims for parts of a batch"}
