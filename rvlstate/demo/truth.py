"""What the documents must be: the table and every write after it, with the exact nearest neighbours among them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rvlstate.demo.airports import DIMS, Document, airports, embed
from rvlstate.demo.vectors import CODES, NEAREST, OLD, Vectors

Airport: TypeAlias = Mapping[str, str | int]
"""The fields of an airport without its vector, which is computed from them."""

TIE = 1e-6
"""Some names are alike: an answer as near as the last of the true neighbours is as good as that."""


def vector_of(airport: Airport) -> bytes:
    """The vector of an airport in float32, computed from its name and city as the table's own are."""
    return embed(f"{airport['name']} {airport.get('city', '')}")


def without_vector(document: Document) -> dict[str, str | int]:
    """The fields of a document that its vector is computed from, and the others."""
    return {name: value for name, value in document.items() if not isinstance(value, bytes)}


class Truth:
    """The documents as they must be, by code; `follow` reads on in the writer's journal."""

    def __init__(self, table: Iterable[Document] | None = None) -> None:
        self._documents: dict[str, Airport] = {}
        self._rows: dict[str, int] = {}
        self._vectors: Vectors = np.zeros((0, DIMS), np.float32)
        self._there: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._read = 0
        self.writes = 0
        for document in airports() if table is None else table:
            self.put(str(document["iata"]), without_vector(document))

    @property
    def documents(self) -> Mapping[str, Airport]:
        """All documents that must be there, by code."""
        return self._documents

    def put(self, code: str, airport: Airport | None) -> None:
        """Take note of a write, or of a removal (None)."""
        row = self._rows.setdefault(code, len(self._rows))
        if row >= len(self._there):
            self._vectors = np.vstack([self._vectors, np.zeros((max(64, row), DIMS), np.float32)])
            self._there = np.append(self._there, np.zeros(max(64, row), np.bool_))
        self._there[row] = airport is not None
        if airport is None:
            self._documents.pop(code, None)
            return
        self._documents[code] = airport
        self._vectors[row] = np.frombuffer(vector_of(airport), CODES[OLD])

    def follow(self, journal: Path) -> None:
        """Take in the whole lines that the journal got since it was last read."""
        with journal.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            entry: dict[str, Any] = json.loads(line)
            self.put(entry["iata"], entry["airport"])
            self.writes += 1

    def recall(self, vector: bytes, codes: Sequence[str]) -> float:
        """The share of the exact nearest neighbours of a float32 vector that an answer has found."""
        closeness = np.where(self._there, self._vectors @ np.frombuffer(vector, CODES[OLD]), -np.inf)
        farthest = np.partition(closeness, -NEAREST)[-NEAREST] - TIE
        rows = (self._rows.get(code) for code in set(codes))
        return sum(row is not None and bool(closeness[row] >= farthest) for row in rows) / NEAREST
