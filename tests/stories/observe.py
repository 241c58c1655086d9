"""A server seen and filled past rvlstate: documents, definitions, names, and what is stored as the state."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from queries import found, packed
from records import edit_record, read_record

from rvlstate.runtime.server_errors import is_unknown_index
from rvlstate.runtime.state_keys import StateKeys

PROJECT = "shop"
KEYS = StateKeys(PROJECT)
PATIENCE = 30.0
INFO_LISTS = ("attributes", "index_definition", "index_options", "stopwords_list")


def load_products(client: Any, count: int = 60, *, prefix: str = "products:") -> None:
    """Write `count` products."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        pipeline.hset(f"{prefix}{number}", mapping=product(number))
    pipeline.execute()


def product(number: int) -> dict[str, Any]:
    """One product, of which every field is known from its number."""
    return {
        "title": f"running shoe {number}",
        "category": ("shoes", "boots", "socks")[number % 3],
        "price": number,
        "embedding": packed(1.0, number % 7, number % 5, number % 3),
    }


def load_vectors(client: Any, count: int, *, dims: int, prefix: str = "products:") -> None:
    """Write `count` documents with random vectors, for indexes that take a while to build."""
    import numpy as np

    vectors = np.random.default_rng(7).standard_normal((count, dims)).astype(np.float32)
    pipeline = client.pipeline(transaction=False)
    for number, values in enumerate(vectors):
        pipeline.hset(f"{prefix}{number}", mapping={"title": f"shoe {number}", "embedding": values.tobytes()})
    pipeline.execute()


def documents(client: Any) -> dict[bytes, str]:
    """The digest of every key that is not rvlstate's own, of whatever type."""
    keys = sorted(key for key in client.scan_iter(count=1000) if not key.startswith((b"{rvlstate:", b"rvlstate:")))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.dump(key)
        pipeline.pexpiretime(key)
    replies = pipeline.execute()
    pairs = zip(replies[::2], replies[1::2], strict=True)
    return {
        key: f"{hashlib.sha256(dumped).hexdigest()} {expiry}" for key, (dumped, expiry) in zip(keys, pairs, strict=True)
    }


class Texts:
    """A client whose strings are text, as `records.py` wants it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, key: str) -> str | None:
        """The text at a key."""
        value: bytes | None = self._client.get(key)
        return None if value is None else value.decode()

    def set(self, key: str, value: str, **options: Any) -> None:
        """Write a text."""
        self._client.set(key, value, **options)


def edit_state(client: Any, **fields: str | int | None) -> None:
    """Change what is stored as the state by hand; None removes."""
    edit_record(Texts(client), KEYS.state, **fields)


def stored_state(client: Any) -> dict[str, str]:
    """What is stored as the state, as it is; the fence aside, which every taking of the lock moves."""
    stored = read_record(Texts(client), KEYS.state)
    return {name: value for name, value in stored.items() if name != "fence"}


def is_at_work_on(client: Any, step: str) -> bool:
    """Whether the lock says that its holder is at a step that begins with these words."""
    return read_record(Texts(client), KEYS.lock).get("step", "").startswith(step)


def index_facts(client: Any, name: str) -> dict[str, Any]:
    """What FT.INFO and FT.SYNDUMP say about the definition of the index that answers to a name."""
    info = as_map(client.execute_command("FT.INFO", name))
    facts = {key: info.get(key) for key in INFO_LISTS if key in info}
    return {"physical": info["index_name"], **facts, "synonyms": as_map(client.execute_command("FT.SYNDUMP", name))}


def as_map(reply: Any) -> dict[str, Any]:
    """A reply of RESP2 or RESP3 as a map of text."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {decoded(key): decoded(value) for key, value in pairs}


def decoded(value: Any) -> Any:
    """Bytes as text, at any depth."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        return {decoded(key): decoded(item) for key, item in value.items()}
    return value


def live_names(client: Any) -> set[str]:
    """The physical indexes of the server."""
    return {decoded(name) for name in client.execute_command("FT._LIST")}


def create_products(client: Any, *options: str, schema: tuple[str, ...] = ("title", "TEXT")) -> None:
    """Create the physical index `products` past rvlstate, and wait until it is built."""
    client.execute_command("FT.CREATE", "products", "PREFIX", "1", "products:", *options, "SCHEMA", *schema)
    await_built(client, "products")


def resolves_to(client: Any, name: str) -> str | None:
    """The physical index that answers to a name, None if nothing does."""
    try:
        return str(as_map(client.execute_command("FT.INFO", name))["index_name"])
    except redis.ResponseError as error:
        if not is_unknown_index(error):
            raise
        return None


def eventually(claim: Callable[[], Any], *, seconds: float = PATIENCE, what: str = "it") -> Any:
    """Poll until a claim holds; what it returned then."""
    deadline = time.monotonic() + seconds
    while not (answer := claim()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.005)
    return answer


def await_built(client: Any, name: str) -> None:
    """Wait until the server has scanned all documents for an index."""
    eventually(
        lambda: not int(as_map(client.execute_command("FT.INFO", name))["indexing"]), what=f"the build of {name}"
    )


@contextmanager
def asking(url: str, name: str, query: str = "*") -> Iterator[list[int | str]]:
    """Somebody asks all the time; what was answered, errors as text."""
    answers: list[int | str] = []
    stop = threading.Event()

    def answer(client: Any) -> int | str:
        try:
            return found(client, name, query)
        except redis.RedisError as error:
            return str(error)

    def ask() -> None:
        with redis.from_url(url, protocol=2) as client:
            while not stop.is_set():
                answers.append(answer(client))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        eventually(lambda: answers)
        yield answers
    finally:
        stop.set()
        thread.join()
