"""A process that stages or promotes documents and may be killed in the middle."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from document_kit import called, cast, floats, renamed, rewrite_of, staged, sweep

from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.effects import Tally
from rvlstate.runtime.connect import connect

FUNCTIONS = {"m:f": lambda texts: [f"{text}!" for text in texts]}


def rewrite(promotion: Any, count: int) -> Rewrite:
    """By rename a cast alone; else a cast, a rename, and a value that another one is computed from."""
    more = () if promotion == "rename" else (renamed("a", "b"), called("n", "c"))
    moves = (("doc:", "new:"),) if promotion == "new_prefix" else ()
    return staged(rewrite_of(*cast().fields, *more, moves=moves, documents=count), promotion)


def run(url: str, promotion: str, mode: Any, count: int, batch_size: int, *, resume: bool) -> Tally:
    """One pass."""
    with connect(url) as connection:
        change = rewrite(promotion, count)
        return sweep(connection, change, mode=mode, batch_size=batch_size, resume=resume, functions=FUNCTIONS)


def fill(client: Any, count: int) -> None:
    """Documents of the old layout, each its own; some expire in a long time."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        key = f"doc:{number}"
        pipeline.hset(key, mapping={"v": floats(number % 2000, 0.5, -3, 7), "n": number, "a": f"a{number}"})
        if number % 3 == 0:
            pipeline.pexpireat(key, 4102444800000 + number)
    pipeline.execute()


def contents(client: Any, prefixes: tuple[str, ...], count: int) -> list[Any]:
    """All documents under these prefixes, with when they expire."""
    pipeline = client.pipeline(transaction=False)
    for prefix in prefixes:
        for number in range(count):
            pipeline.hgetall(f"{prefix}{number}")
            pipeline.pexpiretime(f"{prefix}{number}")
    return list(pipeline.execute())


def killed_until_done(url: str, promotion: str, mode: str, count: int, *, seed: int) -> int:
    """Passes in processes that are killed while they write, then until one finds nothing; how many were killed."""
    chance = random.Random(seed)
    hit = 0
    for _ in range(4):
        process = _started(url, promotion, mode, count, chance.choice([7, 50, 500]), resume=chance.random() < 0.7)
        assert process.stdout is not None
        process.stdout.readline()  # it is about to begin
        try:
            process.wait(timeout=chance.uniform(0.02, 0.35))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            hit += 1
        process.stdout.close()
        process.wait()
    run(url, promotion, mode, count, 333, resume=True)
    while run(url, promotion, mode, count, 500, resume=False).unsettled:
        pass
    return hit


def _started(
    url: str, promotion: str, mode: str, count: int, batch_size: int, *, resume: bool
) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, url, promotion, mode, str(count), str(batch_size), str(int(resume))]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)


if __name__ == "__main__":
    print("begin", flush=True)
    run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), resume=sys.argv[6] == "1")
