"""What an index answers about the documents of a live story, compared with the documents as they are stored."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from live_documents import Form, vector_of
from live_querier import identity_of
from live_reading import Stored
from observe import as_map

NEAR = 0.01
"""The distance (cosine) below which two vectors are one, whatever the rounding."""

SPREAD = 500
"""How wide the graph is searched (EF_RUNTIME), so that a document that is in it is found."""

KNN = f"*=>[KNN 3 @embedding $v EF_RUNTIME {SPREAD} AS distance]"
NEIGHBOURS = 500
"""Of how many documents at most the own vector is asked for."""

PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Asks the index that answers to a name about documents that are there, in a layout; `note` takes what is wrong."""

    client: Any
    name: str
    form: Form
    there: dict[str, Stored]
    note: Callable[[str, str], None]

    def check(self, gone: list[str], sample: int) -> int:
        """Ask about so many documents that are there, and about so many that are gone; about how many it was asked."""
        chance = random.Random(7)
        here = chance.sample(sorted(self.there), min(sample, len(self.there)))
        away = chance.sample(gone, min(sample, len(gone)))
        self._check_tags(here)
        self._check_absence(away)
        self._check_vectors(here[:NEIGHBOURS])
        return len(here) + len(away)

    def _check_tags(self, here: list[str]) -> None:
        queries = [f"@sku:{{{identity}}}" for identity in here]
        for identity, keys in zip(here, self._asked(queries), strict=True):
            if self._own(identity) not in keys:
                self.note("missing_in_index", f"{identity}, by its tag")
            if len(keys) > 1:
                self.note("duplicates", f"{identity}: {keys}")
            elif keys and keys != [self._own(identity)]:
                self.note("stale_in_index", f"{identity} is found as {keys}")
        numbers = [self.there[identity].fields.get("version") for identity in here]
        queries = [f"{query} @version:[{number} {number}]" for query, number in zip(queries, numbers, strict=True)]
        for identity, keys in zip(here, self._asked(queries), strict=True):
            if not keys:
                self.note("missing_in_index", f"{identity}, by its version")

    def _check_absence(self, away: list[str]) -> None:
        queries = [f"@sku:{{{identity}}}" for identity in away]
        for identity, keys in zip(away, self._asked(queries), strict=True):
            if keys:
                self.note("stale_in_index", f"{identity} is found as {keys} and is not there")

    def _check_vectors(self, here: list[str]) -> None:
        for page in _pages(here):
            for identity, keys in zip(page, self._nearest(page), strict=True):
                if self._own(identity) not in keys:
                    self.note("missing_in_index", f"{identity}, by its vector")
                others = sorted(key for key in keys if identity_of(key) != identity.encode())
                if others:
                    self.note("stale_in_index", f"the vector of {identity} is found under {others}")

    def _own(self, identity: str) -> bytes:
        return f"{self.form.prefix}{identity}".encode()

    def _nearest(self, page: list[str]) -> Iterator[list[bytes]]:
        """The keys that have the vectors of documents."""
        code, dims = self.form.encoding
        pipeline = self.client.pipeline(transaction=False)
        for identity in page:
            point = vector_of(str(self.there[identity].fields.get("body")), dims).astype(code).tobytes()
            order = ("PARAMS", 2, "v", point, "RETURN", 1, "distance", "SORTBY", "distance")
            pipeline.execute_command("FT.SEARCH", self.name, KNN, *order, "DIALECT", 2)
        for reply in pipeline.execute():
            found = zip(reply[1::2], reply[2::2], strict=True)
            yield [key for key, (_, distance) in found if float(distance) < NEAR]

    def _asked(self, queries: list[str]) -> Iterator[list[bytes]]:
        """The keys of the answers."""
        for page in _pages(queries):
            pipeline = self.client.pipeline(transaction=False)
            for query in page:
                pipeline.execute_command("FT.SEARCH", self.name, query, "NOCONTENT", "LIMIT", 0, 10, "DIALECT", 2)
            yield from (reply[1:] for reply in pipeline.execute())


def count_documents(client: Any, name: str, expected: int, patience: float) -> int:
    """How many documents an index holds more than expected, once it has had time to take note of the last writes."""
    deadline = time.monotonic() + patience
    while True:
        difference = int(as_map(client.execute_command("FT.INFO", name))["num_docs"]) - expected
        if not difference or time.monotonic() > deadline:
            return difference
        time.sleep(0.02)


def _pages(items: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]
