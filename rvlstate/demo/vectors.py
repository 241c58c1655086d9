"""How the application asks: by the name, with vectors in the datatype of the index that answers at the moment."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rvlstate.runtime.connect import as_pairs

Vectors: TypeAlias = npt.NDArray[np.float32]

INDEX = "airports"
PREFIX = "airport:"
OLD, NEW = "FLOAT32", "FLOAT16"
NEAREST = 10
KNN = f"*=>[KNN {NEAREST} @embedding $v EF_RUNTIME 100]"
"""With more candidates than the server looks at by itself, so that what is missed is missed for the precision."""

BY_CODE = "@iata:{$v}"
CODES = {OLD: "<f4", NEW: "<f2"}


def encoded(vector: bytes, datatype: str) -> bytes:
    """A vector of float32 in the bytes of another datatype."""
    return np.frombuffer(vector, CODES[OLD]).astype(CODES[datatype]).tobytes()


def datatype_now(client: Any) -> str:
    """The datatype of the vectors in the index that answers to the name, as it says itself. `client` speaks RESP 3."""
    fields = (as_pairs(attributes) for attributes in client.ft(INDEX).info()["attributes"])
    return next(str(field["data_type"]) for field in fields if field["attribute"] == "embedding")


def find(client: Any, query: str, value: str | bytes) -> list[str]:
    """The codes of the airports in an answer, at most ten. `client` speaks RESP 2 and decodes nothing."""
    options = ("RETURN", 1, "iata", "LIMIT", 0, NEAREST, "DIALECT", 2)
    _total, *rows = client.execute_command("FT.SEARCH", INDEX, query, "PARAMS", 2, "v", value, *options)
    return [fields[1].decode() for fields in rows[1::2] if fields]


def wants_other(error: Exception) -> bool:
    """Whether the server refused a query because its vector is not as long as those of the index."""
    return "vector blob size" in str(error)
