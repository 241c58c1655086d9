"""Planning without a server: the declared set against a saved state, or against what a plan file says was live."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from rvlstate import __version__
from rvlstate.errors import PlanFileError, StateError
from rvlstate.files.plan_file import load_plan
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import Capability, Catalog, LiveIndex, ServerProfile
from rvlstate.model.codec import parse_definition
from rvlstate.model.desired import Desired
from rvlstate.model.state import Record, State
from rvlstate.plan.build import build_plan
from rvlstate.plan.plan import Impact, Plan
from rvlstate.plan.situation import World
from rvlstate.runtime.clock import now_iso, now_ms
from rvlstate.runtime.state_payload import load_pulled

WRITES_ONE = "rvlstate state pull > state.json, or rvlstate plan --out plan.json, writes one."
UNKNOWN = "not known without the server"
ANY_SERVER = ServerProfile(redis="unknown", search="unknown", capabilities=get_args(Capability))
"""What is assumed where nothing is saved about the server: that it can do everything."""


def plan_against(desired: Desired, file: Path, targets: tuple[str, ...] = ()) -> Plan:
    """The plan that leads from what is saved in `file` to the declared set; no server is asked.

    What only a server knows (documents, memory, time) is told as unknown. Raises PlanFileError for a file that is
    neither, StateError where a change of documents was under way and for a state of a later version.
    """
    data = _read(file)
    world = _world_of_plan(file) if "format_version" in data else _world_of_state(desired.project, data, file)
    _refuse_unfinished(world.state, file)
    plan = build_plan(desired, world, targets=targets, created_at=now_iso(), version=__version__)
    indexes = tuple(replace(index, impact=Impact(documents=None, basis=UNKNOWN)) for index in plan.indexes)
    return replace(plan, indexes=indexes, warnings=(*plan.warnings, _told(file, world)))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(file.read_bytes())
    except OSError as error:
        why = f"The system says: {error.strerror or error}."
        raise PlanFileError("the saved state cannot be read", where=str(file), why=why, next_step=WRITES_ONE) from error
    except (ValueError, RecursionError) as error:
        raise _neither(file, f"It is not JSON: {str(error).partition(chr(10))[0]}.") from error
    if not isinstance(data, dict) or not {"format_version", "payload"} & data.keys():
        raise _neither(file, "It has neither the payload of a state nor the format_version of a plan.")
    return data


def _neither(file: Path, why: str) -> PlanFileError:
    return PlanFileError(
        "this is neither a saved state nor a plan file", where=str(file), why=why, next_step=WRITES_ONE
    )


def _world_of_state(project: str, data: Mapping[str, Any], file: Path) -> World:
    """The world in which every record of a state is live exactly as it was applied."""
    state = load_pulled(project, data, str(file))
    indexes = {record.physical: record for record in state.records}
    aliases = {
        name: record.physical
        for record in state.records
        for name in (record.name, *record.aliases)
        if name not in indexes
    }
    live = [LiveIndex(name=name, definition=mask(record.definition)) for name, record in sorted(indexes.items())]
    catalog = Catalog(indexes=tuple(live), aliases=tuple(sorted(aliases.items())))
    return World(catalog=catalog, state=state, server=ANY_SERVER, address=str(file), project=project, now=now_ms())


def _world_of_plan(file: Path) -> World:
    """The world that a plan was made for, as far as the plan tells of it."""
    plan = load_plan(file)
    live: Any = plan.live
    definitions = {name: parse_definition(definition) for name, definition in live["indexes"].items()}
    synonyms = {
        name: tuple((term, tuple(groups)) for term, groups in pairs) for name, pairs in live.get("synonyms", {}).items()
    }
    catalog = Catalog(
        indexes=tuple(
            LiveIndex(name=name, definition=definitions[name], synonyms=synonyms.get(name, ()))
            for name in sorted(definitions)
        ),
        aliases=tuple(sorted(live["aliases"].items())),
    )
    records = tuple(
        Record(name=index.renamed_from or index.name, physical=physical, definition=definitions[physical])
        for index in plan.indexes
        for physical in (index.physical_before or "",)
        if physical in definitions and index.action != "adopt"
    )
    known: Any = plan.server.capabilities
    return World(
        catalog=catalog,
        state=State(lineage=plan.lineage, serial=plan.serial, records=records),
        server=ServerProfile(
            redis=plan.server.redis, search=plan.server.search, cluster=plan.server.cluster, capabilities=known
        ),
        address=str(file),
        project=plan.project,
        now=now_ms(),
    )


def _refuse_unfinished(state: State, file: Path) -> None:
    names = sorted(rewrite.name for rewrite in state.rewrites)
    if names:
        raise StateError(
            f"a change of the documents of {', '.join(names)} was under way when this state was saved",
            where=str(file),
            why="How far it has come is known to the server alone.",
            next_step="run rvlstate plan without --against, or save the state again once that change is complete.",
        )


def _told(file: Path, world: World) -> str:
    known = world.server is not ANY_SERVER
    server = f"taken to be Redis {world.server.redis}, as it was then" if known else "taken to be able to do everything"
    return (
        f"made offline, against {file}: documents, memory and times are unknown, and so are the hazards that depend on "
        f"them; the server is {server}. This plan can be read, and not be applied."
    )
