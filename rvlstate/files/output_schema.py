"""JSON Schemas of what rvlstate writes: plans, events, run reports; made from the values that are written.

Objects are open: a later version may add keys, and a program that checks by the schema of today is not to break then.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from rvlstate.files.json_schema import DIALECT, Schema
from rvlstate.model.codec import adapter
from rvlstate.model.desired import Policy
from rvlstate.model.hazard import HAZARD_CODES
from rvlstate.plan.operations import AnyOperation
from rvlstate.plan.plan import IndexPlan, Server

PLAN_FORMAT = "1.0"
EVENTS_FORMAT = 1
REPORT_FORMAT = 1
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "description": "ISO 8601, in UTC."}
FINGERPRINT: Schema = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def plan_schema(counted: tuple[str, ...]) -> Schema:
    """The schema of `plan --format json` and of plan files; `counted` are the keys of the summary."""
    definitions: dict[str, Schema] = {}
    index = {**schema_of(IndexPlan, definitions)}
    properties = {key: value for key, value in index["properties"].items() if not key.startswith("physical_")}
    either = {"anyOf": [TEXT, {"type": "null"}]}
    properties["physical"] = whole({"before": either, "after": either}, "The physical index, before and after.")
    definitions["IndexPlan"] = whole(properties, index["description"])
    definitions["Hazard"]["properties"]["code"] = {"enum": sorted(HAZARD_CODES)}
    definitions["Step"] = _step()
    plan = whole(
        {
            "format_version": {"const": PLAN_FORMAT},
            "id": {**FINGERPRINT, "description": "Of what the plan was made from."},
            **dict.fromkeys(("project", "rvlstate_version", "lineage", "address"), TEXT),
            "created_at": TIME,
            "serial": COUNT,
            "live_fingerprint": FINGERPRINT,
            "desired_fingerprint": FINGERPRINT,
            "server": schema_of(Server, definitions),
            "targets": TEXTS,
            "warnings": TEXTS,
            "indexes": {"type": "array", "items": {"$ref": "#/$defs/IndexPlan"}},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "unmanaged": TEXTS,
            "summary": whole(dict.fromkeys(counted, COUNT), "How many indexes each action and each class has."),
            "live": {"type": "object", "description": "What the plan was made for; for rvlstate itself."},
        },
        "What is to be done, and in which order.",
    )
    meaning = "What a repair leads to, which drift --repair writes: what was last applied, not what is declared."
    plan["properties"]["basis"] = {"const": "recorded", "description": meaning}
    policy = schema_of(Policy, definitions)["properties"]
    plan["properties"]["policy"] = whole(
        {key: policy[key] for key in sorted(policy) if key != "allow"},
        "The rules of the project file that the plan was made by; not in what a rollback shows.",
    )
    plan["properties"]["checksum"] = {**FINGERPRINT, "description": "Of a plan file: over all the rest."}
    return _titled(f"rvlstate plan, format {PLAN_FORMAT}", {**plan, "$defs": dict(sorted(definitions.items()))})


def event_schema(kinds: Mapping[str, type], common: Mapping[str, Schema], more: Mapping[str, Schema]) -> Schema:
    """The schema of a line of `--log-format json`: `event` tells which one it is.

    `kinds` are the values by the names of their events, `common` what every line has, `more` lines that are no values.
    """
    definitions: dict[str, Schema] = {}
    for name, kind in kinds.items():
        made = schema_of(kind, definitions)
        definitions[name] = whole({"event": {"const": name}, **common, **made["properties"]}, made["description"])
    for name, properties in more.items():
        told = {key: value for key, value in properties.items() if key != "description"}
        definitions[name] = whole({"event": {"const": name}, **common, **told}, properties["description"])
    arms = [{"$ref": f"#/$defs/{name}"} for name in (*kinds, *more)]
    discriminator = {"propertyName": "event", "mapping": {name: f"#/$defs/{name}" for name in (*kinds, *more)}}
    return _titled(
        f"rvlstate events, format {EVENTS_FORMAT}",
        {"type": "object", "oneOf": arms, "discriminator": discriminator, "$defs": definitions},
    )


def report_schema(run: type, report: type) -> Schema:
    """The schema of `history ID --format json`: the summary of a `run` with the parts of its `report`."""
    definitions: dict[str, Schema] = {}
    summary, parts = schema_of(run, definitions), schema_of(report, definitions)
    definitions.pop(run.__name__, None)
    properties = {**summary["properties"], **{key: part for key, part in parts["properties"].items() if key != "run"}}
    return _titled(
        f"rvlstate run report, format {REPORT_FORMAT}",
        {**whole(properties, parts["description"]), "$defs": dict(sorted(definitions.items()))},
    )


def schema_of(kind: type, definitions: dict[str, Schema]) -> Schema:
    """The schema of a frozen value as it is dumped: every key is there; what it refers to is added to `definitions`."""
    made = adapter(cast("Hashable", kind)).json_schema(mode="serialization")
    for name, definition in made.pop("$defs", {}).items():
        definitions[name] = _dumped(definition)
    return _dumped(made)


def whole(properties: Mapping[str, Schema], description: str) -> Schema:
    """An object that has all of these keys."""
    return {
        "type": "object",
        "description": description.partition("\n\n")[0].replace("\n", " "),
        "properties": dict(properties),
        "required": list(properties),
    }


def _dumped(schema: Schema) -> Schema:
    """A schema without what is no part of what is written: titles, and defaults that nobody fills in."""
    if "properties" not in schema:
        return _plain(schema)
    properties = {name: _plain(key) for name, key in schema["properties"].items()}
    return whole(properties, schema.get("description", ""))


def _plain(schema: Schema) -> Schema:
    return {key: _plain_part(part) for key, part in schema.items() if key not in ("title", "default")}


def _plain_part(part: Any) -> Any:
    if isinstance(part, list):
        return [_plain_part(inner) for inner in part]
    return _plain(part) if isinstance(part, dict) else part


def _step() -> Schema:
    names = sorted(_default_of(operation, "operation") for operation in get_args(AnyOperation))
    return whole(
        {
            **dict.fromkeys(("id", "index"), TEXT),
            "operation": {"enum": names},
            "summary": TEXT,
            "needs": TEXTS,
            "hazards": {"type": "array", "items": {"$ref": "#/$defs/Hazard"}},
            "reversible": {"type": "boolean"},
            "undo": TEXT,
            "commands": TEXTS,
            "arguments": {"type": "object", "description": "All that carrying it out needs; for rvlstate itself."},
        },
        "One operation in its place: `needs` are ids of steps that come before it.",
    )


def _default_of(kind: Any, name: str) -> str:
    return str(next(field.default for field in fields(kind) if field.name == name))


def _titled(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema}
