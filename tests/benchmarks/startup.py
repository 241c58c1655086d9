"""How long `rvlstate --help` takes as a whole process, against a process that does nothing but import click."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 21
GOAL = 2.0

HELP = (str(Path(sys.executable).parent / "rvlstate"), "--help")
FLOOR = (sys.executable, "-c", "import click")
NOTHING = (sys.executable, "-c", "")


def measure_startup() -> dict[str, float]:
    """Medians in milliseconds, and how many times the floor the help takes; rounds alternate to share the load."""
    commands = {"help_ms": HELP, "import_click_ms": FLOOR, "python_ms": NOTHING}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            seconds[name].append(_run(command))
    medians = {name: round(median(times) * 1000, 1) for name, times in seconds.items()}
    return {**medians, "ratio": round(medians["help_ms"] / medians["import_click_ms"], 2), "goal": GOAL}


def _run(command: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
