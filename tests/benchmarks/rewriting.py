"""What rewriting documents costs: the tool, the peer (`rvl migrate`) and the floor of the protocol, in one run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hiredis
import numpy as np
import redis
import yaml

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.model.transform import Cast
from rvlstate.plan.effects import Pace, Sweep
from rvlstate.runtime.connect import connect
from rvlstate.runtime.documents.worker import DocumentWorker
from rvlstate.runtime.embedded import start_server, stop_server

GOAL_FLOOR, GOAL_PEER, GOAL_MEGABYTES = 1.5, 3.0, 200
BATCH_SIZES = (50, 100, 250, 500, 1000, 2000)
LOADED_AT_ONCE = 1000
PROGRAM = Path(sys.executable).parent / "rvlstate"
PEER = Path(sys.executable).parent / "rvl"

PROJECT = """\
version: 1
project: bench
redis: {{url: "{url}"}}
schemas: [products.yaml]
defaults: {{strategy: recreate}}
policy:
  settle: 0s
  naming: plain
  allow: [SEARCH_DOWNTIME, REWRITES_DOCUMENTS, LOSES_PRECISION, QUERY_ENCODING_CHANGES]
"""
SCHEMA = """\
version: 0.1.0
index: {{name: products, prefix: "doc:", storage_type: hash}}
fields:
  - {{name: title, type: text}}
  - {{name: cat, type: tag}}
  - {{name: price, type: numeric}}
  - name: embedding
    type: vector
    attrs: {{algorithm: flat, dims: {dims}, datatype: {datatype}, distance_metric: cosine}}
"""


class Free:
    """A pacer that holds nothing back, and a lease that never ends, without a lock."""

    reason = ""
    id = ""
    certain_seconds = 3600.0

    def admit(self, documents: int) -> None:
        """At once."""

    def note(self, documents: int, seconds: float) -> None:
        """Nobody asks."""


def measure_documents(root: Path, documents: int, dims: int) -> dict[str, Any]:
    """float32 -> float16 of `documents` x `dims` under a FLAT index: floor, tool and peer; figures in seconds."""
    with _server(root / "documents") as url:
        _load(url, documents, dims)
        floor = _floor(url, documents, dims)
        _load(url, documents, dims)
        ours = _ours(url, dims)
        _load(url, documents, dims)
        peer = _peer(url)
    return {
        "documents": documents,
        "dims": dims,
        "floor": floor,
        "ours": ours,
        "peer": peer,
        "rewriting_to_floor": round(ours["writing_seconds"] / floor["seconds"], 2),
        "peer_to_ours": round(peer["apply_seconds"] / ours["apply_seconds"], 2),
        "goals": {"rewriting_to_floor": GOAL_FLOOR, "peer_to_ours": GOAL_PEER},
    }


def measure_batches(root: Path, documents: int, dims: int) -> list[dict[str, Any]]:
    """The engine alone, with no index on the keys: microseconds a document by batch size."""
    found = []
    with _server(root / "batches") as url:
        for size in BATCH_SIZES:
            _load(url, documents, dims, index=False)
            found.append({"batch_size": size, "us_per_document": round(_sweep(url, dims, size) / documents * 1e6, 1)})
    return found


def measure_memory(root: Path, sizes: list[int], dims: int = 8) -> list[dict[str, Any]]:
    """The largest resident memory of a whole `rvlstate apply` by number of documents."""
    found = []
    for size in sizes:
        with _server(root / f"memory-{size}") as url:
            _load(url, size, dims)
            found.append({"documents": size, "megabytes": _ours(url, dims)["peak_megabytes"]})
    return found


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    started = start_server(folder)
    try:
        yield started.url
    finally:
        stop_server(folder)


def _load(url: str, documents: int, dims: int, *, index: bool = True) -> None:
    """Documents of float32 vectors, and the index over them, built."""
    client: Any = redis.Redis.from_url(url)
    client.flushall()
    rng = np.random.default_rng(0)
    for start in range(0, documents, LOADED_AT_ONCE):
        size = min(LOADED_AT_ONCE, documents - start)
        block = rng.standard_normal((size, dims), dtype="f4")
        pipeline = client.pipeline(transaction=False)
        for number in range(size):
            values: dict[str, Any] = {"title": f"title {start + number}", "cat": "abc"[number % 3]}
            values |= {"price": start + number, "embedding": block[number].tobytes()}
            pipeline.hset(f"doc:{start + number}", mapping=values)
        pipeline.execute()
    if index:
        vector = ["embedding", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", dims, "DISTANCE_METRIC", "COSINE"]
        fields = ["title", "TEXT", "cat", "TAG", "price", "NUMERIC", *vector]
        client.execute_command("FT.CREATE", "products", "ON", "HASH", "PREFIX", 1, "doc:", "SCHEMA", *fields)
        while not _is_built(client, documents):
            time.sleep(0.05)
    client.close()


def _is_built(client: Any, documents: int) -> bool:
    reply = client.execute_command("FT.INFO", "products")
    figures = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return int(figures[b"num_docs"]) == documents and int(figures[b"indexing"]) == 0


def _floor(url: str, documents: int, dims: int) -> dict[str, Any]:
    """SCAN, HGET, convert, HSET with hand-packed commands over one socket, no index on the keys."""
    client: Any = redis.Redis.from_url(url)
    client.execute_command("FT.DROPINDEX", "products")
    client.close()
    path = url.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        wire = _Wire(line)
        began = time.perf_counter()
        keys = list(wire.scan(b"doc:*"))
        for start in range(0, len(keys), LOADED_AT_ONCE):
            page = keys[start : start + LOADED_AT_ONCE]
            values = wire.ask([(b"HGET", key, b"embedding") for key in page])
            half = np.frombuffer(b"".join(values), "f4").reshape(len(page), dims).astype("f2")
            wire.ask([(b"HSET", key, b"embedding", half[row].tobytes()) for row, key in enumerate(page)])
        spent = time.perf_counter() - began
    return {"seconds": round(spent, 3), "us_per_document": round(spent / documents * 1e6, 1)}


class _Wire:
    """Commands packed by hand."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._reader = hiredis.Reader()

    def ask(self, commands: list[tuple[bytes, ...]]) -> list[Any]:
        """The replies."""
        self._line.sendall(b"".join(map(_packed, commands)))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                self._reader.feed(self._line.recv(1 << 20))
            else:
                replies.append(reply)
        return replies

    def scan(self, pattern: bytes) -> Iterator[bytes]:
        """All keys."""
        cursor = b"0"
        while True:
            ((cursor, page),) = self.ask([(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"1000")])
            yield from page
            if cursor == b"0":
                return


