"""How the application encodes vectors: in the datatype that the index has which answers at the moment."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rvlstate.runtime.connect import as_pairs

Vectors: TypeAlias = npt.NDArray[np.float32]

INDEX = "airports"
PREFIX = "airport:"
OLD, NEW = "FLOAT32", "FLOAT16"
CODES = {OLD: "<f4", NEW: "<f2"}


def encoded(vector: bytes, datatype: str) -> bytes:
    """A vector of float32 in the bytes of another datatype."""
    return np.frombuffer(vector, CODES[OLD]).astype(CODES[datatype]).tobytes()


def datatype_now(client: Any) -> str:
    """The datatype of the vectors in the index that answers to the name, as it says itself. `client` speaks RESP 3."""
    fields = (as_pairs(attributes) for attributes in client.ft(INDEX).info()["attributes"])
    return next(str(field["data_type"]) for field in fields if field["attribute"] == "embedding")


def wants_other(error: Exception) -> bool:
    """Whether the server refused a query because its vector is not as long as those of the index."""
    return "vector blob size" in str(error)
