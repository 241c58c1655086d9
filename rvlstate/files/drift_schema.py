"""JSON Schemas of drift: of `drift --format json`, and of what a webhook gets."""

from __future__ import annotations

from typing import get_args

from rvlstate.files.json_schema import DIALECT, Schema
from rvlstate.files.output_schema import COUNT, FINGERPRINT, TEXT, TEXTS, schema_of, whole
from rvlstate.model.rewrite import Phase
from rvlstate.plan.deviations import KINDS
from rvlstate.plan.plan import Change

DRIFT_FORMAT = "1.0"
_OF_INDEXES = [kind for kind in KINDS if kind != "unmanaged"]
_EVENTS = ("drift", "resolved", "failed")


def drift_schema() -> Schema:
    """The schema of `drift --format json`; a webhook gets the same with `event` and `text`."""
    definitions: dict[str, Schema] = {}
    change = schema_of(Change, definitions)
    command = whole({"command": TEXT, "effect": TEXT}, "What to run next, and what comes of it.")
    commands = {"type": "array", "items": {"$ref": "#/$defs/Command"}}
    kind = {"enum": _OF_INDEXES}
    definitions |= {
        "Change": whole({"kind": kind, **change["properties"]}, "One difference between applied and live."),
        "Command": command,
        "IndexDrift": whole(
            {
                "name": TEXT,
                "physical": TEXT,
                "kinds": {"type": "array", "items": kind, "description": "The gravest first."},
                "changes": {"type": "array", "items": {"$ref": "#/$defs/Change"}},
                "notes": TEXTS,
                "next": commands,
            },
            "What is wrong with one managed index.",
        ),
        "Waiting": whole(
            {"name": TEXT, "phase": {"enum": list(get_args(Phase))}, "summary": TEXT, "next": commands},
            "A change that waits for somebody, which is no drift.",
        ),
    }
    made = whole(
        {
            "format_version": {"const": DRIFT_FORMAT},
            **dict.fromkeys(("project", "server"), TEXT),
            "drift": {"type": "boolean", "description": "Whether the command exits with 2."},
            "fingerprint": {**FINGERPRINT, "description": "The same for as long as the drift is the same."},
            "kinds": whole(dict.fromkeys(KINDS, COUNT), "How many indexes each kind has; one counts once."),
            "in_progress": {**TEXT, "description": 'Who is applying; "" if nobody is.'},
            "interrupted": {**TEXT, "description": 'The run that was cut short; "" if there is none.'},
            "indexes": {"type": "array", "items": {"$ref": "#/$defs/IndexDrift"}},
            "waiting": {"type": "array", "items": {"$ref": "#/$defs/Waiting"}},
            "unmanaged": TEXTS,
            "next": commands,
        },
        "What others changed on the server since it was last applied, and what went wrong there by itself.",
    )
    told = "Only in what a webhook gets: "
    made["properties"] |= {
        "event": {"enum": list(_EVENTS), "description": f"{told}why it is told."},
        "text": {**TEXT, "description": f"{told}a summary in one line."},
    }
    title = f"rvlstate drift, format {DRIFT_FORMAT}"
    return {"$schema": DIALECT, "title": title, **made, "$defs": dict(sorted(definitions.items()))}
