"""Exact neighbours over batches, and query vectors in the datatype that the documents have now."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transform_kit import blobs, numbers, run, vector

from rvlstate.model.rewrite import VectorShape
from rvlstate.model.transform import Cast
from rvlstate.transforms.exact import ExactNeighbours, encode

METRICS = ("cosine", "l2", "ip")


def shape(datatype: str, dims: int) -> VectorShape:
    """How vectors are stored."""
    return VectorShape(datatype=datatype, dims=dims)


def keys(count: int) -> list[bytes]:
    """Keys of so many documents."""
    return [b"doc:%04d" % number for number in range(count)]


def by_force(documents: Any, query: Any, metric: str, k: int) -> list[bytes]:
    """The neighbours by the definition of the metric, in float64."""
    if metric == "l2":
        distances = ((documents - query) ** 2).sum(axis=1)
    elif metric == "ip":
        distances = 1 - documents @ query
    else:
        distances = 1 - documents @ query / np.linalg.norm(documents, axis=1) / np.linalg.norm(query)
    order = sorted(range(len(documents)), key=lambda at: (distances[at], keys(len(documents))[at]))
    return [keys(len(documents))[at] for at in order[:k]]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("datatype", ["float64", "float32", "float16", "bfloat16", "int8"])
def test_neighbours_are_those_of_the_definition(metric: str, datatype: str) -> None:
    """Whatever the batches; the documents are random, so that distances differ."""
    random = np.random.default_rng(7)
    scale = 100 if datatype == "int8" else 1
    stored = blobs(np.clip(random.standard_normal((300, 24)) * scale, -127, 127), datatype)
    documents = np.array([numbers(blob, datatype) for blob in stored])
    search = ExactNeighbours(stored[:5], shape(datatype, 24), metric, 10)
    for start in range(0, 300, 64):
        search.feed(keys(300)[start : start + 64], stored[start : start + 64])
    for query, found in zip(documents[:5], search.result(), strict=True):
        expected = by_force(documents, query, metric, 10)
        # Integers tie often, and float32 rounds: the sets agree but for what is equally near.
        assert len(set(found) & set(expected)) >= (9 if datatype == "int8" else 10)
        if datatype != "int8":
            assert found == expected


@given(st.integers(1, 7), st.integers(1, 5), st.sampled_from(METRICS), st.data())
def test_batches_and_repeats_make_no_difference(size: int, k: int, metric: str, data: Any) -> None:
    """Whole numbers, which tie often: equal distances go by key; a key that SCAN returns twice counts once.

    Under cosine lengths are no whole numbers, and a product of many rows is rounded otherwise than that of few.
    """
    rows = data.draw(st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=15))
    stored, names = blobs(rows), keys(len(rows))
    order = data.draw(st.permutations([*range(len(rows)), *range(len(rows) // 2)]))
    whole = ExactNeighbours(blobs([[1, 2], [0, 1]]), shape("float32", 2), metric, k)
    whole.feed(names, stored)
    parts = ExactNeighbours(blobs([[1, 2], [0, 1]]), shape("float32", 2), metric, k)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        parts.feed([names[at] for at in batch], [stored[at] for at in batch])
    if metric != "cosine":
        assert parts.result() == whole.result()
    for found, expected in zip(parts.distances(), whole.distances(), strict=True):
        assert len({key for key, _ in found}) == len(expected)
        assert [distance for _, distance in found] == pytest.approx([distance for _, distance in expected], abs=1e-5)


def test_what_has_no_distance_is_left_out() -> None:
    """Missing, of another length, NaN, and zero under cosine."""
    search = ExactNeighbours(blobs([[1, 0]]), shape("float32", 2), "cosine", 5)
    search.feed(keys(6), [None, b"12345", *blobs([[np.nan, 1], [0, 0], [-1, 0], [2, 0]])])
    assert search.result() == [[b"doc:0005", b"doc:0004"]]


def test_no_queries_and_no_documents_are_no_trouble() -> None:
    """Nothing is found."""
    nobody = ExactNeighbours([], shape("float32", 2), "l2", 3)
    nobody.feed(keys(1), blobs([[1, 2]]))
    assert nobody.result() == []
    nothing = ExactNeighbours(blobs([[1, 2]]), shape("float32", 2), "l2", 3)
    nothing.feed([], [])
    nothing.feed(keys(1), [None])
    assert nothing.result() == [[]]


@pytest.mark.parametrize(("after", "scale"), [("float16", None), ("bfloat16", None), ("int8", 0.02), ("float64", None)])
def test_a_query_is_encoded_as_the_documents_are(after: str, scale: float | None) -> None:
    """Byte for byte what a cast writes, from a blob or from numbers."""
    row = [0.5, -1.25, 2.0]
    (stored,) = blobs([row])
    cast = run([vector("v", "float32", 3)], [Cast(scale=scale)], vector("v", after, 3), [stored]).values[0][0]
    assert encode(stored, shape("float32", 3), shape(after, 3), scale) == cast
    assert encode(row, shape("float32", 3), shape(after, 3), scale) == cast


def test_a_query_is_cut_to_fewer_dims() -> None:
    """As `truncate` does."""
    assert encode([1, 2, 3], shape("float32", 3), shape("float32", 2), None) == blobs([[1, 2]])[0]


@pytest.mark.parametrize(
    ("query", "after", "reason"),
    [
        (b"12345", shape("float16", 2), "5 bytes, expected 8"),
        ([1], shape("float16", 2), "1 values, expected 2"),
        ([1, float("nan")], shape("float16", 2), "value 1 is NaN"),
        ([1, 70000], shape("float16", 2), "beyond float16"),
        ([1, 2], shape("float16", 3), "2 values, expected 3"),
    ],
)
def test_a_query_that_cannot_be_encoded(query: Any, after: VectorShape, reason: str) -> None:
    """With the same words as for a document."""
    with pytest.raises(ValueError, match=reason):
        encode(query, shape("float32", 2), after, None)
