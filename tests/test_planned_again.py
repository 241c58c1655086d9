"""A plan file is data: what it holds must be what planning again leads to, with what was measured when it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from plan_cases import Case, load_cases

from rvlstate.errors import PlanDiffersError, PlanFileError
from rvlstate.files.plan_file import dump_plan, load_plan
from rvlstate.model.catalog import LiveIndex
from rvlstate.model.codec import dump_value
from rvlstate.model.desired import Desired, Policy
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.build import build_plan
from rvlstate.plan.operations import DropIndex
from rvlstate.plan.plan import Plan, Step
from rvlstate.plan.planned_again import Inputs, refuse_other_plan
from rvlstate.plan.situation import World
from rvlstate.plan.steering import Errand
from rvlstate.runtime.clock import from_iso, iso_utc

CASES = {case.id: case for case in load_cases() if "error" not in case.expected}
MADE = 1_760_000_000_000
HOUR = 3_600_000
RULES = Policy(naming="plain", max_memory_ratio=0.31, settle=77.0, retain_old=5.0)


def world_of(case: Case, now: int = MADE) -> World:
    """The world of a case at an instant; what is cut over was so a minute before the plan was made."""
    state = case.world.state
    for rewrite in state.rewrites:
        if rewrite.phase == "serving":
            state = state.with_rewrite(replace(rewrite, cutover_at=MADE - 60_000))
    return replace(case.world, state=state, now=now)


def written(case: Case, folder: Path) -> Plan:
    """The plan of a case, as it comes out of its file."""
    plan = build_plan(case.desired, world_of(case), targets=case.targets, created_at=iso_utc(MADE))
    return reread(plan, folder)


def reread(plan: Plan, folder: Path) -> Plan:
    """A plan as it comes out of its file."""
    file = folder / "plan.json"
    file.write_text(dump_plan(plan), encoding="utf-8")
    return load_plan(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an apply looks at: the plan of its moment, and what that was made from."""

    desired: Desired
    world: World
    fresh: Plan

    def at(self, plan: Plan, made_at: int = 0) -> None:
        """Look whether a given plan is the one."""
        assert self.fresh.id == plan.id
        inputs = Inputs(errand=Errand(desired=self.desired), world=self.world, made_at=made_at)
        refuse_other_plan(plan, self.fresh, inputs)


def look(case: Case, desired: Desired, world: World) -> Look:
    """Plan again, as an apply does."""
    fresh = Errand(desired=desired).plan(world, case.targets, begun=True)
    return Look(desired=desired, world=world, fresh=fresh)


def busier(index: LiveIndex) -> LiveIndex:
    """An index that got documents, and failures, and whose scan is over."""
    figures = replace(
        index.statistics, documents=index.statistics.documents * 40 + 7, failures=11, indexing=0, index_bytes=10**9
    )
    return replace(index, statistics=figures)


def later(case: Case) -> World:
    """The world two days later, with other figures in everything that is measured."""
    world = world_of(case, MADE + 48 * HOUR)
    indexes = tuple(busier(index) for index in world.catalog.indexes)
    samples = {
        name: replace(sample, scales=tuple((field, 0.123) for field, _ in sample.scales), documents=5, todo=3)
        for name, sample in world.samples.items()
    }
    server = replace(world.server, used_memory=10**9, maxmemory=10**10, keys=10**7)
    return replace(world, catalog=replace(world.catalog, indexes=indexes), samples=samples, server=server)


