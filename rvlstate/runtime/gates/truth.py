"""The true nearest neighbours of some vectors among all vectors of an index: all are compared, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rvlstate.runtime.gates.search import Search
from rvlstate.runtime.gates.vectors import StoredVectors
from rvlstate.transforms.exact import ExactNeighbours

MOST_DOCUMENTS = 200_000
MOST_BYTES = {"hash": 256 << 20, "json": 16 << 20}
"""What is affordable: under ten seconds of reading, next to other work (measured: 100,000 x 384 of float32 in hashes
7 s, 20,000 x 384 in JSON, where numbers are text, 12 s)."""

Near = tuple[tuple[str, float], ...]


def is_affordable(vectors: StoredVectors, documents: int) -> bool:
    """Whether all vectors of an index of so many documents may be read for a check."""
    most = MOST_BYTES[vectors.definition.storage]
    return documents <= MOST_DOCUMENTS and documents * vectors.shape.nbytes <= most


def true_neighbours(
    search: Search, vectors: StoredVectors, queries: Sequence[bytes], k: int, documents: int
) -> list[Near]:
    """The k nearest documents of the index for each query, nearest first. Raises SeveralVectorsError."""
    exact = ExactNeighbours(queries, vectors.shape, vectors.field.distance_metric, k)
    for batch in _batches(search, vectors, documents):
        exact.feed([key.encode("utf-8", "surrogateescape") for key, _ in batch], [blob for _, blob in batch])
    return [
        tuple((key.decode("utf-8", "surrogateescape"), distance) for key, distance in found)
        for found in exact.distances()
    ]


def _batches(search: Search, vectors: StoredVectors, documents: int) -> Iterator[list[tuple[str, bytes | None]]]:
    loaded = search.values(vectors.field.name)
    if loaded is not None:
        for rows in loaded:
            yield [(key, vectors.blob(value)) for key, value in rows]
        return
    for keys in search.pages(documents):
        yield list(zip(keys, vectors.read(keys), strict=True))
