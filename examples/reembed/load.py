"""Load five hundred airports, as an application does: with redisvl's own SearchIndex.load()."""

from __future__ import annotations

import os
from pathlib import Path

from redisvl.index import SearchIndex
from transforms import vector

from rvlstate.demo.airports import airports

SCHEMA = Path(__file__).parent / "indexes" / "airports.yaml"
FIELDS = ("iata", "name", "city")

if __name__ == "__main__":
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    dims = index.schema.fields["embedding"].attrs.dims
    rows = [{field: row[field] for field in FIELDS if field in row} for row in airports()[:500]]
    texts = [f"{row['name']!s} {row.get('city', '')!s}" for row in rows]
    embedded = [{**row, "embedding": vector(text, dims).tobytes()} for row, text in zip(rows, texts, strict=True)]
    keys = index.load(embedded, id_field="iata")
    print(f"{len(keys)} documents, from {keys[0]} to {keys[-1]}, each with a vector of {dims} dims")
    index.disconnect()
