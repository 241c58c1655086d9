"""A plan as the JSON of the contract, with the additions that make it complete: what it holds can be read back."""

from __future__ import annotations

from typing import Any

from rvlstate.model.codec import dump_value
from rvlstate.model.desired import Policy
from rvlstate.plan.plan import Change, IndexPlan, Plan, Step
from rvlstate.views.plan_words import is_held_back

FORMAT_VERSION = "1.0"
CLASSES = ("in_place", "backfill", "shadow", "recreate", "refused")


def plan_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-like data; the same plan gives the same data in the same order."""
    return {
        "format_version": FORMAT_VERSION,
        "id": plan.id,
        "project": plan.project,
        "created_at": plan.created_at,
        "rvlstate_version": plan.rvlstate_version,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "live_fingerprint": plan.live_fingerprint,
        "desired_fingerprint": plan.desired_fingerprint,
        "server": dump_value(plan.server),
        "address": plan.address,
        **({"basis": plan.basis} if plan.basis != "declared" else {}),
        **({"policy": _policy(plan.policy)} if plan.policy is not None else {}),
        "targets": list(plan.targets),
        "warnings": list(plan.warnings),
        "indexes": [_index(index) for index in plan.indexes],
        "steps": [_step(step) for step in plan.steps],
        "unmanaged": list(plan.unmanaged),
        "summary": summary(plan),
        "live": plan.live,
    }


def _policy(policy: Policy) -> dict[str, Any]:
    """The rules that a plan was made by."""
    return {key: value for key, value in dump_value(policy).items() if key != "allow"}


def summary(plan: Plan) -> dict[str, int]:
    """How many indexes each action and each class has."""
    busy = [index for index in plan.indexes if index.action != "no-op"]
    actions = {action: sum(index.action == action for index in busy) for action in ("create", "update", "delete")}
    classes = {name: sum(index.classification == name for index in busy) for name in CLASSES}
    return {
        **actions,
        **classes,
        "adopt": sum(index.action == "adopt" for index in busy),
        "unchanged": len(plan.indexes) - len(busy),
        "held_back": sum(is_held_back(index) for index in plan.indexes),
    }


def change_data(change: Change) -> dict[str, Any]:
    """One change; a field that comes or goes is an object on one side and null on the other."""
    data: dict[str, Any] = dump_value(change)
    return data


def _index(index: IndexPlan) -> dict[str, Any]:
    return {
        "name": index.name,
        "action": index.action,
        "classification": index.classification,
        "physical": {"before": index.physical_before, "after": index.physical_after},
        "renamed_from": index.renamed_from,
        "fields": index.fields,
        "changes": [change_data(change) for change in index.changes],
        "drift": [change_data(change) for change in index.drift],
        "unverifiable": list(index.unverifiable),
        "hazards": [dump_value(hazard) for hazard in index.hazards],
        "impact": dump_value(index.impact),
        "notes": list(index.notes),
        "refused": list(index.refused),
        "held": list(index.held),
    }


def _step(step: Step) -> dict[str, Any]:
    """A step; `arguments` is all that carrying it out needs."""
    operation = step.operation
    arguments = {key: value for key, value in dump_value(operation).items() if key != "operation"}
    return {
        "id": step.id,
        "index": step.index,
        "operation": operation.operation,
        "summary": operation.summary,
        "needs": list(step.needs),
        "hazards": [dump_value(hazard) for hazard in operation.hazards],
        "reversible": operation.reversible,
        "undo": operation.undo,
        "commands": list(operation.commands),
        "arguments": arguments,
    }
