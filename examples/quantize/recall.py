"""How good would search be with int8 vectors? Measured on the vectors that are stored, before anything is changed.

    python recall.py 0.00552

The scale is the one that `rvlstate plan` shows: value = integer x scale.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import numpy.typing as npt
import redis

Matrix = npt.NDArray[np.float32]
STORED = "<f2"
K = 10
TIE = 1e-6


def as_int8(vectors: Matrix, scale: float) -> npt.NDArray[np.int8]:
    """Vectors as rvlstate stores them in int8; encode the vectors of queries in the same way."""
    integers: npt.NDArray[np.int8] = np.clip(np.rint(vectors / scale), -127, 127).astype(np.int8)
    return integers


def recall(vectors: Matrix, smaller: npt.NDArray[np.int8]) -> float:
    """The share of true nearest neighbours by cosine that the smaller vectors find too, each document being a query."""
    true, found = similarities(vectors), similarities(smaller.astype(np.float32))
    farthest = np.sort(true, axis=1)[:, -K, np.newaxis] - TIE  # an answer as near as the last true one counts as well
    answers = np.argsort(-found, axis=1, kind="stable")[:, :K]
    return float(np.mean(np.take_along_axis(true, answers, axis=1) >= farthest))


def similarities(vectors: Matrix) -> Matrix:
    """The cosine of each vector with each."""
    unit: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines: Matrix = unit @ unit.T
    return cosines


def stored() -> Matrix:
    """The vectors of all documents."""
    with redis.from_url(os.environ["REDIS_URL"]) as client, client.pipeline(transaction=False) as pipeline:
        for key in sorted(client.scan_iter("airport:*", count=1000)):
            pipeline.hget(key, "embedding")
        blobs = pipeline.execute()
    return np.stack([np.frombuffer(blob, dtype=STORED) for blob in blobs]).astype(np.float32)


if __name__ == "__main__":
    vectors, scale = stored(), float(sys.argv[1])
    print(f"recall@{K} with int8 and a scale of {scale}: {recall(vectors, as_int8(vectors, scale)):.2f}")
    print(f"recall@{K} if the scale were ten times as large: {recall(vectors, as_int8(vectors, scale * 10)):.2f}")
