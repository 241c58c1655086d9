"""Exact nearest neighbours, found batch by batch in constant memory, and query vectors in another datatype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rvlstate.model.rewrite import VectorShape
from rvlstate.transforms import vectors
from rvlstate.transforms.columns import Matrix, Notes, Vectors


def encode(vector: bytes | Sequence[float], before: VectorShape, after: VectorShape, scale: float | None) -> bytes:
    """A query vector as the documents are stored now: cut to the new dims, in the new datatype, by the same scale.

    `vector` is a blob of shape `before`, or its numbers. Raises ValueError for what cannot be encoded.
    """
    notes = Notes("query")
    if isinstance(vector, bytes):
        given = vectors.read_blobs([vector], before, notes)
    else:
        given = vectors.read_lists([list(vector)], before, notes, several=False)
    if before.dims < after.dims:
        notes.refuse(0, f"{before.dims} values, expected {after.dims}")
    cut = Vectors(matrix=np.ascontiguousarray(given.matrix[:, : after.dims]), owners=given.owners, peak=given.peak)
    blobs = vectors.write_blobs(vectors.cast(cut, after.datatype, scale, notes), 1)
    if notes.bad or blobs[0] is None:
        raise ValueError(notes.bad[0].reason if notes.bad else "there is no vector")
    return blobs[0]


class ExactNeighbours:
    """The `k` nearest neighbours of each query among all vectors that it is fed, by exact comparison.

    `metric` is cosine, l2 or ip; equal distances are ordered by key (in float32 those of equal vectors may differ in
    the last digit: a product of many rows is rounded otherwise than that of few). Documents without a vector of the
    right length, or with one that has no distance (NaN, the zero vector under cosine), are left out; a key that comes
    twice counts once. Memory: that of the queries, `k` keys for each, and one batch.
    """

    def __init__(self, queries: Sequence[bytes], shape: VectorShape, metric: str, k: int) -> None:
        self._shape = shape
        self._metric = metric
        self._k = k
        self._queries = self._prepared(np.frombuffer(b"".join(queries), vectors.DTYPES[shape.datatype]))
        self._best: list[dict[bytes, float]] = [{} for _ in queries]
        self._worst = np.full(len(queries), np.inf)

    def feed(self, keys: Sequence[bytes], blobs: Sequence[bytes | None]) -> None:
        """Compare a batch of documents with all queries; `blobs` are their vectors as stored."""
        kept = [at for at, blob in enumerate(blobs) if blob is not None and len(blob) == self._shape.nbytes]
        if not kept or not self._best:
            return
        blob = b"".join([blobs[at] or b"" for at in kept])
        distances = self._distances(self._prepared(np.frombuffer(blob, vectors.DTYPES[self._shape.datatype])))
        nearest = distances.min(axis=0) <= self._worst
        for query in np.flatnonzero(nearest).tolist():
            self._take_in(query, distances[:, query], [keys[at] for at in kept])

    def result(self) -> list[list[bytes]]:
        """For each query, the keys of its neighbours, nearest first."""
        return [[key for _, key in self._ordered(best)] for best in self._best]

    def distances(self) -> list[list[tuple[bytes, float]]]:
        """As `result`, each key with its distance as the server tells it: 1 minus the product, for l2 the square."""
        offset = 0.0 if self._metric == "l2" else 1.0
        return [[(key, offset + distance) for distance, key in self._ordered(best)] for best in self._best]

    def _take_in(self, query: int, distances: Matrix, keys: list[bytes]) -> None:
        best = self._best[query]
        for at in np.flatnonzero(distances <= self._worst[query]).tolist():
            if np.isfinite(distances[at]):
                best[keys[at]] = float(distances[at])
        ordered = self._ordered(best)[: self._k]
        self._best[query] = {key: distance for distance, key in ordered}
        if len(ordered) == self._k:
            self._worst[query] = ordered[-1][0]

    def _ordered(self, best: dict[bytes, float]) -> list[tuple[float, bytes]]:
        return sorted((distance, key) for key, distance in best.items())

    def _prepared(self, values: Matrix) -> Matrix:
        """Rows of float32, or float64 where cancellation would cost digits; of length 1 for cosine."""
        wide = self._metric == "l2" or self._shape.datatype == "float64"
        matrix = values.reshape(-1, self._shape.dims).astype(np.float64 if wide else np.float32)
        if self._metric != "cosine":
            return matrix
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            unit: Matrix = matrix / np.sqrt(np.einsum("ij,ij->i", matrix, matrix))[:, np.newaxis]
        return unit

    def _distances(self, matrix: Matrix) -> Matrix:
        """(documents, queries), the smaller the nearer; infinite where there is none."""
        with np.errstate(invalid="ignore", over="ignore"):
            found: Any = -(matrix @ self._queries.T)
            if self._metric == "l2":
                squares = [np.einsum("ij,ij->i", side, side) for side in (matrix, self._queries)]
                found = squares[0][:, np.newaxis] + squares[1] + 2 * found
        distances: Matrix = np.where(np.isfinite(found), found, np.inf)
        return distances
