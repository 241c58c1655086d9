"""Queries that go on while the demo changes indexes: several clients, by name; what fails or is empty is counted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import redis
from redis.commands.search.query import Query
from redisvl.exceptions import RedisVLError
from redisvl.index import SearchIndex
from redisvl.query import CountQuery, FilterQuery, VectorQuery
from redisvl.query.filter import Num, Tag

from rvlstate.demo.airports import Document

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

Ask: TypeAlias = Callable[[Document], int]
"""One query about an airport that is there; how many answers it got."""

PAUSE_SECONDS = 0.02
"""Between two queries of a client, so that they do not take the processors from the work that they watch."""

MANY = 100
FAILURES = (redis.RedisError, RedisVLError)
STOP_SECONDS = 30.0


@dataclass(slots=True)
class Count:
    """What came of the queries so far; every one of them has an answer as long as its index serves."""

    queries: int = 0
    empty: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """How many queries got an error."""
        return self.errors.total()

    def describe(self) -> str:
        """The count in words."""
        return f"{self.queries:,} queries so far, {self.failed:,} failed, {self.empty:,} empty"


class Traffic:
    """Clients that query until stopped; a context manager. Each opens its indexes once, by the names in `schemas`."""

    def __init__(self, url: str, schemas: Path, documents: Sequence[Document], clients: int = 4) -> None:
        self.count = Count()
        self._documents = documents
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._closing = ExitStack()
        self._threads = [
            threading.Thread(target=self._query, args=(number, self._questions(url, schemas)), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        self._closing.close()

    def _questions(self, url: str, schemas: Path) -> tuple[Ask, ...]:
        airports = self._open(url, schemas / "airports.yaml")
        states = self._open(url, schemas / "states.yaml")
        client: Any = self._closing.enter_context(redis.from_url(url, decode_responses=True))

        def similar(airport: Document) -> int:
            return len(airports.query(VectorQuery(airport["embedding"], "embedding", num_results=5)))

        def same_state(airport: Document) -> int:
            return len(airports.query(FilterQuery(Tag("state") == airport["state"], ["name"])))

        def by_code(airport: Document) -> int:
            # A client that knows nothing of redisvl, and asks by the index's name as well.
            return int(client.ft("airports").search(Query("@iata:{$code}"), {"code": airport["iata"]}).total)

        def large_states(_airport: Document) -> int:
            return int(states.query(CountQuery(Num("airports") > MANY)))

        return (similar, same_state, by_code, large_states)

    def _open(self, url: str, schema: Path) -> SearchIndex:
        index = SearchIndex.from_yaml(str(schema), redis_url=url)
        self._closing.callback(index.disconnect)
        return index

    def _query(self, number: int, questions: tuple[Ask, ...]) -> None:
        chance = random.Random(number)
        for ask in cycle(questions):
            if self._stop.wait(PAUSE_SECONDS):
                return
            try:
                self._note(ask(chance.choice(self._documents)))
            except FAILURES as error:
                self._note_error(f"{ask.__name__}: {error}")

    def _note(self, answers: int) -> None:
        with self._lock:
            self.count.queries += 1
            self.count.empty += answers == 0

    def _note_error(self, error: str) -> None:
        with self._lock:
            self.count.queries += 1
            self.count.errors[error] += 1
