"""The demo: the whole story on an embedded server with real data, as `rvlstate demo` tells it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rvlstate.demo.smaller import Smaller
    from rvlstate.demo.story import Outcome

MANY = 10


def run_demo(folder: Path | None = None, output: Literal["text", "json"] = "text", *, keep: bool = False) -> int:
    """Play the demo in a new folder and sum it up; 0 if all came out as it must, otherwise 1.

    With "json" the standard output is one line of JSON, and the story goes to standard error.
    Raises UsageError when the table is not installed or the folder is in use, EmbeddedServerError.
    """
    from rvlstate.demo.airports import require_table

    require_table()
    from rvlstate.demo.stage import staged
    from rvlstate.demo.story import play

    story = sys.stdout if output == "text" else sys.stderr
    with staged(folder, story, keep=keep) as stage:
        outcome = play(stage)
    sys.stdout.write(f"{_as_json(outcome) if output == 'json' else _as_text(outcome)}\n")
    return 1 if outcome.broken() else 0


def _as_json(outcome: Outcome) -> str:
    asked, last = outcome.asked(), outcome.smaller
    return json.dumps(
        {
            "documents": outcome.documents,
            "queries": asked.queries,
            "query_errors": asked.failed,
            "empty_answers": asked.empty,
            "lost_updates": len(last.verdict.lost) if last else None,
            "recall_before": last.recall_before if last else None,
            "recall_after": last.recall_after if last else None,
            "memory_before": last.memory_before if last else None,
            "memory_after": last.memory_after if last else None,
            "writes": last.writes if last else None,
            "applied": outcome.applied,
            "final_plan_empty": outcome.final_plan_empty,
            "drift_found": outcome.drift_found,
            "drift_undone": outcome.drift_undone,
            "seconds": outcome.seconds,
            "broken": list(outcome.broken()),
            "failure": outcome.failure,
            "errors": dict(asked.errors),
        }
    )


def _as_text(outcome: Outcome) -> str:
    count, broken = outcome.asked(), outcome.broken()
    lines = [
        "\n== Summary",
        f"{outcome.documents:,} documents in two indexes; both were changed, one of them three times.",
        f"{count.queries:,} queries meanwhile: {count.failed:,} failed, {count.empty:,} got an empty answer.",
        *([_as_smaller(outcome.smaller)] if outcome.smaller else []),
        f"Seconds taken: {', '.join(f'{name} {seconds}' for name, seconds in outcome.seconds.items())}.",
        *(f"Failed query, {times} times: {error}" for error, times in count.errors.most_common(5)),
        *([f"Broken off: {outcome.failure}"] if outcome.failure else [f"Not so: {what}." for what in broken]),
    ]
    return "\n".join(lines) if broken else "\n".join([*lines, "Everything came out as it must."])


def _as_smaller(last: Smaller) -> str:
    verdict = last.verdict
    found = (*verdict.lost, *verdict.not_found, *verdict.left_over)
    lines = [
        f"{last.writes:,} writes while float32 became float16: {len(verdict.lost)} lost.",
        f"Recall {last.recall_before:.3f} before, {last.recall_after:.3f} after.",
        f"Documents and graph: {last.memory_before:,} bytes before, {last.memory_after:,} after.",
        *([f"Not as written: {', '.join(found[:MANY])}."] if found else []),
    ]
    return "\n".join(lines)
