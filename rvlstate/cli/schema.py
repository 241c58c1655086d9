"""`rvlstate schema`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click

from rvlstate.cli.options import Command, Globals, global_options, pass_globals
from rvlstate.cli.output import note, show_json


def schemas() -> Mapping[str, Callable[[], dict[str, Any]]]:
    """Kind of schema -> what makes it."""
    from rvlstate.files.drift_schema import drift_schema
    from rvlstate.files.json_schema import environment_schema, project_schema
    from rvlstate.files.output_schema import plan_schema
    from rvlstate.views.plan_json import CLASSES

    counted = ("create", "update", "delete", *CLASSES, "adopt", "unchanged", "held_back")
    return {
        "project": project_schema,
        "environment": environment_schema,
        "plan": lambda: plan_schema(counted),
        "events": _events,
        "report": _report,
        "drift": drift_schema,
    }


KINDS = ("project", "environment", "plan", "events", "report", "drift")


@click.command("schema", cls=Command)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it to this file instead."
)
@global_options
@pass_globals
def command(settings: Globals, kind: str, out: Path | None) -> int:
    """Print the JSON Schema of a file or of an output.

    KIND is project (the project file), environment (its overlays), plan, events (the log), report (of a run) or drift.
    Made from the code of this version; editors and scripts check by it.
    """
    made = schemas()[kind]()
    if out is None:
        show_json(made)
        return 0
    from rvlstate.files.atomic import write_atomically
    from rvlstate.files.json_schema import schema_text

    write_atomically(out, schema_text(made))
    note(settings, f"Saved the schema to {out}.")
    return 0


def _events() -> dict[str, Any]:
    from rvlstate.events import Event
    from rvlstate.files.output_schema import TEXT, TIME, event_schema
    from rvlstate.views.events import Level, event_name

    common = {
        "time": TIME,
        "level": {"enum": list(get_args(Level))},
        "project": {**TEXT, "description": 'The project; "" before it is known.'},
        "run": {**TEXT, "description": 'The id of the run; "" while there is none.'},
    }
    return event_schema({event_name(kind): kind for kind in get_args(Event)}, common, _lines())


def _lines() -> dict[str, dict[str, Any]]:
    """The lines of the log that are no events of a run."""
    from rvlstate.files.output_schema import TEXT

    codes = {"type": "integer", "enum": [1, 3, 4, 64]}
    parts = dict.fromkeys(("error", "what", "where", "why", "next"), TEXT)
    return {
        "note": {"description": "Something beside the result, such as a warning.", "text": TEXT},
        "error": {"description": "The command failed; what the kind of error adds comes after.", **parts}
        | {"exit_code": codes},
    }


def _report() -> dict[str, Any]:
    from rvlstate.files.output_schema import report_schema
    from rvlstate.runtime.run_report import RunReport, RunSummary

    return report_schema(RunSummary, RunReport)
