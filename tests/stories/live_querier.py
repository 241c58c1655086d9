"""A querier of live stories: nearest neighbours, words and tags by name; what each answer lacked or had too much.

Run as a program it works until its input ends. Query vectors follow the index: where it wants another datatype or
dimension, the other encoding is sent, which is counted as an encoding switch and not as a failure. A third of the
queries are about documents that nobody touches, of which the answer is known exactly at every moment.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import redis
from live_documents import Change, change_of, still_count
from redis.backoff import NoBackoff
from redis.retry import Retry

NEAREST = 10
STAGED = b"rvlstate:stage:"
KNN = f"*=>[KNN {NEAREST} @embedding $v AS distance]"
WANTS_OTHER_VECTORS = ("vector", "dim", "blob", "size")
"""Words of the server when the length of a query vector is not the one of the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Which index is asked by what name, about how many documents, at most how often a second (0: no limit)."""

    number: int
    name: str
    documents: int
    kind: Any
    dims: int
    rate: float = 0.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """What queriers saw; moments are since 1970.

    `short` and `surplus` are answers about documents that nobody touches, `staged` are answers with keys of copies.
    `doubled` are answers with a document and its copy: one that was written in the new layout after the cutover, until
    its copy's turn has come. `duplicates` are those with a document twice for any other reason.
    """

    queries: int = 0
    seconds: float = 0.0
    failures: list[tuple[float, str]] = field(default_factory=list)
    disconnected: int = 0
    empty: list[tuple[float, str]] = field(default_factory=list)
    short: list[tuple[float, str]] = field(default_factory=list)
    surplus: list[tuple[float, str]] = field(default_factory=list)
    duplicates: list[tuple[float, str]] = field(default_factory=list)
    doubled: int = 0
    staged: int = 0
    staged_first: float = 0.0
    staged_last: float = 0.0
    encoding_switches: int = 0


def identity_of(key: bytes) -> bytes:
    """The document that a key is of, whatever is in front of it."""
    return key.rpartition(b":")[2]


@dataclass(slots=True, kw_only=True)
class Querier:
    """One querier at work."""

    client: Any
    asking: Asking
    change: Change
    seen: Seen = field(default_factory=Seen)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    encoding: int = 0

    def work(self) -> Seen:
        """Query until the input ends."""
        chance = random.Random(1000 + self.asking.number)
        began = time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            self.once(chance)
            if self.asking.rate:
                time.sleep(max(0.0, self.seen.queries / self.asking.rate - (time.monotonic() - began)))
        self.seen.seconds = time.monotonic() - began
        return self.seen

    def once(self, chance: random.Random) -> None:
        """One query."""
        still = still_count(self.asking.documents)
        one = f"p{chance.randrange(still)}"
        kind = chance.choices(("knn", "word", "tag", "count"), (66, 12, 12, 10))[0]
        query, expected = {
            "knn": ("", 0),
            "word": (one, 1),
            "tag": (f"@sku:{{{one}}}", 1),
            "count": ("@kind:{still}", still),
        }[kind]
        moment, began = time.time(), time.perf_counter()
        self.seen.queries += 1
        try:
            total, keys = self.nearest(chance) if kind == "knn" else self.answer(query, "LIMIT", 0, NEAREST)
        except (redis.ConnectionError, redis.TimeoutError):
            self.seen.disconnected += 1
            time.sleep(0.02)
            return
        except redis.ResponseError as error:
            self.seen.failures.append((moment, f"{kind}: {error}"))
            return
        self.latencies.append((moment, time.perf_counter() - began))
        self.note(moment, kind, total, keys, expected)

    def nearest(self, chance: random.Random) -> tuple[int, list[bytes]]:
        """An answer about the documents nearest to a point. Raises redis.ResponseError where no encoding is taken."""
        encodings = [form.encoding for form in (self.change.old, self.change.new)]
        point = np.random.default_rng(chance.getrandbits(32)).standard_normal(max(dims for _, dims in encodings))
        for attempt in range(len(encodings) + 1):
            code, dims = encodings[self.encoding]
            try:
                return self.answer(KNN, "PARAMS", 2, "v", point[:dims].astype(code).tobytes())
            except redis.ResponseError as error:
                if attempt == len(encodings) or not any(word in str(error).lower() for word in WANTS_OTHER_VECTORS):
                    raise
                self.encoding = 1 - self.encoding
                self.seen.encoding_switches += 1
        raise AssertionError  # the last attempt returns or raises

    def answer(self, query: str, *options: Any) -> tuple[int, list[bytes]]:
        """How many documents an answer has, and the keys of the first."""
        reply = self.client.execute_command("FT.SEARCH", self.asking.name, query, "NOCONTENT", *options, "DIALECT", 2)
        return int(reply[0]), reply[1:]

    def note(self, moment: float, kind: str, total: int, keys: list[bytes], expected: int) -> None:
        """Take note of what is odd about an answer."""
        if not total:
            self.seen.empty.append((moment, kind))
        elif total < expected:
            self.seen.short.append((moment, f"{kind}: {total} of {expected}"))
        elif expected and total > expected:
            self.seen.surplus.append((moment, f"{kind}: {total} of {expected}"))
        staged = {identity_of(key) for key in keys if key.startswith(STAGED)}
        own = [identity_of(key) for key in keys if not key.startswith(STAGED)]
        self.seen.doubled += bool(staged & set(own))
        if len(staged) + len(set(own)) < len(keys):
            self.seen.duplicates.append((moment, f"{kind}: {sorted(keys)}"))
        if staged:
            self.seen.staged += 1
            self.seen.staged_first = self.seen.staged_first or moment
            self.seen.staged_last = moment


def main(url: str, log: str, asking: str) -> None:
    """Be one querier; the latencies go to a file of pairs of float64, the rest to standard output."""
    with redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0)) as client:
        client.ping()
        print("ready", flush=True)
        own = Asking(**json.loads(asking))
        querier = Querier(client=client, asking=own, change=change_of(own.kind, own.dims))
        seen = querier.work()
        np.array(querier.latencies, np.float64).tofile(log)
        print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main(*sys.argv[1:])
