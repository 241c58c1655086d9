"""A project on a real server, as stories tell of it: files, documents, and what a user asks of both.

The fixtures are in `story_fixtures.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from observe import PROJECT, load_products
from queries import found
from servers import EmbeddedServer, connected

from rvlstate.events import Event
from rvlstate.model.state import State
from rvlstate.plan.drift import Drift
from rvlstate.plan.plan import Plan
from rvlstate.project import Project
from rvlstate.runtime.admit import ApplyOptions
from rvlstate.runtime.outcome import Report

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
        plan: Plan | Literal["now"] = "now",
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


@contextmanager
def opened_shop(folder: Path, server: EmbeddedServer, *, url: str = "") -> Iterator[Shop]:
    """An empty project for a server, as it is, in a folder of its own."""
    (folder / "indexes").mkdir(parents=True)
    with connected(server, protocol=2) as client:
        shop = Shop(folder=folder, url=url or server.url, client=client)
        shop.configure()
        yield shop


FIELDS = (text("title"), tag("category"), numeric("price"), vector("embedding"))


def managed(shop: Shop, *fields: FieldSpec) -> None:
    """Products behind an alias, with documents."""
    load_products(shop.client)
    shop.declare("products", *(fields or FIELDS))
    shop.apply()


def rebuilt(shop: Shop, *fields: dict[str, Any]) -> None:
    """The same with another weight, which needs a build."""
    shop.declare("products", text("title", weight=2.0), *fields)
    shop.apply(allow=("NAME_BECOMES_ALIAS",))
