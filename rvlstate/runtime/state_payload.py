"""The stored form of a state: a checksummed payload beside lineage, serial and format, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from rvlstate import __version__
from rvlstate.errors import StateError
from rvlstate.model.codec import dump_value, parse_state
from rvlstate.model.fingerprint import canonical_json, fingerprint
from rvlstate.model.state import Intent, Record, State
from rvlstate.runtime.clock import iso_utc
from rvlstate.runtime.scripts import parse_record

FORMAT = 1
"""The form of the payload that this version writes; it reads this one and older ones."""

REBUILD = "rvlstate state pull > state.json keeps a copy; rvlstate state rebuild makes a new one from the live indexes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is written for a state; two states with the same records, intents and run have the same payload."""

    lineage: str
    serial: int
    payload: str

    @property
    def checksum(self) -> str:
        """Over everything that must not be edited by hand."""
        return checksum(str(FORMAT), self.lineage, str(self.serial), self.payload)


def dump_state(state: State) -> Stored:
    """The stored form of a state under its own lineage and serial."""
    rest = dump_value(replace(state, records=(), intents=()))
    content = {key: canonical_json(value) for key, value in rest.items() if key not in ("lineage", "serial")}
    content["records"] = _dump_list(state.records)
    content["intents"] = _dump_list(state.intents)
    payload = ",".join(f'"{key}":{text}' for key, text in sorted(content.items()))
    return Stored(lineage=state.lineage, serial=state.serial, payload=f"{{{payload}}}")


def load_state(project: str, stored: Mapping[str, str]) -> State:
    """The state in the fields of a record; an empty one if none was written yet. Raises StateError."""
    if not stored:
        return State()
    _refuse_newer(project, stored)
    expected = checksum(*(stored.get(name, "") for name in ("format", "lineage", "serial", "payload")))
    if stored.get("checksum") != expected:
        raise damaged(project, "The checksum does not match: it was edited by hand, or only a part was restored.")
    return _parse(project, stored)


def parse_stored(text: str) -> dict[str, str]:
    """The fields of a stored state: a line of JSON, then the payload; what is neither is kept as `unreadable`."""
    line, _, payload = text.partition("\n")
    try:
        return {**parse_record(line), "payload": payload}
    except (ValueError, TypeError):
        return {"unreadable": text}


def newer_format(stored: Mapping[str, str]) -> bool:
    """Whether a later version of rvlstate wrote this."""
    text = stored.get("format", "")
    return text.isascii() and text.isdigit() and int(text) > FORMAT


def present_state(stored: Mapping[str, str]) -> str:
    """Everything that is stored, readable or not, as indented JSON."""
    data: dict[str, Any] = {name: value for name, value in sorted(stored.items()) if name != "payload"}
    data["written_at"] = iso_utc(_number(stored.get("written_at", "")))
    data["payload"] = _json_or_text(stored.get("payload", ""))
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)


def load_pulled(project: str, pulled: Mapping[str, Any], where: str) -> State:
    """The state in what `present_state` wrote; `where` names the file. Raises StateError as `load_state` does."""
    content = pulled.get("payload")
    fields = {name: str(value) for name, value in pulled.items() if name not in ("payload", "written_at")}
    stored = {**fields, "payload": content if isinstance(content, str) else canonical_json(content)}
    try:
        return load_state(project, stored)
    except StateError as error:
        error.where = where
        error.next_step = error.next_step.replace(REBUILD, "save it again: rvlstate state pull > state.json")
        raise


def checksum(*parts: str) -> str:
    """The checksum over format, lineage, serial and payload."""
    return fingerprint(list(parts))


def lost(project: str) -> StateError:
    """The error for a state that was there and is gone."""
    return StateError(
        "the recorded state is gone",
        where=project,
        why="Runs were recorded, but what they applied is not: the key was deleted, evicted, or not restored.\n"
        "Without it every live index would look unmanaged, so nothing is planned.",
        next_step="rvlstate state rebuild makes a new one from the live indexes.",
    )


def damaged(project: str, why: str) -> StateError:
    """The error for a state that cannot be trusted."""
    return StateError("the recorded state is damaged", where=project, why=why, next_step=REBUILD)


def _refuse_newer(project: str, stored: Mapping[str, str]) -> None:
    if newer_format(stored):
        raise StateError(
            f"the recorded state has format {stored['format']}, this version reads up to {FORMAT}",
            where=project,
            why=f"It was written by rvlstate {stored.get('rvlstate_version', '(unknown)')}; this is {__version__}.",
            next_step="upgrade rvlstate.",
        )


def _parse(project: str, stored: Mapping[str, str]) -> State:
    try:
        content = json.loads(stored["payload"])
        return parse_state({**content, "lineage": stored["lineage"], "serial": int(stored["serial"])})
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise damaged(project, f"Its content cannot be read: {error}") from error


def _dump_list(items: tuple[Record | Intent, ...]) -> str:
    return f"[{','.join(map(_dump_item, items))}]"


@lru_cache(maxsize=5000)
def _dump_item(item: Record | Intent) -> str:
    # A run saves the state at each step and changes one record of perhaps a thousand.
    return canonical_json(dump_value(item))


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
