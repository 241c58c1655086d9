"""The querier of the demo's last act, a process of its own: it asks by name, and compares with the exact neighbours.

`python -m rvlstate.demo.querier URL JOURNAL` works until its input ends. Where the index wants vectors of the other
datatype it asks once more with those, which is counted apart; every other error is a failure.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from rvlstate.demo.airports import airports, embed
from rvlstate.demo.truth import Truth
from rvlstate.demo.vectors import BY_CODE, KNN, NEW, OLD, encoded, find, wants_other
from rvlstate.demo.working import work
from rvlstate.demo.writer import UNTOUCHED

PAUSE_SECONDS = 0.008


@dataclass(slots=True, kw_only=True)
class Querier:
    """Questions, and what came of them. `client` speaks RESP 2; `recalls` is the sum over the `measured` answers."""

    client: Any
    truth: Truth
    datatype: str = OLD
    queries: int = 0
    empty: int = 0
    encoded_anew: int = 0
    measured: int = 0
    recalls: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)

    def similar(self, text: str) -> None:
        """Ask for the airports whose names are like a text."""
        vector = embed(text)
        codes = self._ask(vector)
        if codes is not None:
            self.measured += 1
            self.recalls += self.truth.recall(vector, codes)

    def by_code(self, code: str) -> None:
        """Ask for an airport that is there."""
        self._find(BY_CODE, code)

    def report(self) -> str:
        """What came of the questions so far, as a line of JSON."""
        names = ("queries", "empty", "encoded_anew", "measured", "recalls", "errors")
        return json.dumps({name: getattr(self, name) for name in names})

    def _ask(self, vector: bytes) -> list[str] | None:
        try:
            return self._find(KNN, encoded(vector, self.datatype), retry=True)
        except redis.ResponseError:
            self.datatype = NEW if self.datatype == OLD else OLD
            self.encoded_anew += 1
            return self._find(KNN, encoded(vector, self.datatype))

    def _find(self, query: str, value: str | bytes, *, retry: bool = False) -> list[str] | None:
        """The codes of an answer, None if it failed. With `retry` an error that another encoding mends is raised."""
        try:
            codes = find(self.client, query, value)
        except redis.RedisError as error:
            if retry and wants_other(error):
                raise
            self.queries += 1
            self.errors[f"{query}: {error}"] += 1
            return None
        self.queries += 1
        self.empty += not codes
        return codes


def main(url: str, journal: str) -> None:
    """Ask until the input ends."""
    table, chance, log = airports(), random.Random(2), Path(journal)
    steady = [str(airport["iata"]) for airport in table[::UNTOUCHED]]
    cities = sorted({str(airport["city"]) for airport in table if "city" in airport})
    with closing(redis.from_url(url, protocol=2)) as client:
        querier = Querier(client=client, truth=Truth(table))

        def step() -> None:
            querier.truth.follow(log)
            querier.similar(chance.choice(cities))
            querier.by_code(chance.choice(steady))

        work(step, querier.report, PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
