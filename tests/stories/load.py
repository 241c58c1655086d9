"""Clients of a search index at work while it is changed: some query by name, some write; each is a process.

Run as a program it is one client: it works until its input ends, then writes what it saw as one line of JSON.
"""

from __future__ import annotations

import json
import math
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import redis
from queries import found, packed

NEAREST = 10
KNN = f"*=>[KNN {NEAREST} @embedding $v AS distance]"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What querying clients saw, together; of each failure and of each wrong answer the instant, since 1970.

    A short answer is one that lacked documents which were there before and which nobody touches.
    """

    queries: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    empty: list[tuple[float, str]] = field(default_factory=list)
    short: list[tuple[float, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The latency that one query in a hundred exceeded, in seconds."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


@dataclass(slots=True, kw_only=True)
class Written:
    """What writing clients did: the last version of each document by its number, and the numbers of deleted ones."""

    versions: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Crowd:
    """Clients at work; `stop` ends them and collects what they saw and did."""

    clients: list[subprocess.Popen[str]]
    seen: Seen = field(default_factory=Seen)
    written: Written = field(default_factory=Written)

    def stop(self) -> None:
        """End all clients; afterwards `seen` and `written` are complete."""
        for client in self.clients:
            told, _ = client.communicate("")
            assert client.returncode == 0
            data = json.loads(told.splitlines()[-1])
            if "versions" in data:
                self.written.versions |= data["versions"]
                self.written.deleted += data["deleted"]
            else:
                self.seen.queries += data["queries"]
                self.seen.failures += [tuple(failure) for failure in data["failures"]]
                self.seen.empty += [tuple(answer) for answer in data["empty"]]
                self.seen.short += [tuple(answer) for answer in data["short"]]
                self.seen.seconds += data["seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many clients over so many documents; each writer writes at most `rate` further ones a second."""

    documents: int
    dims: int
    queries: int = 4
    writers: int = 2
    rate: float = math.inf


@contextmanager
def crowd(url: str, name: str, load: Load) -> Iterator[Crowd]:
    """The clients of a load at work on an index."""
    roles = [("query", number) for number in range(load.queries)] + [
        ("write", number) for number in range(load.writers)
    ]
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, role, url, name, str(number), json.dumps(asdict(load))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for role, number in roles
        ]
        for client in clients:
            stack.callback(client.kill)
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
        yield Crowd(clients)


def document(identity: str, version: int, dims: int) -> dict[str, Any]:
    """A document of the load, of which every field is known from its number and version."""
    generator = random.Random(f"{identity} {version}")
    return {
        "title": f"running shoe {identity}",
        "category": ("shoes", "boots", "socks")[version % 3],
        "sku": identity,
        "version": version,
        "embedding": packed(*(generator.gauss(0, 1) for _ in range(dims))),
    }


def _query(client: Any, name: str, number: int, load: Load) -> dict[str, Any]:
    generator = random.Random(number)
    seen = Seen()
    least = {"knn": NEAREST, "text": load.documents, "tag": load.documents - math.ceil(load.documents / 3)}
    while _goes_on():
        kind = generator.choice(("knn", "text", "tag"))
        began = time.perf_counter()
        try:
            count = _ask(client, name, kind, generator, load.dims)
        except redis.RedisError as error:
            seen.failures.append((time.time(), f"{kind}: {error}"))
            continue
        finally:
            seen.queries += 1
        seen.seconds.append(time.perf_counter() - began)
        if not count:
            seen.empty.append((time.time(), kind))
        elif count < least[kind]:
            seen.short.append((time.time(), f"{kind}: {count} of at least {least[kind]}"))
    return asdict(seen)


def _ask(client: Any, name: str, kind: str, generator: random.Random, dims: int) -> int:
    if kind == "text":
        return found(client, name, "running")
    if kind == "tag":
        return found(client, name, "@category:{boots|socks}")
    vector = packed(*(generator.gauss(0, 1) for _ in range(dims)))
    command = ("FT.SEARCH", name, KNN, "PARAMS", "2", "v", vector, "NOCONTENT", "DIALECT", "2")
    return int(client.execute_command(*command)[0])


def _write(client: Any, _name: str, number: int, load: Load) -> dict[str, Any]:
    """Insert, update and delete (2 : 2 : 1), each document by one writer only."""
    generator = random.Random(number)
    versions: dict[str, int] = {}
    deleted: list[str] = []
    count, began = 0, time.monotonic()
    while _goes_on():
        kind = generator.choice(("insert", "insert", "update", "update", "delete"))
        if kind == "insert" or not versions:
            identity = f"w{number}n{count}"
            versions[identity] = 0
        else:
            identity = generator.choice(list(versions))
            versions[identity] += 1
        if kind == "delete":
            client.delete(f"products:{identity}")
            del versions[identity]
            deleted.append(identity)
        else:
            client.hset(f"products:{identity}", mapping=document(identity, versions[identity], load.dims))
        count += 1
        ahead = count / load.rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    return {"versions": versions, "deleted": deleted}


def _goes_on() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return not readable


ROLES: dict[str, Callable[..., dict[str, Any]]] = {"query": _query, "write": _write}


def main(*arguments: str) -> None:
    """Be one client."""
    role, url, name, number, load = arguments
    with redis.from_url(url, protocol=2) as client:
        client.ping()
        print("ready", flush=True)
        print(json.dumps(ROLES[role](client, name, int(number), Load(**json.loads(load)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
