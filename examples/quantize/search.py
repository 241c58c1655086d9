"""Find airports by similar names.

    python search.py "lake tahoe"

The query vector is encoded in the datatype that the schema declares, so this program is deployed with the schema.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from redisvl.index import SearchIndex
from redisvl.query import VectorQuery

from rvlstate.demo.airports import embed

SCHEMA = Path(__file__).parent / "indexes" / "airports.yaml"


def search(text: str) -> None:
    """Print the three airports whose name and city are nearest to a text."""
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    datatype = index.schema.fields["embedding"].attrs.datatype.value.lower()
    vector = np.frombuffer(embed(text), dtype="<f4")
    query = VectorQuery(vector.tolist(), "embedding", dtype=datatype, return_fields=["iata", "name"], num_results=10)
    # Several airports may be equally near, and the server gives those in any order.
    nearest = sorted(index.query(query), key=lambda found: (f"{float(found['vector_distance']):.2f}", found["iata"]))
    for found in nearest[:3]:
        print(f"{float(found['vector_distance']):.2f}  {found['iata']}  {found['name']}")
    print(f"(asked with a vector of {datatype})")
    index.disconnect()


if __name__ == "__main__":
    search(" ".join(sys.argv[1:]) or "lake tahoe")
