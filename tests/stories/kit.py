"""A project on a real server, as stories tell of it: files, documents, and what a user asks of both.

The fixtures are in `story_fixtures.py`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import yaml
from queries import found, packed
from records import edit_record, read_record
from servers import EmbeddedServer, connected

from rvlstate.events import Event
from rvlstate.model.state import State
from rvlstate.plan.drift import Drift
from rvlstate.plan.plan import Plan
from rvlstate.project import Project
from rvlstate.runtime.admit import ApplyOptions
from rvlstate.runtime.apply import Report
from rvlstate.runtime.server_errors import is_unknown_index
from rvlstate.runtime.state_keys import StateKeys

PROJECT = "shop"
KEYS = StateKeys(PROJECT)
PATIENCE = 30.0

FieldSpec = dict[str, Any]


def text(name: str, **attributes: Any) -> FieldSpec:
    """A text field as redisvl writes it."""
    return _field(name, "text", attributes)


def tag(name: str, **attributes: Any) -> FieldSpec:
    """A tag field as redisvl writes it."""
    return _field(name, "tag", attributes)


def numeric(name: str, **attributes: Any) -> FieldSpec:
    """A numeric field as redisvl writes it."""
    return _field(name, "numeric", attributes)


def vector(name: str, *, algorithm: str = "hnsw", dims: int = 4, **attributes: Any) -> FieldSpec:
    """A vector field as redisvl writes it."""
    common = {"algorithm": algorithm, "dims": dims, "distance_metric": "cosine", "datatype": "float32"}
    return _field(name, "vector", {**common, **attributes})


def _field(name: str, kind: str, attributes: Mapping[str, Any]) -> FieldSpec:
    path = {key: value for key, value in attributes.items() if key == "path"}
    attrs = {key: value for key, value in attributes.items() if key != "path"}
    return {"name": name, "type": kind, **path, **({"attrs": attrs} if attrs else {})}


@dataclass(slots=True, kw_only=True)
class Shop:
    """A project folder and the server that it is for; `client` speaks to the server past rvlstate."""

    folder: Path
    url: str
    client: Any
    settings: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The project file."""
        return self.folder / "rvlstate.yaml"

    def schema_file(self, name: str) -> Path:
        """Where the schema of an index is."""
        return self.folder / "indexes" / f"{name}.yaml"

    def configure(self, **blocks: Any) -> None:
        """Write the project file with further top-level blocks (`indexes`, `policy`, `defaults`)."""
        self.settings.update(blocks)
        head = {"version": 1, "project": PROJECT, "redis": {"url": self.url}, "schemas": ["indexes/*.yaml"]}
        self.file.write_text(yaml.safe_dump({**head, **self.settings}, sort_keys=False), encoding="utf-8")

    def declare(self, name: str, *fields: FieldSpec, prefix: str | list[str] | None = None, **index: Any) -> None:
        """Write the schema of an index, over documents `<name>:` unless a prefix is given."""
        head = {"name": name, "prefix": f"{name}:" if prefix is None else prefix, "storage_type": "hash", **index}
        data = {"version": "0.1.0", "index": head, "fields": list(fields)}
        self.schema_file(name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")

    def undeclare(self, name: str) -> None:
        """Delete the schema file of an index."""
        self.schema_file(name).unlink()

    @contextmanager
    def project(self, **options: Any) -> Iterator[Project]:
        """The loaded project, closed afterwards."""
        with Project.load(self.file, **{"redis_url": self.url, **options}) as loaded:
            yield loaded

    def plan(self, *targets: str) -> Plan:
        """The plan of this moment."""
        with self.project() as project:
            return project.plan(targets)

    def apply(
        self,
        plan: Plan | None = None,
        *,
        allow: tuple[str, ...] = (),
        on_event: Callable[[Event], None] | None = None,
        **options: Any,
    ) -> Report:
        """Apply, with the hazards agreed to; what it told is in `events` unless somebody else listens."""
        with self.project() as project:
            agreed = ApplyOptions(allow=allow, **options)
            return project.apply(plan, options=agreed, on_event=on_event or self.events.append)

    def drift(self) -> Drift:
        """What others changed."""
        with self.project() as project:
            return project.drift()

    def state(self) -> State:
        """What is recorded."""
        with self.project() as project:
            return project.state()

    def count(self, query: str = "*", *, name: str = "products") -> int:
        """How many documents a search by name finds. Raises redis.ResponseError when nothing answers."""
        return found(self.client, name, query)

    def arguments(self, *command: str) -> tuple[str, ...]:
        """The arguments of the program for a command on this project."""
        return ("--project", str(self.file), "--redis-url", self.url, *command)

    def assert_settled(self) -> None:
        """The next plan is empty, and nothing drifted."""
        plan = self.plan()
        assert plan.empty, [step.operation.summary for step in plan.steps]
        assert self.drift().indexes == ()


def summaries(plan: Plan) -> list[str]:
    """The steps of a plan in words."""
    return [step.operation.summary for step in plan.steps]


def operations(plan: Plan) -> list[str]:
    """The kinds of the steps of a plan."""
    return [step.operation.operation for step in plan.steps]


def hazards(plan: Plan) -> tuple[str, ...]:
    """The hazard codes of a plan."""
    return tuple(sorted({hazard.code for hazard in plan.hazards}))


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
    keys = sorted(key for key in client.scan_iter(count=1000) if not key.startswith(b"{rvlstate:"))
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


INFO_LISTS = ("attributes", "index_definition", "index_options", "stopwords_list")


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
def opened_shop(folder: Path, server: EmbeddedServer, *, url: str = "") -> Iterator[Shop]:
    """An empty project for a server, as it is, in a folder of its own."""
    (folder / "indexes").mkdir(parents=True)
    with connected(server, protocol=2) as client:
        shop = Shop(folder=folder, url=url or server.url, client=client)
        shop.configure()
        yield shop
