"""The embedding model of this application: letters of a text, hashed into as many dimensions as one likes.

No model and no randomness: the same text gives the same vector everywhere, and like texts give near vectors.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import numpy.typing as npt

NEW_DIMS = 256


def embed(names: list[str | None], cities: list[str | None]) -> npt.NDArray[np.float32]:
    """The new vectors of a batch of documents, one row each; the columns come in the order of `reads`."""
    return np.stack([vector(f"{name or ''} {city or ''}", NEW_DIMS) for name, city in zip(names, cities, strict=True)])


def vector(text: str, dims: int) -> npt.NDArray[np.float32]:
    """The vector of a text: its words and what three letters in a row they have, at length 1."""
    counts = np.zeros(dims, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        padded = f" {word} "
        for gram in [padded, *(padded[start : start + 3] for start in range(len(padded) - 2))]:
            digest = zlib.crc32(gram.encode())
            counts[digest % dims] += 1.0 if digest >> 31 else -1.0
    return counts / (np.linalg.norm(counts) or 1.0)
