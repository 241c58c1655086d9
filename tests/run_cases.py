"""Runs as their reports tell them, for the tests of pages: one that went well, one that failed, a hostile one."""

from __future__ import annotations

import math

from rvlstate.runtime.run_report import Comparison, DeadLetter, Event, RunReport, RunSummary, StepReport

BEGAN = 1_779_000_000_000
"""Milliseconds since the epoch."""


def summary(**changed: object) -> RunSummary:
    """The summary of a run that went well."""
    told: dict[str, object] = {
        "id": "01JX3Q8Z7N",
        "operation": "apply",
        "plan_id": "sha256:3f2a9c41",
        "who": "ada",
        "host": "runner-7",
        "pid": 4711,
        "ci_url": "https://ci.example/jobs/17",
        "version": "0.1.0",
        "started": "2026-05-17T06:40:00Z",
        "finished": "2026-05-17T06:47:42Z",
        "seconds": 462.0,
        "result": "done",
        "error": "",
        "steps_done": 7,
        "steps_total": 7,
    }
    return RunSummary(**{**told, **changed})  # type: ignore[arg-type]


def step(place: int, text: str, after: float, seconds: float, **changed: object) -> StepReport:
    """A step of `products` that is done."""
    told: dict[str, object] = {
        "id": f"products/{place}",
        "summary": text,
        "index": "products",
        "started": "2026-05-17T06:40:00Z",
        "after": after,
        "seconds": seconds,
        "result": "done",
        "error": "",
        "operation": "create_index",
    }
    return StepReport(**{**told, **changed})  # type: ignore[arg-type]


BAD_ROWS = (
    DeadLetter(key="product:000412", field="embedding", reason="the vector has 1,532 bytes, 1,536 are expected"),
    DeadLetter(key="product:007733", field="embedding", reason="there is no vector"),
)
STEPS = (
    step(1, "rehearse the change of products.embedding on 1,000 documents", 0.2, 6.1, operation="rehearse_rewrite"),
    step(2, "create products@2", 6.4, 0.3),
    step(
        3,
        "stage the documents of products",
        6.8,
        318.0,
        operation="stage_documents",
        figures={
            "documents_seen": 1_200_000,
            "documents_written": 1_199_986,
            "bytes_written": 1_843_000_000,
            "documents_bad": 14,
        },
        bad_rows=BAD_ROWS,
    ),
    step(4, "wait until products@2 is built", 325.0, 88.0, figures={"documents": 1_199_986}),
    step(
        5,
        "verify products@2 against products@1",
        413.2,
        9.4,
        figures={
            "documents": 1_199_986,
            "embedding overlap@10": 0.9968,
            "embedding recall@10 before": 0.981,
            "embedding recall@10 after": 0.9796,
            "found by @category:{shoes}": 41_233,
            "found before by @category:{shoes}": 41_233,
        },
    ),
    step(6, "alias products -> products@2 (from products@1)", 422.8, 0.05, operation="point_alias"),
    step(7, "rename the staged copies of products to their documents", 423.0, 38.8, operation="promote_documents"),
)
COMPARED = (
    Comparison(
        index="products",
        estimated={
            "seconds": 540.0,
            "documents": 1_200_000,
            "documents_written": 1_200_000,
            "bytes_written": 1_843_200_000,
            "peak_memory_bytes": 8_700_000_000,
        },
        actual={
            "seconds": 461.0,
            "documents": 1_199_986,
            "documents_written": 1_199_986,
            "bytes_written": 1_843_000_000,
            "peak_memory_bytes": 8_412_000_000,
        },
    ),
)


def event(at: float, kind: str, **data: str) -> Event:
    """An event so many seconds after the run began."""
    return Event(id=f"{BEGAN + round(at * 1000)}-0", at="2026-05-17T06:40:00Z", run="01JX3Q8Z7N", kind=kind, data=data)


def progress(step_id: str, phase: str, start: float, end: float, rate: float, *, whole: int) -> list[Event]:
    """Progress every four seconds, slowed down in the middle."""
    found = []
    for number in range(int((end - start) / 4) + 1):
        at = start + number * 4
        slow = 0.45 < (at - start) / (end - start) < 0.6
        speed = rate * (0.35 if slow else 1) * (1 + 0.06 * math.sin(number * 1.7))
        latency = (38 if slow else 1.9) * (1 + 0.25 * math.sin(number * 2.3))
        told = {
            "step": step_id,
            "phase": phase,
            "done": str(min(int((at - start) * rate), whole)),
            "total": str(whole),
            "documents_per_second": f"{speed:.1f}",
            "why": "server answers in 38 ms" if slow else "",
            "latency_ms": f"{latency:.3f}",
        }
        found.append(event(at, "step_progressed", **told))
    return found


EVENTS = (
    event(0, "run_started"),
    *progress("products/3", "staging", 7.0, 250.0, 4_800, whole=1_200_000),
    *progress("products/3", "catching up", 252.0, 324.0, 11_000, whole=1_200_000),
    *progress("products/7", "promoting", 423.0, 461.0, 31_000, whole=1_200_000),
)


def went_well() -> RunReport:
    """A staged change of a million documents."""
    return RunReport(run=summary(), steps=STEPS, indexes=COMPARED)


def failed() -> RunReport:
    """A gate said no."""
    why = "the check knn embedding failed\n  overlap 0.81, at least 0.95 is required"
    steps = (*STEPS[:4], step(5, "verify products@2 against products@1", 413.2, 9.4, result="failed", error=why))
    return RunReport(run=summary(result="failed", error=why, steps_done=4), steps=steps, indexes=COMPARED)


def hostile(text: str, operation: str = "apply") -> RunReport:
    """A run in which everything that others choose is `text`."""
    bad = DeadLetter(key=text, field=text, reason=text)
    mine = step(1, text, 0.0, 462.0, figures={f"{text} x": 1.0, "documents_bad": 3.0}, bad_rows=(bad,), error=text)
    named = Comparison(index=text, estimated={"seconds": 1.0}, actual={"seconds": 2.0})
    run = summary(who=text, host=text, ci_url=text, error=text, operation=operation, plan_id=text)
    return RunReport(run=run, steps=(mine, *STEPS[1:]), indexes=(named,))


def hostile_events(text: str) -> tuple[Event, ...]:
    """What such a run told."""
    return tuple(
        event(at, "step_progressed", step="products/1", phase=text, why=text, documents_per_second=text, latency_ms="3")
        for at in (0.0, 100.0, 400.0)
    )
