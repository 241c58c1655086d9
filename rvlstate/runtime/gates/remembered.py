"""Findings that outlive the index that they are of: one string key for each baseline, gone after seven days."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rvlstate.plan.effects import Findings, Sampled
from rvlstate.runtime.scripts import KeysClient, keys_as_expected
from rvlstate.runtime.state_keys import StateKeys

KEPT_SECONDS = 7 * 24 * 3600
"""Long enough for a change that is interrupted over a weekend."""


class Remembered:
    """The findings that a project keeps, by name: `BASELINE/CHECK`."""

    def __init__(self, client: KeysClient, project: str) -> None:
        self._client = client
        self._keys = StateKeys(project)

    def load(self, name: str) -> Findings | None:
        """What was kept under a name; None if nothing was, or the seven days are over."""
        baseline, _, check = name.rpartition("/")
        kept = self._read(baseline).get(check)
        return None if kept is None else _findings(kept)

    def save(self, name: str, findings: Findings) -> None:
        """Keep findings; those of the other checks of the baseline stay, and all are kept for seven days from now."""
        baseline, _, check = name.rpartition("/")
        kept = {**self._read(baseline), check: asdict(findings)}
        self._client.set(self._keys.run(baseline), json.dumps(kept, sort_keys=True), ex=KEPT_SECONDS)

    def forget(self, baseline: str) -> None:
        """Forget all findings of a baseline."""
        self._client.delete(self._keys.run(baseline))

    def _read(self, baseline: str) -> dict[str, Any]:
        with keys_as_expected(self._keys.project):
            text: Any = self._client.get(self._keys.run(baseline))
        kept: dict[str, Any] = json.loads(text) if text else {}
        return kept


def _findings(data: dict[str, Any]) -> Findings:
    samples = tuple(
        Sampled(**{**item, "answers": _pairs(item["answers"]), "reference": _pairs(item["reference"])})
        for item in data["samples"]
    )
    return Findings(**{**data, "samples": samples, "gone": tuple(data["gone"])})


def _pairs(data: list[list[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((key, distance) for key, distance in data)
