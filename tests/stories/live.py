"""Live stories: writers and queriers at work, each a process of its own, while documents and their index are changed.

`Crowd` starts and stops them; `live_checker` then compares every document and every answer with what they wrote.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from live_checker import Checker, Verdict
from live_documents import Change, Kind, change_of, is_still, lasting_expiry, writing
from live_querier import Asking, Seen
from live_writer import Share
from observe import eventually

HERE = Path(__file__).parent
LOADED_AT_ONCE = 500
WINDOWS = ("before", "during", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many documents and clients; rates are of one client, a second (0: as fast as it can).

    `names` are what queriers call the index, in turn.
    """

    kind: Kind = "dtype"
    documents: int = 3000
    dims: int = 16
    writers: int = 2
    queriers: int = 2
    write_rate: float = 150.0
    query_rate: float = 150.0
    names: tuple[str, ...] = ("products",)

    @property
    def change(self) -> Change:
        """The two layouts."""
        return change_of(self.kind, self.dims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the writers did: outcomes and layouts counted, writes a second of all together, the slowest in seconds."""

    told: dict[str, int]
    rate: float
    longest: float
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the clients saw and wrote; `latencies` are pairs of a moment (since 1970) and a latency, in seconds."""

    seen: Seen
    written: Written
    latencies: npt.NDArray[np.float64]

    @property
    def query_rate(self) -> float:
        """Queries a second of all queriers together."""
        return self.seen.queries / self.seen.seconds if self.seen.seconds else 0.0

    @property
    def staged_seconds(self) -> float:
        """For how long answers carried staged keys."""
        return self.seen.staged_last - self.seen.staged_first

    @property
    def oddities(self) -> dict[str, list[tuple[float, str]]]:
        """Failed queries and wrong answers by kind, where there are any; disconnections and encodings aside."""
        names = ("failures", "empty", "short", "surplus", "duplicates")
        return {name: found for name in names if (found := getattr(self.seen, name))}

    def percentiles(self, began: float, ended: float) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 of the latencies in ms, and how many there were, before, during and after a change."""
        moments, seconds = self.latencies[:, 0], self.latencies[:, 1]
        masks = (moments < began, (began <= moments) & (moments <= ended), moments > ended)
        return {window: _percentiles(seconds[mask]) for window, mask in zip(WINDOWS, masks, strict=True)}


def _percentiles(seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    if not len(seconds):
        return {"queries": 0}
    figures = np.percentile(seconds, (50, 95, 99)) * 1000
    names = ("p50_ms", "p95_ms", "p99_ms")
    return {"queries": len(seconds), **{n: round(float(v), 2) for n, v in zip(names, figures, strict=True)}}


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Clients at work."""

    load: Load
    url: str
    folder: Path
    writers: list[subprocess.Popen[str]] = field(default_factory=list)
    queriers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def logs(self) -> list[Path]:
        """The logs of the writers."""
        return [self.folder / f"writer-{number}.log" for number in range(self.load.writers)]

    def deploy(self, *modes: str) -> None:
        """Tell the writers, in turn, to write in a layout from now on: "old", "new", or "mixed"."""
        for number, writer in enumerate(self.writers):
            assert writer.stdin is not None
            writer.stdin.write(f"{modes[number % len(modes)]}\n")
            writer.stdin.flush()

    @property
    def writes(self) -> int:
        """How many writes the writers have logged."""
        return sum(log.read_bytes().count(b"\n") for log in self.logs)

    def await_writes(self, count: int) -> None:
        """Wait until the writers have done so many more."""
        least = self.writes + count
        eventually(lambda: self.writes >= least, what=f"{count} more writes")

    def stop(self) -> Observed:
        """End all clients; what they saw and wrote."""
        wrote = [_ended(client) for client in self.writers]
        saw = [Seen(**_ended(client)) for client in self.queriers]
        paths = [self.folder / f"querier-{number}.latencies" for number in range(len(saw))]
        latencies = np.concatenate([np.zeros((0, 2)), *(np.fromfile(path).reshape(-1, 2) for path in paths)])
        return Observed(seen=_together(saw), written=_summed(wrote), latencies=latencies)

    def checker(self, client: Any, **options: Any) -> Checker:
        """The checker of what they did; `client` speaks RESP2."""
        settings = {"name": self.load.names[0], "change": self.load.change, "documents": self.load.documents}
        return Checker(client=client, logs=self.logs, **{**settings, **options})

    def check(self, client: Any, **options: Any) -> Verdict:
        """The verdict on what they did, once they have ended."""
        return self.checker(client, **options).check()


@contextmanager
def crowd(url: str, folder: Path, load: Load) -> Iterator[Crowd]:
    """The clients of a load at work; the writers write the old layout until they are told otherwise."""
    plain = url.replace("redis+cluster", "redis")
    common: dict[str, Any] = {"documents": load.documents, "kind": load.kind, "dims": load.dims}
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        opened = Crowd(load=load, url=plain, folder=folder)
        for number, log in enumerate(opened.logs):
            share = Share(number=number, writers=load.writers, rate=load.write_rate, **common)
            opened.writers.append(_started(stack, "live_writer.py", plain, log, share))
        for number in range(load.queriers):
            name = load.names[number % len(load.names)]
            asking = Asking(number=number, name=name, rate=load.query_rate, **common)
            log = folder / f"querier-{number}.latencies"
            opened.queriers.append(_started(stack, "live_querier.py", plain, log, asking))
        for client in (*opened.writers, *opened.queriers):
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
        yield opened


def _started(stack: ExitStack, program: str, url: str, log: Path, task: Any) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(HERE / program), url, str(log), json.dumps(asdict(task))]
    client = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.enter_context(client)
    stack.callback(client.kill)
    return client


def _ended(client: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = client.communicate("")
    assert client.returncode == 0
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return figures


def _together(saw: Sequence[Seen]) -> Seen:
    whole = Seen(seconds=max((one.seconds for one in saw), default=0.0))
    whole.staged_first = min((one.staged_first for one in saw if one.staged), default=0.0)
    whole.staged_last = max((one.staged_last for one in saw), default=0.0)
    for one in saw:
        for name in ("queries", "disconnected", "staged", "doubled", "encoding_switches"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        for name in ("failures", "empty", "short", "surplus", "duplicates"):
            getattr(whole, name).extend((moment, what) for moment, what in getattr(one, name))
    return whole


def _summed(wrote: Sequence[dict[str, Any]]) -> Written:
    told: Counter[str] = sum((Counter(one["told"]) for one in wrote), Counter())
    rate = sum(sum(one["told"].get(outcome, 0) for outcome in ("ok", "uncertain")) / one["seconds"] for one in wrote)
    refusals = tuple(text for one in wrote for text in one["refusals"])
    return Written(
        told=dict(sorted(told.items())),
        rate=rate,
        longest=max((one["longest"] for one in wrote), default=0.0),
        refusals=refusals,
    )


def fill(client: Any, load: Load) -> None:
    """The documents that are there before, in the old layout."""
    pipeline = client.pipeline(transaction=False)
    for number in range(load.documents):
        identity = f"p{number}"
        still, expiry = is_still(identity, load.documents), lasting_expiry(identity)
        for command in writing(load.change, load.change.old, identity, 0, 0, expiry=expiry, still=still):
            pipeline.execute_command(*command)
        if number % LOADED_AT_ONCE == LOADED_AT_ONCE - 1:
            pipeline.execute()
    pipeline.execute()