def _packed(parts: tuple[bytes, ...]) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _ours(url: str, dims: int) -> dict[str, Any]:
    """`rvlstate import`, then `apply` of the change as a whole process, with the figures of its own report."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "rvlstate.yaml").write_text(PROJECT.format(url=url))
        (here / "products.yaml").write_text(SCHEMA.format(dims=dims, datatype="float32"))
        _run(here, "import", "products")
        (here / "products.yaml").write_text(SCHEMA.format(dims=dims, datatype="float16"))
        began = time.perf_counter()
        peak = _run(here, "apply", "--yes")
        spent = time.perf_counter() - began
        history = json.loads(_output(here, "history", "--format", "json"))
        report = json.loads(_output(here, "history", history["runs"][0]["id"], "--format", "json"))
    steps = {step["operation"] or step["summary"]: step for step in report["steps"]}
    downtime = next(
        f["search_downtime_seconds"] for s in report["steps"] if "search_downtime_seconds" in (f := s["figures"])
    )
    return {
        "apply_seconds": round(spent, 3),
        "writing_seconds": steps["rewrite_documents"]["figures"]["seconds_rewriting"],
        "rehearsing_seconds": steps["rehearse_rewrite"]["seconds"],
        "building_seconds": steps["await_build"]["seconds"],
        "downtime_seconds": downtime,
        "peak_megabytes": round(peak / 1024, 1),
    }


def _run(folder: Path, *arguments: str) -> int:
    """Run the program; its largest resident memory in KiB."""
    with subprocess.Popen([PROGRAM, *arguments, "-q"], cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"rvlstate {arguments[0]} ended with {process.returncode}")
    return usage.ru_maxrss


def _output(folder: Path, *arguments: str) -> str:
    done = subprocess.run([PROGRAM, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def _peer(url: str) -> dict[str, Any]:
    """`rvl migrate plan` and `apply` of the same change, as whole processes, with the phases that it tells."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        change = {"version": 1, "changes": {"update_fields": [{"name": "embedding", "attrs": {"datatype": "float16"}}]}}
        (here / "patch.yaml").write_text(yaml.safe_dump(change))
        patch = ["--index", "products", "--schema-patch", "patch.yaml", "--plan-out", "plan.yaml"]
        subprocess.run([PEER, "migrate", "plan", *patch, "--url", url], cwd=here, check=True, capture_output=True)
        began = time.perf_counter()
        apply = ["--plan", "plan.yaml", "--backup-dir", "backup", "--benchmark-out", "bench.yaml"]
        subprocess.run([PEER, "migrate", "apply", *apply, "--url", url], cwd=here, check=True, capture_output=True)
        spent = time.perf_counter() - began
        phases = yaml.safe_load((here / "bench.yaml").read_text())["timings"]
    return {"apply_seconds": round(spent, 3), "phases": phases}


def _sweep(url: str, dims: int, batch_size: int) -> float:
    """Seconds of one pass of the engine."""
    field = VectorField(
        name="embedding", identifier="embedding", search=Flat(), dims=dims, datatype="float32", distance_metric="cosine"
    )
    before = IndexDefinition(prefixes=("doc:",), fields=(field,))
    source = Source(identifier="embedding", kind="vector", shape=VectorShape(datatype="float32", dims=dims))
    target = Source(identifier="embedding", kind="vector", shape=VectorShape(datatype="float16", dims=dims))
    rewriting = FieldRewrite(field="embedding", reads=(source,), steps=(Cast(),), writes=target, layout="length")
    rewrite = Rewrite(
        id="bench-1", name="products", strategy="recreate", before=before, after=before, fields=(rewriting,)
    )
    with connect(url) as connection:
        worker = DocumentWorker(
            connection, "bench", lease=Free(), guard=lambda: None, pacer=Free(), functions={}, tell=lambda *_: None
        )
        return worker.sweep(Sweep(rewrite=rewrite, mode="write", pace=Pace(batch_size=batch_size))).seconds
