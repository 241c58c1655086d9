"""Drift as JSON, for scripts and webhooks; its schema is printed by `rvlstate schema drift`."""

from __future__ import annotations

from typing import Any

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.standing import NextCommand, Standing
from rvlstate.views.drift_words import next_commands
from rvlstate.views.plan_json import change_data
from rvlstate.views.plan_words import Offer

DRIFT_FORMAT = "1.0"


def drift_data(drift: Drift, offer: Offer) -> dict[str, Any]:
    """Drift as JSON-like data; the same drift gives the same data."""
    return {
        "format_version": DRIFT_FORMAT,
        "project": drift.project,
        "server": offer.server,
        "drift": drift.found,
        "fingerprint": drift.fingerprint,
        "kinds": dict(drift.kinds),
        "in_progress": drift.in_progress,
        "interrupted": drift.interrupted,
        "indexes": [_index(index, offer) for index in drift.indexes],
        "waiting": [_waiting(standing, offer) for standing in drift.waits],
        "unmanaged": list(drift.unmanaged),
        "next": [{"command": command, "effect": effect} for command, effect in next_commands(drift, offer)],
    }


def _index(index: IndexDrift, offer: Offer) -> dict[str, Any]:
    return {
        "name": index.name,
        "physical": index.physical,
        "kinds": list(index.kinds),
        "changes": [{"kind": finding.kind, **change_data(finding.change)} for finding in index.findings],
        "notes": list(index.notes),
        "next": _commands(index.commands, offer),
    }


def _waiting(standing: Standing, offer: Offer) -> dict[str, Any]:
    return {
        "name": standing.name,
        "phase": standing.phase,
        "summary": standing.summary,
        "next": _commands(standing.commands, offer),
    }


def _commands(commands: tuple[NextCommand, ...], offer: Offer) -> list[dict[str, str]]:
    return [{"command": offer.command(*command.words), "effect": command.effect} for command in commands]
