"""Load a thousand airports, as an application does: with redisvl's own SearchIndex.load()."""

from __future__ import annotations

import os
from pathlib import Path

from redisvl.index import SearchIndex

from rvlstate.demo.airports import airports

SCHEMA = Path(__file__).parent / "indexes" / "airports.yaml"
FIELDS = ("iata", "name", "city", "embedding")

if __name__ == "__main__":
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    rows = [{field: row[field] for field in FIELDS if field in row} for row in airports()[:1000]]
    keys = index.load(rows, id_field="iata")
    print(f"{len(keys):,} documents, from {keys[0]} to {keys[-1]}")
    index.disconnect()
