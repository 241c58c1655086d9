"""How long `plan` takes over indexes that are all as declared, on a real server, imports apart, and where it goes."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import redis

from rvlstate import __version__
from rvlstate.model.canonical import canonicalise
from rvlstate.model.state import Record, State
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.build import build_plan, candidate_names
from rvlstate.plan.plan import Plan
from rvlstate.plan.situation import World
from rvlstate.project import Project
from rvlstate.runtime.embedded import start_server
from rvlstate.runtime.identity import identify
from rvlstate.runtime.inspect import inspect_catalog
from rvlstate.runtime.lock import acquire
from rvlstate.runtime.profile import inspect_server

ROUNDS = 3
GOAL_SECONDS = 3.0
"""For 1,000 indexes."""

PHASES = ("load_files", "connect", "read_state", "inspect", "build")

SCHEMA = """\
version: 0.1.0
index:
  name: index{number:04}
  prefix: documents{number:04}
  storage_type: hash
fields:
  - name: sku
    type: tag
  - name: title
    type: text
    attrs:
      weight: 2.0
  - name: body
    type: text
  - name: category
    type: tag
    attrs:
      sortable: true
  - name: price
    type: numeric
    attrs:
      sortable: true
  - name: stock
    type: numeric
  - name: place
    type: geo
  - name: embedding
    type: vector
    attrs:
      algorithm: hnsw
      dims: 64
      datatype: float32
      distance_metric: cosine
      m: 16
      ef_construction: 200
"""

T = TypeVar("T")


class Stopwatch:
    """Seconds by phase, on the wall and on the processor."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    def time(self, phase: str, work: Callable[[], T]) -> T:
        """The result of some work, whose time is added to its phase."""
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        self.wall[phase] = self.wall.get(phase, 0.0) + time.perf_counter() - wall
        self.processor[phase] = self.processor.get(phase, 0.0) + time.process_time() - processor
        return result


@contextmanager
def settled_project(root: Path, size: int) -> Iterator[Path]:
    """The project file of so many declared indexes, which exist, empty, and are recorded in the state."""
    folder = root / f"project-{size}"
    (folder / "indexes").mkdir(parents=True)
    server = start_server(root / f"server-{size}")
    for number in range(size):
        (folder / "indexes" / f"{number:04}.yaml").write_text(SCHEMA.format(number=number), encoding="utf-8")
    project_file = folder / "rvlstate.yaml"
    text = f"version: 1\nproject: benchmark\nredis:\n  url: {server.url}\nschemas: [indexes/*.yaml]\n"
    project_file.write_text(text, encoding="utf-8")
    with Project.load(project_file) as project, redis.from_url(server.url) as client:
        settle(project, client)
    yield project_file


def settle(project: Project, client: Any) -> None:
    """Create what is declared and record it, as an apply would have done; raw commands are faster."""
    pipeline = client.pipeline(transaction=False)
    records = []
    for wanted in project.desired.indexes:
        physical = f"{wanted.name}@1"
        pipeline.execute_command(*create_arguments(physical, wanted.definition))
        pipeline.execute_command("FT.ALIASADD", wanted.name, physical)
        records.append(Record(name=wanted.name, physical=physical, definition=canonicalise(wanted.definition)))
    pipeline.execute()
    with acquire(project.connection.keys, project.name, operation="benchmark", identity=identify()) as lease:
        project.store.save(State(records=tuple(records)), lease)


def plan_by_phases(project_file: Path) -> Stopwatch:
    """What `Project.load(...).plan()` does, phase by phase. The plan must be empty."""
    watch = Stopwatch()
    with watch.time("load_files", lambda: Project.load(project_file)) as project:
        connection = watch.time("connect", lambda: project.connection)
        state = watch.time("read_state", project.state)
        profile = watch.time("inspect", lambda: inspect_server(connection))
        names = candidate_names(project.desired, state)
        catalog = watch.time("inspect", lambda: inspect_catalog(connection, names, profile))
        world = World(catalog=catalog, state=state, server=profile)
        plan = watch.time("build", lambda: build(project, world))
    assert plan.empty, "the benchmark is about indexes that are as declared"
    assert len(plan.indexes) == len(project.desired.indexes)
    return watch


def build(project: Project, world: World) -> Plan:
    """The pure part of planning."""
    return build_plan(project.desired, world, created_at="", version=__version__)


def measure_planning(root: Path, size: int) -> dict[str, Any]:
    """Medians over some rounds, after one that warms up: seconds of each phase and in all."""
    with settled_project(root, size) as project_file:
        plan_by_phases(project_file)
        watches = [plan_by_phases(project_file) for _ in range(ROUNDS)]
    phases = {phase: round(median(watch.wall[phase] for watch in watches), 4) for phase in PHASES}
    return {
        "indexes": size,
        "seconds": round(median(sum(watch.wall.values()) for watch in watches), 3),
        "processor_seconds": round(median(sum(watch.processor.values()) for watch in watches), 3),
        "phases": phases,
    }


def profile_planning(root: Path, size: int) -> None:
    """Print where the time goes."""
    with settled_project(root, size) as project_file:
        plan_by_phases(project_file)
        profiler = cProfile.Profile()
        profiler.runcall(plan_by_phases, project_file)
    for order in ("cumulative", "tottime"):
        pstats.Stats(profiler).sort_stats(order).print_stats(45)


def measure_apply(root: Path, size: int) -> dict[str, Any]:
    """How long one apply takes that creates so many indexes; for information, there is no goal."""
    with settled_project(root, size) as project_file, Project.load(project_file) as project:
        client: Any = project.connection.search
        client.flushall()
        watch = Stopwatch()
        report = watch.time("apply", project.apply)
    assert report.plan_empty
    return {"indexes": size, "seconds": round(watch.wall["apply"], 2), "steps": len(report.steps)}
