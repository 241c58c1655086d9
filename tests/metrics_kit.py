"""Reading metrics by Prometheus's own parser, and making the events that they are kept from."""

from __future__ import annotations

import time
import urllib.request
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rvlstate.events import StepProgressed, StepStarted
from rvlstate.runtime.metrics import Metrics

PATIENCE = 60.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """The samples of a text in Prometheus's format, without the labels that all have."""
    return {
        (
            sample.name,
            tuple(sorted((key, value) for key, value in sample.labels.items() if key not in ("project", "command"))),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample; None if there is none."""
    return samples.get((f"rvlstate_{name}", tuple(sorted(labels.items()))))


def told(metrics: Metrics) -> Samples:
    """What metrics tell now."""
    return parsed(generate_latest(metrics.registry).decode())


def started(step: str, operation: str, index: str = "a") -> StepStarted:
    """The beginning of a step."""
    return StepStarted(step=step, index=index, operation=operation, summary="", number=1, total=3)


def progressed(step: str, **figures: float) -> StepProgressed:
    """Progress of a step, half of it done."""
    return StepProgressed(step=step, note="", done=50, total=100, documents_per_second=12.5, figures=figures)


def scraped(url: str) -> str:
    """What an endpoint answers."""
    assert url.startswith("http://")
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an endpoint of the test's own
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def wait_until(condition: Any) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
