"""Load the airports and the states they lie in, as an application does: with redisvl's own SearchIndex.load().

python load.py             the indexes are there already, made by rvlstate apply
python load.py --create    make them too, with redisvl's own create(), as before rvlstate
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from redisvl.index import SearchIndex

from rvlstate.demo.airports import Document, airports, states

SCHEMAS = Path(__file__).parent / "indexes"


def load(schema: str, documents: list[Document], id_field: str, *, create: bool) -> None:
    """Write documents where the schema's index looks for them; `create` makes that index first."""
    index = SearchIndex.from_yaml(str(SCHEMAS / schema), redis_url=os.environ["REDIS_URL"])
    if create:
        index.create()
    keys = index.load(documents, id_field=id_field)
    print(f"{len(keys):,} documents for the index {index.name}, from {keys[0]} to {keys[-1]}")
    index.disconnect()


if __name__ == "__main__":
    wants_indexes = "--create" in sys.argv[1:]
    load("airports.yaml", airports(), "iata", create=wants_indexes)
    load("states.yaml", states(), "state", create=wants_indexes)
