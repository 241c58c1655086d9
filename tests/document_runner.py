"""A process that rewrites documents and may be killed: casts float16 to bfloat16, adds one, renames, in one pass."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from document_kit import called, cast, floats, made, renamed, rewrite_of, sweep

from rvlstate.model.rewrite import Rewrite
from rvlstate.model.transform import Call
from rvlstate.plan.effects import Tally
from rvlstate.runtime.connect import connect


def rewrite(count: int) -> Rewrite:
    """Each layout at once; n is a number in a text, to which one is added."""
    added = replace(called("n", "n", layout="marker"), field="n", steps=(Call(function="m:add"),))
    return rewrite_of(*cast("float16", "bfloat16").fields, added, renamed("a", "b"), made("a", "c"), documents=count)


def run(url: str, count: int, batch_size: int, *, resume: bool) -> Tally:
    """One pass."""
    functions = {"m:add": lambda texts: [str(int(text) + 1) for text in texts]}
    with connect(url) as connection:
        return sweep(connection, rewrite(count), batch_size=batch_size, resume=resume, functions=functions)


def fill(client: Any, count: int) -> None:
    """Documents of the old layout, each its own; some expire in a long time."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        key = f"doc:{number}"
        vector = floats(number % 2000, 0.1, -3, 7, form="e")
        pipeline.hset(key, mapping={"v": vector, "n": number, "a": f"a{number}", "more": "x" * 50})
        if number % 3 == 0:
            pipeline.pexpireat(key, 4102444800000 + number)
    pipeline.execute()


def contents(client: Any, count: int) -> list[Any]:
    """All documents, with when they expire."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        pipeline.hgetall(f"doc:{number}")
        pipeline.pexpiretime(f"doc:{number}")
    return list(pipeline.execute())


def killed_until_done(url: str, count: int, kills: int, *, seed: int, patience: float) -> int:
    """Run passes in processes that are killed at random moments, then one that is not; how many were killed."""
    chance = random.Random(seed)
    hit = 0
    for _ in range(kills):
        process = _started(url, count, chance.choice([7, 50, 500]), resume=chance.random() < 0.7)
        assert process.stdout is not None
        process.stdout.readline()  # it is about to begin
        try:
            process.wait(timeout=chance.uniform(0.0, patience))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            hit += 1
        process.stdout.close()
        process.wait()
    run(url, count, 333, resume=True)
    while run(url, count, 500, resume=False).unsettled:
        pass
    return hit


def _started(url: str, count: int, batch_size: int, *, resume: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, url, str(count), str(batch_size), str(int(resume))]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)


if __name__ == "__main__":
    print("begin", flush=True)
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), resume=sys.argv[4] == "1")
