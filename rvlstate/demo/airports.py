"""The airports of `vega_datasets`, one of its real tables, as documents whose vectors are computed from their text."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import numpy as np

from rvlstate.errors import UsageError

Document: TypeAlias = dict[str, str | int | bytes]
"""The fields of one hash."""

DIMS = 64
GRAM = 3
MISSING = "NA"
"""How the table writes that a city or a state is not known."""


def airports() -> list[Document]:
    """All 3,376 airports, in the table's order."""
    return [_airport(row) for row in _rows()]


def states() -> list[Document]:
    """The states that the airports lie in, or the country where the table has no state, with their cities."""
    ordered = sorted(_rows(), key=_place)
    return [_state(place, list(group)) for place, group in groupby(ordered, key=_place)]


def embed(text: str) -> bytes:
    """The vector of a text: its words and their trigrams hashed into 64 float32 values of length 1 together.

    No model and no randomness: the same text gives the same bytes everywhere, and like texts give near vectors.
    """
    vector = np.zeros(DIMS, dtype="<f4")
    for gram in _grams(text):
        digest = zlib.crc32(gram.encode())
        vector[digest % DIMS] += 1.0 if digest >> 31 else -1.0
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).tobytes()


def require_table() -> None:
    """Raise UsageError unless the package that brings the table is installed."""
    if find_spec("vega_datasets") is None:
        raise UsageError(
            "the demo needs the package vega_datasets, which brings its table of airports",
            next_step='install it: pip install "rvlstate[demo]"',
        )


def _rows() -> list[dict[str, str]]:
    require_table()
    from vega_datasets import local_data  # it brings pandas along, which takes a second to load

    with Path(local_data.airports.filepath).open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def _airport(row: dict[str, str]) -> Document:
    known = {name: row[name] for name in ("iata", "name", "city", "state", "country") if row[name] != MISSING}
    text = f"{row['name']} {known.get('city', '')}"
    return {**known, "location": f"{row['longitude']},{row['latitude']}", "embedding": embed(text)}


def _place(row: dict[str, str]) -> str:
    return row["state"] if row["state"] != MISSING else row["country"]


def _state(place: str, rows: list[dict[str, str]]) -> Document:
    middle = (fmean(float(row["longitude"]) for row in rows), fmean(float(row["latitude"]) for row in rows))
    return {
        "state": place,
        "country": rows[0]["country"],
        "cities": ", ".join(sorted({row["city"] for row in rows if row["city"] != MISSING})),
        "airports": len(rows),
        "location": f"{middle[0]:.6f},{middle[1]:.6f}",
    }


def _grams(text: str) -> Iterator[str]:
    for word in re.findall(r"\w+", text.lower()):
        padded = f" {word} "
        yield padded
        yield from (padded[start : start + GRAM] for start in range(len(padded) - GRAM + 1))
