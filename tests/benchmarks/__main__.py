"""Run the benchmarks: a table for people on stderr, one line of JSON on stdout.

python tests/benchmarks [--sizes 10,100,1000] [--profile SIZE] [--apply SIZE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from planning import GOAL_SECONDS, PHASES, measure_apply, measure_planning, profile_planning
from servers import guarded_root
from startup import measure_startup


def main() -> None:
    """Measure what the options ask for."""
    options = _options()
    with guarded_root() as root:
        if options.profile:
            profile_planning(root, options.profile)
            return
        found = {
            "machine": _machine(),
            "startup": measure_startup(),
            "plan": [measure_planning(root, size) for size in options.sizes],
            "apply": [measure_apply(root / "apply", size) for size in options.apply],
        }
    _tell(found)
    print(json.dumps(found))


def _options() -> argparse.Namespace:
    def sizes(text: str) -> list[int]:
        return [int(size) for size in text.split(",") if size]

    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--sizes", type=sizes, default=[10, 100, 1000], help="numbers of indexes to plan")
    parser.add_argument("--apply", type=sizes, default=[10, 100], help="numbers of indexes to create by one apply")
    parser.add_argument("--profile", type=int, metavar="SIZE", help="profile the planning of so many indexes instead")
    return parser.parse_args()


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


def _tell(found: dict[str, Any]) -> None:
    start = found["startup"]
    lines = [
        f"Python {found['machine']['python']}, {found['machine']['cores']} cores",
        "",
        f"rvlstate --help  {start['help_ms']:8.1f} ms   {start['ratio']:.2f} x import click (goal: {start['goal']} x)",
        f"import click     {start['import_click_ms']:8.1f} ms",
        f"python           {start['python_ms']:8.1f} ms",
        "",
        f"plan, unchanged    seconds  (processor)  {'  '.join(f'{phase:>10}' for phase in PHASES)}   ms an index",
    ]
    for row in found["plan"]:
        shares = "  ".join(f"{row['phases'][phase]:10.3f}" for phase in PHASES)
        each = row["seconds"] / row["indexes"] * 1000
        processor = f"({row['processor_seconds']:.3f})"
        lines.append(f"{row['indexes']:7,} indexes  {row['seconds']:8.3f}  {processor:>11}  {shares}   {each:11.2f}")
    lines += [f"(goal for 1,000: {GOAL_SECONDS} s)", ""]
    for row in found["apply"]:
        lines.append(f"apply, creating {row['indexes']:,}: {row['seconds']:.2f} s in {row['steps']:,} steps")
    sys.stderr.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
