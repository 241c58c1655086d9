"""What the tests of the document engine share: rewrites, pacers, and a sweep over a real server."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rvlstate.errors import InterruptedRunError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import FieldRewrite, Layout, Promotion, Rewrite, Source, VectorShape
from rvlstate.model.transform import Call, Cast, Constant, Copy, Drop, TransformStep
from rvlstate.plan.effects import Pace, Sweep, Tally
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.fence import Holding
from rvlstate.runtime.documents.originals import Original, Originals
from rvlstate.runtime.documents.pacing import Pacer
from rvlstate.runtime.documents.worker import DocumentWorker

PROJECT = "shop"
DIMS = 4


@dataclass(slots=True)
class Unhurried:
    """A pacer that lets everything go."""

    reason: str = ""

    def admit(self, documents: int) -> None:
        """At once."""

    def note(self, documents: int, seconds: float) -> None:
        """Nobody asks."""


@dataclass(slots=True)
class StopAfter:
    """A pacer that stops the run after so many batches."""

    batches: int
    reason: str = ""

    def admit(self, documents: int) -> None:  # noqa: ARG002  # the protocol
        """Until it is enough."""
        if self.batches <= 0:
            raise InterruptedRunError("stopped by the test")
        self.batches -= 1

    def note(self, documents: int, seconds: float) -> None:
        """Nobody asks."""


@dataclass(slots=True)
class Kept:
    """Originals in memory."""

    rows: list[Original] = field(default_factory=list)

    def keep(self, rows: Sequence[Original]) -> None:
        """Remember them."""
        self.rows += rows


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A lease that never ends, without a lock."""

    id: str = ""
    certain_seconds: float = 3600.0


def worker(
    connection: Connection,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    pacer: Pacer | None = None,
    guard: Callable[[], None] = lambda: None,
    tell: Callable[[str, int, int, dict[str, float]], None] = lambda *_: None,
    originals: Originals | None = None,
    lease: Holding | None = None,
) -> DocumentWorker:
    """A worker of the project, which nothing holds back."""
    return DocumentWorker(
        connection,
        PROJECT,
        lease=lease or Unlocked(),
        guard=guard,
        pacer=pacer or Unhurried(),
        functions=functions or {},
        tell=tell,
        originals=originals,
    )


def sweep(connection: Connection, rewrite: Rewrite, *, batch_size: int = 500, **options: Any) -> Tally:
    """One pass that writes, or what `mode` says; options of Sweep and of the worker."""
    own = {
        name: options.pop(name)
        for name in tuple(options)
        if name in {"functions", "pacer", "guard", "tell", "originals", "lease"}
    }
    effect = Sweep(rewrite=rewrite, pace=Pace(batch_size=batch_size), **{"mode": "write", **options})
    return worker(connection, **own).sweep(effect)


def vector(datatype: str = "float32", dims: int = DIMS, at: str = "v") -> Source:
    """A vector in a hash field, or at a path."""
    return Source(identifier=at, kind="vector", shape=VectorShape(datatype=datatype, dims=dims))


def rewrite_of(
    *fields: FieldRewrite,
    prefixes: tuple[str, ...] = ("doc:",),
    storage: Any = "hash",
    into: Any = None,
    **more: Any,
) -> Rewrite:
    """A rewrite of an index with fields that are only named where the storage changes."""
    before = more.pop("before", None) or IndexDefinition(storage=storage, prefixes=prefixes)
    after = more.pop("after", None) or IndexDefinition(storage=into or storage, prefixes=prefixes)
    return Rewrite(id="r1", name="products", strategy="recreate", before=before, after=after, fields=fields, **more)


def cast(before: str = "float32", after: str = "float16", *, dims: int = DIMS, **more: Any) -> Rewrite:
    """A cast of the hash field v under its own name."""
    layout: Layout = "length" if WIDTH[before] != WIDTH[after] else "marker"
    item = FieldRewrite(
        field="v", reads=(vector(before, dims),), steps=(Cast(),), writes=vector(after, dims), layout=layout
    )
    return rewrite_of(item, **more)


STAGE = "rvlstate:stage:shop.r1:"


def staged(rewrite: Rewrite, promotion: Promotion = "rename") -> Rewrite:
    """The same change, but with copies beside the documents first."""
    return replace(rewrite, strategy="staged", promotion=promotion, stage="" if rewrite.moves else STAGE)


def copy_of(key: str) -> str:
    """The staged copy of a document on a server that is no cluster."""
    return f"{STAGE}{{0}}:{key}"


def counts(tally: Tally) -> dict[str, int]:
    """What a pass counted, without what it did not, and what is only about its size."""
    names = ("written", "done", "moved_on", "gone", "foreign", "excluded", "bad", "promoted", "dropped")
    return {name: getattr(tally, name) for name in names if getattr(tally, name)}


WIDTH = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}


def made(
    reads: str, writes: str, *steps: TransformStep, layout: Layout = "presence", removes: tuple[str, ...] = ()
) -> FieldRewrite:
    """A text that is made of another one."""
    return FieldRewrite(
        field=writes.removeprefix("$."),
        reads=(Source(identifier=reads),) if reads else (),
        steps=steps or (Copy(),),
        writes=Source(identifier=writes),
        removes=removes,
        layout=layout,
    )


def renamed(old: str, new: str) -> FieldRewrite:
    """A field under another name."""
    return made(old, new, layout="absence", removes=(old,))


def dropped(name: str) -> FieldRewrite:
    """A field that goes."""
    return FieldRewrite(field=name, steps=(Drop(),), removes=(name,), layout="absence")


def constant(name: str, value: str) -> FieldRewrite:
    """The same text for all."""
    return made("", name, Constant(value=value))


def called(reads: str, writes: str, *, layout: Layout = "presence") -> FieldRewrite:
    """A text that the function "m:f" makes of another one."""
    return made(reads, writes, Call(function="m:f"), layout=layout)


def floats(*values: float, form: str = "f") -> bytes:
    """A vector as it is stored: f for float32, e for float16."""
    return struct.pack(f"<{len(values)}{form}", *values)


def put_json(client: Any, key: str | bytes, document: Any) -> None:
    """Store a JSON document."""
    client.execute_command("JSON.SET", key, "$", json.dumps(document))


def get_json(client: Any, key: str | bytes) -> Any:
    """A JSON document, None if there is none."""
    text = client.execute_command("JSON.GET", key)
    return None if text is None else json.loads(text)


def leftovers(client: Any) -> list[bytes]:
    """Keys of ours that are still there."""
    return sorted(key for key in client.scan_iter(count=1000) if b"rvlstate" in key)
