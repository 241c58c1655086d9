"""The writer of the demo's last act, a process of its own: it changes, adds and removes airports, and notes each write.

`python -m rvlstate.demo.writer URL JOURNAL` works until its input ends. Up to the cutover it writes float32. Behind it
one half of its writes is in float16 at once, and the other half follows later, as in a rolling deployment.
"""

from __future__ import annotations

import json
import random
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import redis

from rvlstate.demo.airports import airports
from rvlstate.demo.truth import Airport, vector_of, without_vector
from rvlstate.demo.vectors import NEW, OLD, PREFIX, datatype_now, encoded
from rvlstate.demo.working import work

PAUSE_SECONDS = 0.006
LOOK_SECONDS = 0.1
LATE_SECONDS = 1.0
UNTOUCHED = 3
"""Every third airport is never written: the answers about it are known at every moment."""


@dataclass(slots=True, kw_only=True)
class Writer:
    """What the writer knows; `journal` gets one line for each write that the server has confirmed."""

    client: Any
    journal: TextIO
    there: list[dict[str, str | int]]
    names: list[str]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    gone: list[dict[str, str | int]] = field(default_factory=list)
    writes: int = 0
    old_after_cutover: int = 0
    cutover: float = 0.0
    looked: float = 0.0

    def write(self) -> None:
        """One write: seven of ten change an airport, three remove one or bring one back."""
        self.writes += 1
        kind = self.chance.choices(("change", "remove", "add"), (70, 15, 15))[0]
        if kind == "remove":
            airport = self._pick(self.there)
            self.client.unlink(f"{PREFIX}{airport['iata']}")
            self.gone.append(airport)
            self._note(str(airport["iata"]), None)
            return
        airport = self._pick(self.gone if kind == "add" and self.gone else self.there)
        changed = {**airport, "name": self.chance.choice(self.names), "edition": self.writes}
        vector = encoded(vector_of(changed), self._datatype())
        self.client.hset(f"{PREFIX}{airport['iata']}", mapping={**changed, "embedding": vector})
        self.there.append(changed)
        self._note(str(airport["iata"]), changed)

    def step(self) -> None:
        """One write in the layout that is right at the moment."""
        self._look()
        self.write()

    def report(self) -> str:
        """What was done so far, as a line of JSON."""
        counts = {name: getattr(self, name) for name in ("writes", "old_after_cutover")}
        return json.dumps(counts)

    def _look(self) -> None:
        """See, now and then, what the index wants that answers to the name."""
        if not self.cutover and time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            self.cutover = self.looked if datatype_now(self.client) == NEW else 0.0

    def _datatype(self) -> str:
        if not self.cutover:
            return OLD
        late = self.writes % 2 and time.monotonic() - self.cutover < LATE_SECONDS
        self.old_after_cutover += bool(late)
        return OLD if late else NEW

    def _pick(self, among: list[dict[str, str | int]]) -> dict[str, str | int]:
        place = self.chance.randrange(len(among))
        among[place], among[-1] = among[-1], among[place]
        return among.pop()

    def _note(self, code: str, airport: Airport | None) -> None:
        self.journal.write(f"{json.dumps({'iata': code, 'airport': airport})}\n")
        self.journal.flush()


def touched() -> list[dict[str, str | int]]:
    """The airports that the writer may write."""
    known = [without_vector(airport) for number, airport in enumerate(airports()) if number % UNTOUCHED]
    return [airport for airport in known if "city" in airport]


def main(url: str, journal: str) -> None:
    """Write until the input ends."""
    table = touched()
    with (
        closing(redis.from_url(url, protocol=3, decode_responses=True)) as client,
        Path(journal).open("a", encoding="utf-8") as log,
    ):
        writer = Writer(client=client, journal=log, there=table, names=[str(airport["name"]) for airport in table])
        work(writer.step, writer.report, PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
