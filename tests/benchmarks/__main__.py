"""Run the benchmarks: a table for people on stderr, one line of JSON on stdout.

python tests/benchmarks [--sizes 10,100,1000] [--profile SIZE] [--apply SIZE] [--documents 100000] [--memory SIZES]
    [--live 50000 [--live-dims 384] [--live-writes RATE] [--live-queries RATE]]
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
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stories"))

from live import Load
from live_changes import measure_live, tell_live
from planning import GOAL_SECONDS, PHASES, measure_apply, measure_planning, profile_planning
from rewriting import GOAL_FLOOR, GOAL_PEER, measure_batches, measure_documents, measure_memory
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
            "documents": [measure_documents(root, size, options.dims) for size in options.documents],
            "batches": [row for size in options.documents for row in measure_batches(root, min(size, 20_000), 768)],
            "memory": measure_memory(root, options.memory),
            "live": [measure_live(root / f"live-{size}", _load(size, options)) for size in options.live],
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
    parser.add_argument(
        "--documents", type=sizes, default=[100_000], help="numbers of documents to rewrite, with the peer"
    )
    parser.add_argument("--dims", type=int, default=768, help="their vectors")
    parser.add_argument(
        "--memory", type=sizes, default=[50_000, 200_000], help="numbers of documents to measure memory at"
    )
    parser.add_argument("--live", type=sizes, default=[], help="numbers of documents to change under load")
    parser.add_argument("--live-dims", type=int, default=384, help="their vectors")
    parser.add_argument("--live-writes", type=float, default=0.0, help="writes a second of a writer; 0: no limit")
    parser.add_argument("--live-queries", type=float, default=0.0, help="queries a second of a querier; 0: no limit")
    return parser.parse_args()


def _load(documents: int, options: argparse.Namespace) -> Load:
    return Load(
        documents=documents,
        dims=options.live_dims,
        queriers=4,
        write_rate=options.live_writes,
        query_rate=options.live_queries,
    )


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
    lines += _about_documents(found)
    sys.stderr.write("\n".join(lines) + "\n")


def _about_documents(found: dict[str, Any]) -> list[str]:
    lines = []
    for row in found["documents"]:
        floor, ours, peer = row["floor"], row["ours"], row["peer"]
        lines += [
            "",
            f"{row['documents']:,} x {row['dims']}, float32 -> float16 under FLAT",
            f"  floor    {floor['seconds']:7.2f} s ({floor['us_per_document']} us a document)",
            f"  writing  {ours['writing_seconds']:7.2f} s, {row['rewriting_to_floor']} x floor (goal: {GOAL_FLOOR} x)",
            f"  apply    {ours['apply_seconds']:7.2f} s, search down for {ours['downtime_seconds']:.2f} s",
            f"  peer     {peer['apply_seconds']:7.2f} s, {row['peer_to_ours']} x ours (goal: {GOAL_PEER} x)",
            f"           {peer['phases']}",
        ]
    lines += [
        f"batches of {row['batch_size']:5}: {row['us_per_document']:6.1f} us a document" for row in found["batches"]
    ]
    lines += [line for row in found["live"] for line in tell_live(row)]
    lines += [f"apply over {row['documents']:9,} documents: {row['megabytes']} MB at most" for row in found["memory"]]
    return lines


if __name__ == "__main__":
    main()
