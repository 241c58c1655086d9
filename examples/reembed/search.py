"""Find airports by similar names.

    python search.py "lake tahoe"

The query is embedded in as many dims as the schema declares, so this program is deployed with the schema.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from redisvl.index import SearchIndex
from redisvl.query import VectorQuery
from transforms import vector

SCHEMA = Path(__file__).parent / "indexes" / "airports.yaml"


def search(text: str) -> None:
    """Print the three airports whose name and city are nearest to a text."""
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    dims = index.schema.fields["embedding"].attrs.dims
    query = VectorQuery(
        vector(text, dims).tolist(), "embedding", return_fields=["iata", "name", "city"], num_results=10
    )
    # Several airports may be equally near, and the server gives those in any order.
    nearest = sorted(index.query(query), key=lambda found: (f"{float(found['vector_distance']):.2f}", found["iata"]))
    for found in nearest[:3]:
        print(f"{float(found['vector_distance']):.2f}  {found['iata']}  {found['name']} ({found.get('city', '')})")
    print(f"(asked in {dims} dims)")
    index.disconnect()


if __name__ == "__main__":
    search(" ".join(sys.argv[1:]) or "lake tahoe")
