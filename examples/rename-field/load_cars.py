"""Load four hundred cars, as an application of old does: with the field `title`, and no field for the make."""

from __future__ import annotations

import json
import os
from pathlib import Path

from redisvl.index import SearchIndex
from vega_datasets import local_data

SCHEMA = Path(__file__).parent / "indexes" / "cars.yaml"

if __name__ == "__main__":
    index = SearchIndex.from_yaml(str(SCHEMA), redis_url=os.environ["REDIS_URL"])
    cars = json.loads(Path(local_data.cars.filepath).read_text(encoding="utf-8"))
    rows = [
        {"id": f"{number:03}", "title": car["Name"], "origin": car["Origin"], "year": int(car["Year"][:4])}
        for number, car in enumerate(cars)
    ]
    keys = index.load(rows, id_field="id")
    print(f"{len(keys)} documents, from {keys[0]} to {keys[-1]}")
    index.disconnect()
