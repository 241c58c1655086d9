"""Find airports by similar names.

    python search.py "lake tahoe"

It queries the index by the name in the schema file, and never needs to know which physical index answers to it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from redisvl.index import SearchIndex
from redisvl.query import VectorQuery

from rvlstate.demo.airports import embed

SCHEMA = Path(__file__).parent / "indexes" / "airports.yaml"


def search(text: str) -> None:
    """Print the five airports whose name and city are nearest to a text."""
    # Not SearchIndex.from_existing(): it would hold on to the physical index that answers at this moment.
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    query = VectorQuery(embed(text), "embedding", return_fields=["iata", "name", "city", "state"], num_results=5)
    for found in index.query(query):
        place = ", ".join(found[field] for field in ("city", "state") if field in found)
        print(f"{float(found['vector_distance']):.2f}  {found['iata']}  {found['name']} ({place})")
    index.disconnect()


if __name__ == "__main__":
    search(" ".join(sys.argv[1:]) or "Chicago O'Hare")