def otherwise_free(case: Case) -> Desired:
    """The declared set with everything else that no plan depends on."""
    flipped: dict[str, Literal["auto", "manual"]] = {"auto": "manual", "manual": "auto"}
    indexes = tuple(
        replace(wanted, batch_size=3, max_docs_per_second=9, source="b.yaml:7", cutover=flipped[wanted.cutover])
        for wanted in case.desired.indexes
    )
    return replace(case.desired, indexes=indexes, policy=RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_that_was_written_and_read_is_the_one_planned_again(name: str, tmp_path: Path) -> None:
    """On the same world, and at once."""
    case = CASES[name]
    look(case, case.desired, world_of(case)).at(written(case, tmp_path), MADE)


def blocked(case: Case) -> bool:
    """Whether something in the plan is refused, so that no apply comes so far as to look."""
    return any(index.refused for index in build_plan(case.desired, world_of(case), targets=case.targets).indexes)


OPEN = sorted(case.id for case in CASES.values() if not blocked(case))


@pytest.mark.parametrize("name", OPEN)
def test_what_is_measured_refuses_no_plan(name: str, tmp_path: Path) -> None:
    """Documents, failures, memory, samples, two days later, another policy, pace, and cutover: the plan still holds."""
    case = CASES[name]
    look(case, otherwise_free(case), later(case)).at(written(case, tmp_path), MADE)


def test_what_is_measured_makes_other_plans() -> None:
    """The test above has something to tell: without the given plan as a guide other steps are planned."""
    others = [
        case.id
        for case in CASES.values()
        if [
            step.operation.summary for step in build_plan(otherwise_free(case), later(case), targets=case.targets).steps
        ]
        != [step.operation.summary for step in build_plan(case.desired, world_of(case), targets=case.targets).steps]
    ]
    assert len(others) > 20


@pytest.mark.parametrize("name", OPEN)
def test_a_plan_without_one_of_its_steps_is_refused(name: str, tmp_path: Path) -> None:
    """Whichever it is; when figures have moved meanwhile as well."""
    case = CASES[name]
    plan = written(case, tmp_path)
    now, then = look(case, case.desired, world_of(case)), look(case, otherwise_free(case), later(case))
    for number in range(len(plan.steps)):
        fewer = replace(plan, steps=plan.steps[:number] + plan.steps[number + 1 :])
        with pytest.raises(PlanDiffersError):
            now.at(fewer)
        if number == len(plan.steps) // 2:
            with pytest.raises(PlanDiffersError):
                then.at(fewer, MADE)


@pytest.mark.parametrize("name", OPEN)
def test_a_plan_that_drops_another_index_is_refused(name: str) -> None:
    """An added step, at the end or at the beginning; the error names it."""
    case = CASES[name]
    seen = look(case, case.desired, world_of(case))
    drop = Step(id="x/9", index="a", operation=DropIndex(physical="elsewhere@7", because="left_behind"))
    for steps in ((*seen.fresh.steps, drop), (drop, *seen.fresh.steps)):
        with pytest.raises(PlanDiffersError, match=r"elsewhere@7"):
            seen.at(replace(seen.fresh, steps=steps))


def values_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the texts, numbers and flags are in JSON-like data."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in values_in(part, (*path, key))]
    if isinstance(value, list):
        return [found for key, part in enumerate(value) for found in values_in(part, (*path, key))]
    return [] if value is None else [path]


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def edited(data: dict[str, Any], path: tuple[Any, ...], folder: Path) -> Plan | None:
    """The plan of a file in which one value was changed by hand, with a checksum; None where that is no plan."""
    copy = json.loads(json.dumps(data))
    copy.pop("checksum")
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = changed(place[path[-1]])
    file = folder / "edited.json"
    file.write_text(json.dumps({**copy, "checksum": fingerprint(copy)}), encoding="utf-8")
    try:
        return load_plan(file)
    except PlanFileError:
        return None


def unnoticed(case: Case, paths: list[tuple[Any, ...]], folder: Path) -> list[tuple[Any, ...]]:
    """The values of a plan file that can be changed without a refusal; what comes back as it was is not changed."""
    plan, seen, found = written(case, folder), look(case, case.desired, world_of(case)), []
    data = json.loads(dump_plan(plan))
    for path in paths:
        other = edited(data, path, folder)
        if other is None or other == plan:
            continue
        try:
            seen.at(other)
        except PlanDiffersError:
            continue
        found.append(path)
    return found


MEASURED = frozenset({"documents", "counted", "pace"})


def planned_operations() -> dict[str, tuple[str, int]]:
    """Every operation of the cases -> the case, and the number of its step, in which it has most to say."""
    best: dict[str, tuple[int, str, int]] = {}
    for name in OPEN:
        case = CASES[name]
        for number, step in enumerate(build_plan(case.desired, world_of(case), targets=case.targets).steps):
            said = len(values_in(dump_value(step.operation)))
            operation = step.operation.operation
            best[operation] = max(best.get(operation, (0, "", 0)), (said, name, number))
    return {operation: (name, number) for operation, (_, name, number) in sorted(best.items())}


PLANNED = planned_operations()


@pytest.mark.parametrize("most", [25, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("operation", PLANNED)
def test_no_argument_of_a_step_can_be_edited(operation: str, most: int, tmp_path: Path) -> None:
    """Names, definitions, gates, limits, needs: values of a step, of which there are many, but counts and its pace."""
    name, number = PLANNED[operation]
    case = CASES[name]
    step = json.loads(dump_plan(written(case, tmp_path)))["steps"][number]
    told = {key: step[key] for key in ("id", "index", "operation", "needs", "arguments")}
    paths = [("steps", number, *path) for path in values_in(told) if not MEASURED & {*path}]
    assert len(paths) > 3
    left = unnoticed(case, paths[:: -(-len(paths) // most)], tmp_path)
    # A second more or less is what a look at a large server takes.
    assert [path for path in left if (operation, path[-1]) != ("keep_old", "seconds")] == []


def kinds_of_indexes() -> dict[str, str]:
    """One case for each action and class."""
    found: dict[str, str] = {}
    for name in OPEN:
        case = CASES[name]
        for index in build_plan(case.desired, world_of(case), targets=case.targets).indexes:
            found[f"{index.action} {index.classification}{' with hazards' if index.hazards else ''}"] = name
    return dict(sorted(found.items()))


KINDS = kinds_of_indexes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_reader_agrees_to_cannot_be_edited(kind: str, tmp_path: Path) -> None:
    """Names, action, class, physical indexes, changes and hazards of an index."""
    case = CASES[KINDS[kind]]
    paths: list[tuple[Any, ...]] = []
    for number, index in enumerate(json.loads(dump_plan(written(case, tmp_path)))["indexes"]):
        told = {key: index[key] for key in ("name", "action", "classification", "physical", "renamed_from")}
        paths += [("indexes", number, *path) for path in values_in(told)]
        paths += [("indexes", number, "hazards", at, "code") for at in range(len(index["hazards"]))]
        paths += [("indexes", number, "changes", at, "address") for at in range(len(index["changes"]))]
    left = unnoticed(case, paths, tmp_path)
    data = json.loads(dump_plan(written(case, tmp_path)))
    assert [path for path in left if not is_by_figures(data, path)] == []


def is_by_figures(data: dict[str, Any], path: tuple[Any, ...]) -> bool:
    """Whether it is the code of a hazard that follows from figures."""
    return path[2] == "hazards" and data["indexes"][path[1]]["hazards"][path[3]]["code"] in (
        "MEMORY_PEAK",
        "SLOW_BUILD",
    )


def test_a_removed_hazard_is_refused(tmp_path: Path) -> None:
    """Of every case that has one that does not follow from figures; one of two of a kind as well."""
    tried = 0
    for name in OPEN:
        case = CASES[name]
        seen = look(case, case.desired, world_of(case))
        for number, index in enumerate(seen.fresh.indexes):
            for hazard in index.hazards:
                if hazard.code in ("MEMORY_PEAK", "SLOW_BUILD"):
                    continue
                fewer = replace(index, hazards=tuple(other for other in index.hazards if other != hazard))
                indexes = (*seen.fresh.indexes[:number], fewer, *seen.fresh.indexes[number + 1 :])
                with pytest.raises(PlanDiffersError, match="hazards"):
                    seen.at(replace(seen.fresh, indexes=indexes))
                tried += 1
    assert tried > 50


def test_the_error_tells_which_version_made_the_plan(tmp_path: Path) -> None:
    """An honest file of another version is not called forged without a word about that."""
    case = CASES[OPEN[0]]
    plan = replace(written(case, tmp_path), steps=(), rvlstate_version="0.1")
    seen = look(case, case.desired, world_of(case))
    with pytest.raises(PlanDiffersError, match=r"rvlstate 0\.1 made it, which plans otherwise than 0\.2") as caught:
        replace(seen, fresh=replace(seen.fresh, rvlstate_version="0.2")).at(plan)
    assert caught.value.exit_code == 3


def test_a_plan_file_without_a_policy_is_planned_by_that_of_the_project(tmp_path: Path) -> None:
    """Files of earlier versions do not tell it."""
    case = CASES[OPEN[0]]
    file = tmp_path / "old.json"
    data = json.loads(dump_plan(written(case, tmp_path)))
    del data["checksum"], data["policy"]
    file.write_text(json.dumps({**data, "checksum": fingerprint(data)}), encoding="utf-8")
    plan = load_plan(file)
    assert plan.policy is None
    look(case, case.desired, later(case)).at(plan, MADE)


def test_an_instant_is_read_as_it_was_written() -> None:
    """What is none is no instant."""
    assert from_iso(iso_utc(MADE)) == MADE
    assert [from_iso(text) for text in ("", "yesterday", "2026-13-01T00:00:00Z")] == [0, 0, 0]
