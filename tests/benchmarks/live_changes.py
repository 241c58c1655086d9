"""What a staged change costs and what its clients notice, by an alias and by a physical name; and the peer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
from kit import Shop, opened_shop
from live import WINDOWS, Load
from live_story import ROLLING, Outcome, at_work, declare_change, serve
from rewriting import PROGRAM, _peer

from rvlstate.runtime.embedded import start_server, stop_server

GOAL_MEMORY = 0.15
SAMPLE_SECONDS = 0.05
PATIENCE = 600.0
NAMINGS = {"alias": "through an alias", "plain": "through the physical name"}


def measure_live(root: Path, load: Load) -> dict[str, Any]:
    """float32 -> float16 under a graph while clients are at work, by both kinds of name; then the peer, with none."""
    rows = {naming: _ours(root / f"live-{naming}", load, naming) for naming in NAMINGS}
    return {
        "documents": load.documents,
        "dims": load.dims,
        "writers": load.writers,
        "queriers": load.queriers,
        "ours": rows,
        "peer": _peers(root / "live-peer", load),
        "goals": {"failed": 0, "empty": 0, "lost_updates": 0, "resurrections": 0, "memory_within": GOAL_MEMORY},
    }


def tell_live(row: dict[str, Any]) -> list[str]:
    """The figures as lines of a table."""
    clients = f"{row['writers']} writers and {row['queriers']} queriers"
    lines = ["", f"{row['documents']:,} x {row['dims']} HNSW, float32 -> float16, staged, under {clients}"]
    for naming, title in NAMINGS.items():
        lines += _table(title, row["ours"][naming])
    peer = row["peer"]
    down = peer["phases"].get("downtime_duration_seconds", 0.0)
    lines.append(f"  peer: apply {peer['apply_seconds']:.2f} s with no clients, search down for {down:.2f} s")
    return lines


def _table(title: str, ours: dict[str, Any]) -> list[str]:
    memory = ours["memory"]
    wrong = ", ".join(f"{ours[name]} {name}" for name in ("failed", "empty", "short", "surplus", "duplicates"))
    faults = f"{ours['lost_updates']} lost, {ours['resurrections']} resurrected, other faults {ours['other_faults']}"
    written = f"{ours['writes']:,} ({ours['writes_per_second']:,.0f}/s, longest {ours['longest_write_ms']} ms)"
    staged = f"{ours['staged_seconds']:.2f} s, {ours['doubled_answers']} of them with the document as well"
    goal = f"({memory['off_by']:+.1%}; goal: within {GOAL_MEMORY:.0%})"
    lines = [
        f"  {title}: {ours['apply_seconds']:.1f} s, of which the server's own index build {ours['build_share']:.0%}",
        f"    queries   {ours['queries']:,} ({ours['queries_per_second']:,.0f}/s): {wrong}",
        f"    writes    {written}: {faults}",
        f"    staged    keys in {ours['staged_answers']:,} answers for {staged}",
        f"    memory    {memory['peak_bytes']:,} bytes at most, {memory['estimated_bytes']:,} estimated {goal}",
    ]
    for window in WINDOWS:
        figures = ours["latencies"][window]
        told = ", ".join(f"{name} {figures.get(f'{name}_ms', 0.0):.2f}" for name in ("p50", "p95", "p99"))
        lines.append(f"    {window:<9} {told} ms of {figures['queries']:,} queries")
    return lines + [f"    {name:<20} {seconds:8.2f} s" for name, seconds in ours["phases"].items()]


def _ours(folder: Path, load: Load, naming: str) -> dict[str, Any]:
    with _shop(folder) as shop:
        serve(shop, load, naming=naming)
        declare_change(shop, load)
        estimated = shop.plan().indexes[0].impact.peak_memory_bytes
        with _sampled(shop.url) as memory, at_work(shop, load, *ROLLING, patience=PATIENCE) as (_, outcomes):
            began = time.perf_counter()
            command = [str(PROGRAM), *shop.arguments("apply", "--yes"), "-q"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            spent = time.perf_counter() - began
        steps = _steps(shop)
    building = sum(step["seconds"] for step in steps if step["operation"] == "await_build")
    return {
        "apply_seconds": round(spent, 2),
        "build_share": round(building / spent, 3),
        **_noticed(outcomes[0], load),
        "phases": _phases(steps),
        "steps": steps,
        "memory": {
            "peak_bytes": memory.peak,
            "estimated_bytes": estimated,
            "off_by": round(estimated / memory.peak - 1, 3),
        },
    }


def _noticed(outcome: Outcome, load: Load) -> dict[str, Any]:
    """What clients noticed and wrote."""
    observed, faults = outcome.observed, dict(outcome.verdict.faults)
    seen, told = observed.seen, observed.written.told
    return {
        "queries": seen.queries,
        "queries_per_second": round(observed.query_rate, 1),
        "failed": len(seen.failures),
        **{name: len(getattr(seen, name)) for name in ("empty", "short", "surplus", "duplicates")},
        "encoding_switches": seen.encoding_switches,
        "writes": sum(told.get(name, 0) for name in ("ok", "uncertain", "refused")),
        "writes_per_second": round(observed.written.rate, 1),
        "longest_write_ms": round(observed.written.longest * 1000, 1),
        "lost_updates": faults.pop("lost_updates", 0),
        "resurrections": faults.pop("resurrections", 0),
        "other_faults": faults,
        "staged_answers": seen.staged,
        "doubled_answers": seen.doubled,
        "staged_seconds": round(observed.staged_seconds, 3),
        "latencies": observed.percentiles(outcome.began, outcome.ended),
        "rates_asked": {"writes": load.write_rate, "queries": load.query_rate},
    }


def _steps(shop: Shop) -> list[dict[str, Any]]:
    """The steps of the last run from its report, in order."""

    def output(*arguments: str) -> Any:
        command = [str(PROGRAM), *shop.arguments("history", *arguments, "--format", "json")]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    report = output(output()["runs"][0]["id"])
    names = ("operation", "summary", "seconds", "figures")
    return [{name: step[name] for name in names} for step in report["steps"]]


def _phases(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds by kind of step, in the order of the run."""
    phases: dict[str, float] = {}
    for step in steps:
        kind = step["operation"] or step["summary"]
        phases[kind] = round(phases.get(kind, 0.0) + step["seconds"], 3)
    return phases


def _peers(folder: Path, load: Load) -> dict[str, Any]:
    """The peer on the same documents and the same index, which nobody queries or writes meanwhile."""
    with _shop(folder) as shop:
        serve(shop, replace(load, writers=0, queriers=0), naming="plain")
        return _peer(shop.url)


@contextmanager
def _shop(folder: Path) -> Iterator[Shop]:
    try:
        with opened_shop(folder / "shop", start_server(folder / "server")) as shop:
            yield shop
    finally:
        stop_server(folder / "server")


@dataclass(slots=True)
class Memory:
    """The most memory that the server used, in bytes."""

    peak: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self, url: str) -> None:
        """Look, until it is over."""
        with redis.from_url(url) as client:
            while not self.over.wait(SAMPLE_SECONDS):
                self.peak = max(self.peak, client.info("memory")["used_memory"])


@contextmanager
def _sampled(url: str) -> Iterator[Memory]:
    memory = Memory()
    thread = threading.Thread(target=memory.watch, args=(url,))
    thread.start()
    try:
        yield memory
    finally:
        memory.over.set()
        thread.join()
