"""Plan files: a plan as JSON with a checksum, written whole or not at all, and read back as the very same plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rvlstate.errors import PlanFileError
from rvlstate.files.atomic import write_atomically
from rvlstate.model.codec import adapter, discriminated
from rvlstate.model.desired import Policy
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.operations import AnyOperation
from rvlstate.plan.plan import Basis, IndexPlan, Plan, Server, Step
from rvlstate.views.plan_json import FORMAT_VERSION, plan_data

MADE_AGAIN = "make it again: rvlstate plan --out FILE"
_OPERATION = discriminated(AnyOperation, "operation")
_AS_IT_IS = (
    "project",
    "created_at",
    "rvlstate_version",
    "lineage",
    "serial",
    "live_fingerprint",
    "desired_fingerprint",
)


def dump_plan(plan: Plan) -> str:
    """The text of a plan file: the plan's JSON and a checksum over it."""
    data = plan_data(plan)
    return json.dumps({**data, "checksum": fingerprint(data)}, indent=2, ensure_ascii=True) + "\n"


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan file that its owner alone can read; a file that is there is replaced at once, or stays as it is."""
    if path.exists() and not path.is_file():
        raise PlanFileError(
            "this is not a file", where=str(path), next_step="name a file, such as plan.json, after --out."
        )
    write_atomically(path, dump_plan(plan), mode=0o600)


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises PlanFileError for anything but a whole, unchanged plan file of this format."""
    data = _parse_json(path, _read(path))
    if not isinstance(data, dict) or "format_version" not in data:
        raise PlanFileError(
            "this is not a plan file", where=str(path), why="It has no format_version.", next_step=_how_made()
        )
    _refuse_other_format(path, data)
    _refuse_edited(path, data)
    try:
        return _in_sequence(_parse(data))
    except (ValidationError, KeyError, TypeError, AttributeError, _LooseEndError) as error:
        raise PlanFileError(
            "this plan file cannot be read",
            where=str(path),
            why=f"Its checksum holds, but it is no plan that this version knows ({_first_line(error)}).",
            next_step=MADE_AGAIN,
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PlanFileError("there is no such plan file", where=str(path), next_step=_how_made()) from error
    except OSError as error:
        why = f"The system says: {error.strerror or error}."
        raise PlanFileError("the plan file cannot be read", where=str(path), why=why) from error


def _parse_json(path: Path, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PlanFileError(
            "this is not a plan file",
            where=str(path),
            why=f"It is not JSON: {_first_line(error)}.",
            next_step=_how_made(),
        ) from error


def _refuse_other_format(path: Path, data: dict[str, Any]) -> None:
    found = data["format_version"]
    if found != FORMAT_VERSION:
        maker = data.get("rvlstate_version")
        by = f", written by rvlstate {maker}" if isinstance(maker, str) else ""
        raise PlanFileError(
            f"this plan file has format_version {found!r}{by}",
            where=str(path),
            why=f"This version of rvlstate reads {FORMAT_VERSION}.",
            next_step=MADE_AGAIN,
        )


def _refuse_edited(path: Path, data: dict[str, Any]) -> None:
    expected = data.pop("checksum", None)
    if expected != fingerprint(data):
        raise PlanFileError(
            "this plan file was changed after it was made",
            where=str(path),
            why="Its checksum does not hold: it was edited, or only a part of it is here.",
            next_step=MADE_AGAIN,
        )


class _LooseEndError(Exception):
    """Steps that are no sequence."""


def _in_sequence(plan: Plan) -> Plan:
    """The plan. Raises _LooseEndError unless every step has an id of its own and needs steps that come before it."""
    seen = set[str]()
    for step in plan.steps:
        if step.id in seen:
            raise _LooseEndError(f"there are two steps {step.id}")
        missing = sorted({*step.needs} - seen)
        if missing:
            raise _LooseEndError(f"step {step.id} needs {missing[0]}, which does not come before it")
        seen.add(step.id)
    return plan


def _parse(data: dict[str, Any]) -> Plan:
    return Plan(
        **{name: data[name] for name in _AS_IT_IS},
        server=adapter(Server).validate_python(data["server"]),
        live=data["live"],
        indexes=tuple(_parse_index(index) for index in data["indexes"]),
        steps=tuple(_parse_step(step) for step in data["steps"]),
        unmanaged=tuple(data["unmanaged"]),
        warnings=tuple(data["warnings"]),
        targets=tuple(data["targets"]),
        address=data.get("address", ""),
        basis=adapter(Basis).validate_python(data.get("basis", "declared")),
        policy=adapter(Policy).validate_python(data["policy"]) if "policy" in data else None,
    )


def _parse_index(data: dict[str, Any]) -> IndexPlan:
    physical = data.pop("physical")
    named = {**data, "physical_before": physical["before"], "physical_after": physical["after"]}
    parsed: IndexPlan = adapter(IndexPlan).validate_python(named)
    return parsed


def _parse_step(data: dict[str, Any]) -> Step:
    operation = adapter(_OPERATION).validate_python({"operation": data["operation"], **data["arguments"]})
    return Step(id=data["id"], index=data["index"], operation=operation, needs=tuple(data["needs"]))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _how_made() -> str:
    return "rvlstate plan --out FILE writes one."
