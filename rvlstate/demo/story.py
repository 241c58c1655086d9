"""The demo's story: from indexes that an application made to vectors of half the size, while queries go on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis

from rvlstate.demo.airports import airports
from rvlstate.demo.smaller import Smaller, make_smaller
from rvlstate.demo.stage import DemoFailedError, Stage, quickstart
from rvlstate.demo.traffic import Count, Traffic
from rvlstate.runtime.connect import as_pairs

NAME_FIELD = "  - name: name\n    type: text\n"
WEIGHT = "    attrs:\n      weight: 2.0\n"
GRAPH = "m: 16\n      ef_construction: 200\n"
FINER_GRAPH = "m: 32\n      ef_construction: 400\n"
COUNTRY_FIELD = "  - name: country\n    type: tag\n"
BY_HAND = ("FT.ALTER", "airports", "SCHEMA", "ADD", "runways", "NUMERIC")


@dataclass(slots=True)
class Outcome:
    """What the demo showed; `failure` says what broke it off, "" if nothing did."""

    count: Count = field(default_factory=Count)
    documents: int = 0
    applied: bool = False
    final_plan_empty: bool = False
    drift_found: bool = False
    drift_undone: bool = False
    smaller: Smaller | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    def asked(self) -> Count:
        """The queries of all acts together."""
        last = self.smaller
        if last is None:
            return self.count
        return Count(
            queries=self.count.queries + last.queries,
            empty=self.count.empty + last.empty,
            errors=self.count.errors + Counter(last.errors),
        )

    def broken(self) -> tuple[str, ...]:
        """What did not come out as it must; () when all is well."""
        asked = self.asked()
        expected = {
            "documents were loaded": self.documents > 0,
            "queries were asked": asked.queries > 0,
            "no query failed": not asked.failed,
            "no answer was empty": not asked.empty,
            "the changes were applied": self.applied,
            "the last plan is empty": self.final_plan_empty,
            "the change by hand was found": self.drift_found,
            "the change by hand was undone": self.drift_undone,
            "the vectors were made smaller": self.smaller is not None,
            **(self.smaller.expected() if self.smaller else {}),
        }
        return tuple(what for what, holds in expected.items() if not holds)


def play(stage: Stage) -> Outcome:
    """Play all acts; one that does not come out as it must ends the story, and the outcome says so."""
    outcome = Outcome()
    try:
        with _timed(outcome, "all"):
            _load(stage, outcome)
            _import(stage)
            _edit(stage)
            known = [airport for airport in airports() if "state" in airport]
            with Traffic(stage.url, quickstart() / "indexes", known) as traffic:
                outcome.count = traffic.count
                _apply(stage, outcome)
                _drift(stage, outcome)
            with _timed(outcome, "smaller"):
                outcome.smaller = make_smaller(stage)
    except DemoFailedError as surprise:
        outcome.failure = str(surprise)
    return outcome


def _load(stage: Stage, outcome: Outcome) -> None:
    stage.heading("1. An application with two indexes")
    stage.tell(
        "It has made them itself, with redisvl's own create(), and loads a real table through redisvl's own load(): "
        "airports with names, cities, coordinates, and vectors computed from the names; and the states they lie in."
    )
    with _timed(outcome, "load"):
        stage.python("app/load.py", "--create")
    stage.python("app/search.py", "lake tahoe")
    with _client(stage) as client:
        outcome.documents = sum(int(client.ft(name).info()["num_docs"]) for name in ("airports", "states"))


def _import(stage: Stage) -> None:
    stage.heading("2. The indexes come under management")
    stage.tell("Import writes a schema file for each, and names what the server does not tell about it.")
    stage.rvlstate("import", "--all")
    stage.tell("Files and server agree, so there is nothing to plan:")
    stage.rvlstate("plan", "--detailed-exitcode")


def _edit(stage: Stage) -> None:
    stage.heading("3. Two schema files are edited")
    stage.tell("States can be filtered by country. Names of airports weigh more, and their vector graph is finer.")
    stage.edit("indexes/states.yaml", {"fields:\n": f"fields:\n{COUNTRY_FIELD}"})
    stage.edit("indexes/airports.yaml", {NAME_FIELD: f"{NAME_FIELD}{WEIGHT}", GRAPH: FINER_GRAPH})
    stage.rvlstate("plan", "--out", "change.plan", "--detailed-exitcode", expect=2)


def _apply(stage: Stage, outcome: Outcome) -> None:
    stage.heading("4. The plan is carried out while four clients query both indexes by name")
    stage.tell(
        "The name airports still is that of the index itself; when the new one takes over, it becomes an alias. An "
        "application that drops or creates its index would notice, so somebody has to agree to it:"
    )
    stage.rvlstate("apply", "--yes", expect=3, skip_to="Error:")
    with _timed(outcome, "apply"):
        stage.rvlstate("apply", "--yes", "--allow", "NAME_BECOMES_ALIAS", skip_to="run ")
    stage.tell(f"Meanwhile: {outcome.count.describe()}.")
    outcome.applied = _is_as_edited(stage)
    stage.tell("A plan that was applied already, or that the world has moved away from, is refused:")
    stage.rvlstate("apply", "change.plan", "--yes", expect=3, skip_to="Error:")


def _drift(stage: Stage, outcome: Outcome) -> None:
    stage.heading("5. Somebody changes an index by hand")
    stage.tell(f"They send {' '.join(BY_HAND)}, which no schema file knows of. A cron job finds it:")
    with _client(stage) as client:
        client.execute_command(*BY_HAND)
    stage.rvlstate("drift", expect=2)
    outcome.drift_found = True
    stage.tell("The next apply undoes it. The name is an alias by now, and moving an alias needs no agreement:")
    with _timed(outcome, "undo"):
        stage.rvlstate("apply", "--yes")
    outcome.drift_undone = _is_as_edited(stage)
    stage.tell(f"Meanwhile: {outcome.count.describe()}. Nothing is left to do:")
    stage.rvlstate("plan", "--detailed-exitcode")
    outcome.final_plan_empty = True
    stage.rvlstate("status")
    stage.python("app/search.py", "lake tahoe")


def _is_as_edited(stage: Stage) -> bool:
    """Whether the server itself says that both names answer as the files were edited, with all documents."""
    with _client(stage) as client:
        airports_now, states_now = (_described(client, name) for name in ("airports", "states"))
    vector, name = airports_now["embedding"], airports_now["name"]
    fine = (int(vector["M"]), int(vector["ef_construction"]), float(name["WEIGHT"])) == (32, 400, 2.0)
    return fine and "runways" not in airports_now and "country" in states_now


def _described(client: Any, name: str) -> dict[str, dict[str, Any]]:
    """The fields of an index with their attributes, as FT.INFO shows them."""
    fields = (as_pairs(attributes) for attributes in client.ft(name).info()["attributes"])
    return {str(field["attribute"]): field for field in fields}


@contextmanager
def _client(stage: Stage) -> Iterator[Any]:
    with closing(redis.from_url(stage.url, protocol=3, decode_responses=True)) as client:
        yield client


@contextmanager
def _timed(outcome: Outcome, name: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        outcome.seconds[name] = round(time.monotonic() - began, 2)
