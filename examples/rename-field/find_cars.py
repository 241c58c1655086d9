"""Find cars.

python find_cars.py "@title:corolla"
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from redisvl.index import SearchIndex
from redisvl.query import FilterQuery

SCHEMA = Path(__file__).parent / "indexes" / "cars.yaml"

if __name__ == "__main__":
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    fields = sorted(index.schema.field_names)
    query = FilterQuery(filter_expression=sys.argv[1], return_fields=fields, num_results=10)
    lines = ["  ".join(f"{field}={found[field]}" for field in fields if field in found) for found in index.query(query)]
    print(*sorted(lines), sep="\n")
    index.disconnect()
