"""The laws of plans (architecture.md), on every hand-written case and on random ones.

| law | claim                                                                                                    |
|-----|----------------------------------------------------------------------------------------------------------|
| 1   | the steps of a plan lead to the declared set                                                             |
| 2   | planning again from there leaves nothing to do                                                           |
| 3   | the order of what is given makes no difference                                                           |
| 4   | a plan survives being written and read                                                                   |
| 5   | killed before any write and planned again, it gets to the same place; nothing that answers stops meanwhile |
| 6   | undoing the steps of a reversible beginning brings back what was                                         |
| 7   | a name that stops answering, or a document that is rewritten, is a hazard                                |
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_server import KilledError, ModelServer, Runner
from plan_cases import Case, load_cases
from strategies import CLUSTER, STANDALONE, Hand, History, definitions, edits, histories

from rvlstate.errors import CommandRefusedError
from rvlstate.files.plan_file import dump_plan, load_plan, save_plan
from rvlstate.model.address import BESIDE, REVISION
from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.catalog import Catalog, LiveIndex
from rvlstate.model.codec import adapter
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.fingerprint import canonical_json
from rvlstate.model.state import Record, State
from rvlstate.plan.build import build_plan
from rvlstate.plan.operations import (
    AddFields,
    AnyOperation,
    DropAlias,
    DropIndex,
    PromoteDocuments,
    RewriteDocuments,
    TakeName,
)
from rvlstate.plan.phases import SUFFIXES, companions
from rvlstate.plan.plan import Plan, Step
from rvlstate.plan.situation import World
from rvlstate.plan.way_back import way_back

settings.register_profile(
    "laws", deadline=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck)
)
laws = settings.get_profile("laws")

Answers: TypeAlias = dict[str, IndexDefinition]

CASES = [case for case in load_cases() if "error" not in case.expected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A declared set, a server and a state; plans can be made and carried out on copies."""

    desired: Desired
    world: World
    targets: tuple[str, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()

    def plan(self) -> Plan:
        """The plan of this scene."""
        return build_plan(self.desired, self.world, targets=self.targets)

    def runner(self, **options: Any) -> Runner:
        """A runner on a copy of the server."""
        return Runner(self.server(), self.world.state, **options)

    def server(self) -> ModelServer:
        """The server as it is, with what cannot be seen."""
        server = ModelServer(self.world.catalog)
        server.aliases.update(self.hidden)
        return server

    def after(self, runner: Runner) -> Scene:
        """The scene as a runner left it, with all scans done."""
        runner.server.finish_scans()
        world = replace(self.world, catalog=runner.server.catalog, state=runner.state)
        known = {record.name for record in runner.state.records} | {wanted.name for wanted in self.desired.indexes}
        targets = tuple(name for name in self.targets if name in known)
        return replace(self, world=world, targets=targets, hidden=runner.server.hidden)


def scene_of(case: Case) -> Scene:
    """A case as a scene."""
    hidden = tuple(case.hidden.items())
    return Scene(desired=case.desired, world=case.world, targets=case.targets, hidden=hidden)


def held_back(plan: Plan) -> set[str]:
    """Indexes that a plan does not bring to where they are declared."""
    return {index.name for index in plan.indexes if index.refused or index.held}


# Law 1 and 2


def assert_reached(scene: Scene, plan: Plan) -> None:
    """Every declared index that the plan did not hold back is served as declared, and there is nothing left to do."""
    catalog = scene.world.catalog
    for wanted in scene.desired.indexes:
        planned = next((index for index in plan.indexes if index.name == wanted.name), None)
        if planned is None or planned.refused or planned.held:
            continue
        physical = catalog.resolve(wanted.name)
        assert physical is not None, f"nothing answers to {wanted.name}"
        live = catalog.index(physical)
        assert live is not None
        assert seen(live.definition) == seen(wanted.definition)
        assert all(dict(catalog.aliases).get(alias) == physical for alias in wanted.aliases)
        record = scene.world.state.record(wanted.name)
        assert record is not None
        assert record.physical == physical
    if not held_back(plan) and len(scene.targets) == len(plan.targets):
        again = scene.plan()
        assert [step.operation.summary for step in again.steps] == []
        assert [change for index in again.indexes for change in index.drift] == []
        assert unknown(again) <= unknown(plan), "an attribute that we knew and forgot"
        if not plan.targets:
            kept = {rewrite.physical for rewrite in scene.world.state.rewrites if rewrite.phased}
            accounted = {*plan.unmanaged, *scene.world.foreign, *kept}
            assert stray(scene) <= accounted, "an index of ours that nobody will ever drop"


def unknown(plan: Plan) -> set[str]:
    """Attributes whose live value nobody can tell."""
    return {address for index in plan.indexes for address in index.unverifiable}


def stray(scene: Scene) -> set[str]:
    """Live indexes that no record names."""
    recorded = {record.physical for record in scene.world.state.records}
    return {index.name for index in scene.world.catalog.indexes} - recorded


def seen(definition: IndexDefinition) -> IndexDefinition:
    """A definition as far as the server shows it."""
    return mask(definition)


def assert_leads_there(scene: Scene) -> None:
    """Laws 1 and 2; and what each step was predicted to do is what its flow does."""
    plan, runner = scene.plan(), scene.runner()
    for step in plan.steps:
        predicted, hidden = step.operation.effect(runner.server.catalog), dict(runner.server.hidden)
        runner.run([step])
        assert shape(runner.server.catalog, hidden) == shape(predicted, hidden), step.operation.summary
    assert_reached(scene.after(runner), plan)
    forgotten = set(runner.state.intents) - set(scene.world.state.intents)
    kept = {rewrite.physical for rewrite in runner.state.rewrites if rewrite.phased}
    left = {intent.physical for intent in forgotten} - kept
    assert not any(scene.world.catalog.index(physical) for physical in left), "an intent that is done with"


def shape(catalog: Catalog, hidden: Mapping[str, str]) -> tuple[dict[str, IndexDefinition], dict[str, str]]:
    """A catalog without its figures, and without aliases that nobody could see before and that came to light."""
    aliases = {alias: target for alias, target in catalog.aliases if hidden.get(alias) != target}
    return {index.name: index.definition for index in catalog.indexes}, aliases


# Law 3


def assert_order_is_nothing(scene: Scene, rng: random.Random) -> None:
    """Law 3: indexes, aliases, records, intents, declared indexes and live fields may come in any order."""
    catalog, state = scene.world.catalog, scene.world.state
    live = [
        replace(index, definition=replace(index.definition, fields=shuffled(index.definition.fields, rng)))
        for index in catalog.indexes
    ]
    world = replace(
        scene.world,
        catalog=Catalog(indexes=shuffled(live, rng), aliases=shuffled(catalog.aliases, rng)),
        state=replace(state, records=shuffled(state.records, rng), intents=shuffled(state.intents, rng)),
    )
    desired = replace(scene.desired, indexes=shuffled(scene.desired.indexes, rng))
    other = Scene(desired=desired, world=world, targets=shuffled(scene.targets, rng))
    assert plan_bytes(other.plan()) == plan_bytes(scene.plan())


def shuffled(values: Any, rng: random.Random) -> tuple[Any, ...]:
    """The values in another order."""
    return tuple(rng.sample(list(values), len(values)))


def plan_bytes(plan: Plan) -> str:
    """A plan as canonical text."""
    return canonical_json(adapter(Plan).dump_python(plan, mode="json"))


# Law 4


def assert_survives_writing(scene: Scene) -> None:
    """Law 4: the same plan comes out of its plan file, with the same text."""
    plan = scene.plan()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        save_plan(path, plan)
        assert load_plan(path) == plan
        assert path.read_text(encoding="utf-8") == dump_plan(load_plan(path))


# Law 5


def assert_killed_anywhere(scene: Scene, points: Callable[[int], Iterable[int]]) -> None:
    """Law 5, killed before each of the writes that `points` picks from their number."""
    plan = scene.plan()
    whole = scene.runner(watch=watcher(scene, plan))
    whole.run(plan)
    for point in points(whole.written):
        runner = scene.runner(writes=point, watch=watcher(scene, plan))
        with pytest.raises(KilledError):
            runner.run(plan)
        left = replace(scene, world=replace(scene.world, catalog=runner.server.catalog, state=runner.state))
        again = left.plan()
        resumed = Runner(runner.server.copy(), runner.state, watch=watcher(scene, plan))
        resumed.run(again)
        assert not held_back(again) - held_back(plan)
        assert_reached(scene.after(resumed), plan)


def watcher(scene: Scene, plan: Plan) -> Callable[[ModelServer], None]:
    """What holds after every write: names go on answering from built indexes, and nobody else's index is dropped."""
    names = scene.server().names.keys() - given_up(scene, plan)
    declared = {name for wanted in scene.desired.indexes for name in (wanted.name, *wanted.aliases)}
    watched = sorted(names & declared)
    foreign = foreign_indexes(scene, plan)

    def watch(server: ModelServer) -> None:
        for name in watched:
            physical = server.names.get(name)
            assert physical is not None, f"{name} stopped answering"
            assert physical not in server.fresh, f"{name} answers from {physical}, which is not built"
        for physical in foreign:
            assert physical in server.indexes, f"{physical} was dropped"

    return watch


def given_up(scene: Scene, plan: Plan) -> set[str]:
    """Names that the plan says will stop answering, for good or (a takeover that is not atomic) for a moment."""
    told = " ".join(hazard.message for hazard in plan.hazards)
    words = ("stops answering", "answers nothing")
    names = {name for name in scene.server().names if any(f"{name} {word}" in told for word in words)}
    for step in plan.steps:
        match step.operation:
            case DropAlias(name=name) | TakeName(name=name, atomic=False):
                names.add(name)
            case DropIndex(physical=physical, because="in_the_way") if not leads_home(physical, scene):
                names.add(physical)
            case DropIndex(physical=physical, because="deleted"):
                names.add(physical)
    return names


def leads_home(name: str, scene: Scene) -> bool:
    """Whether an alias that nobody sees leads to the index that is recorded for it, so that it answers at once."""
    record = scene.world.state.record(name)
    return record is not None and dict(scene.hidden).get(name) == record.physical


def foreign_indexes(scene: Scene, plan: Plan) -> set[str]:
    """Indexes that no record, intent or declaration is about."""
    state, catalog = scene.world.state, scene.world.catalog
    ours = {record.physical for record in state.records} | {intent.physical for intent in state.intents}
    ours |= {index.physical_before for index in plan.indexes if index.physical_before}
    ours |= {wanted.name for wanted in scene.desired.indexes}
    return {index.name for index in catalog.indexes if index.name not in ours}


# Law 6


def assert_can_be_undone(scene: Scene) -> None:
    """Law 6: every beginning of reversible steps, undone from its end, leaves each name with what it had."""
    plan, runner = scene.plan(), scene.runner()
    before = answers(runner.server)
    undone: list[AnyOperation] = []
    for step in plan.steps:
        if not step.operation.reversible:
            break
        runner.run([step])
        undone.append(step.operation)
        server = runner.server.copy()
        server.finish_scans()
        # Added fields last: that is a rebuild, after which the aliases lead to another physical index.
        last_first = undone[::-1]
        for operation in sorted(last_first, key=lambda item: isinstance(item, AddFields)):
            undo(operation, server, scene, runner.state)
        assert_restored(answers(server), before, undone)


def assert_restored(found: Answers, before: Answers, undone: list[AnyOperation]) -> None:
    """All names answer as before; a rebuild (the undo of added fields) may cost a physical name and bring an alias."""
    rebuilt = {operation.serves.physical for operation in undone if isinstance(operation, AddFields)}
    names = found.keys() & before.keys() if rebuilt else found.keys() | before.keys()
    assert before.keys() - found.keys() <= rebuilt
    assert {name: found.get(name) for name in names} == {name: before.get(name) for name in names}


def answers(server: ModelServer) -> Answers:
    """Each name that answers and is not one of our own making, with the definition behind it."""
    return {
        name: server.indexes[physical].definition
        for name, physical in server.names.items()
        if not REVISION.match(name) and not name.endswith(SUFFIXES)
    }


def undo(operation: AnyOperation, server: ModelServer, scene: Scene, state: State) -> None:
    """Carry out what `undo` says: a command, a rollback, nothing, or (added fields) the schema as it was before."""
    if operation.undo.startswith("FT."):
        server.command(tuple(word.strip('"') for word in operation.undo.split(" ")))
    elif isinstance(operation, AddFields):
        remove_fields(operation, server, scene)
    elif operation.undo.startswith("rvlstate rollback "):
        roll_back(server, scene, state)
    else:
        assert operation.undo.startswith("nothing to undo"), operation.undo


def roll_back(server: ModelServer, scene: Scene, state: State) -> None:
    """Take every change back that goes through phases."""
    world = replace(scene.world, catalog=server.catalog, state=state)
    for rewrite in state.rewrites:
        runner = Runner(server, state)
        for number, operation in enumerate(way_back(rewrite, world)):
            runner.run([Step(id=str(number), index=rewrite.name, operation=operation)])
        assert runner.state.rewrite(rewrite.name) is None


def remove_fields(operation: AddFields, server: ModelServer, scene: Scene) -> None:
    """Apply the schema without the fields that were added: a shadow build."""
    added = {field.name for field in operation.fields}
    serves = operation.serves
    kept = tuple(field for field in serves.definition.fields if field.name not in added)
    aliases = tuple(name for name in scene.world.answering(serves.physical) if name != serves.name)
    wanted = DesiredIndex(name=serves.name, definition=replace(serves.definition, fields=kept), aliases=aliases)
    state = State(records=(replace(serves, aliases=aliases),))
    world = replace(scene.world, catalog=server.catalog, state=state)
    back = build_plan(Desired(project="shop", indexes=(wanted,)), world)
    Runner(server, state).run(back)


# Law 7


def assert_losses_are_hazards(scene: Scene) -> None:
    """Law 7: what stops answering, and what is rewritten, has its hazard; what does neither has none of these."""
    plan, runner = scene.plan(), scene.runner()
    asked = {name for name in runner.server.names if not REVISION.match(name) and not BESIDE.search(name)}
    runner.run(plan)
    lost = asked - runner.server.names.keys()
    codes = {hazard.code for hazard in plan.hazards}
    words = " ".join(hazard.message for hazard in plan.hazards if hazard.code == "DELETES_INDEX")
    lost -= {alias for index in plan.indexes for alias in companions(index.name)}
    assert all(name in words for name in lost), f"{sorted(lost)} stop answering: {words}"
    for step in plan.steps:
        if isinstance(step.operation, TakeName):
            assert "NAME_BECOMES_ALIAS" in codes
            assert step.operation.atomic or "CUTOVER_GAP" in codes
        if isinstance(step.operation, DropIndex) and step.operation.because in ("deleted", "in_the_way"):
            assert "DELETES_INDEX" in codes
    rewrites = any(isinstance(step.operation, RewriteDocuments | PromoteDocuments) for step in plan.steps)
    assert not rewrites or "REWRITES_DOCUMENTS" in codes


# On every case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_case_obeys_the_laws(case: Case) -> None:
    """All laws hold on the hand-written cases; killed before every single write."""
    scene = scene_of(case)
    assert_leads_there(scene)
    assert_order_is_nothing(scene, random.Random(case.id))
    assert_survives_writing(scene)
    # Edits of one schema differ in what is created, not in how: one point each is as good as all.
    rng = random.Random(case.id)
    points = (lambda writes: [rng.randrange(writes)] if writes else []) if case.edit else range
    assert_killed_anywhere(scene, points)
    assert_can_be_undone(scene)
    assert_losses_are_hazards(scene)


# On random ones


@st.composite
def changes(draw: Any) -> Scene:
    """One managed index, and its schema after an edit."""
    before = draw(definitions())
    after = draw(edits(before))
    physical = draw(st.sampled_from(("goods", "goods@1")))
    catalog = Catalog().with_index(LiveIndex(name=physical, definition=mask(before)))
    if physical != "goods":
        catalog = catalog.with_alias("goods", physical)
    state = State(records=(Record(name="goods", physical=physical, definition=canonicalise(before)),))
    server = draw(st.sampled_from((STANDALONE, CLUSTER)))
    wanted = DesiredIndex(name="goods", definition=after)
    world = World(catalog=catalog, state=state, server=server)
    return Scene(desired=Desired(project="shop", indexes=(wanted,)), world=world)


@given(scene=changes(), data=st.data())
@laws
def test_any_edit_of_a_schema_obeys_the_laws(scene: Scene, data: st.DataObject) -> None:
    """Laws 1 to 7 on one index of any definition whose schema was edited in any way."""
    assert_leads_there(scene)
    assert_order_is_nothing(scene, random.Random(data.draw(st.integers(0, 99))))
    assert_survives_writing(scene)
    assert_killed_anywhere(scene, lambda writes: [data.draw(st.integers(0, writes - 1))] if writes else [])
    assert_can_be_undone(scene)
    assert_losses_are_hazards(scene)


@given(before=definitions())
@laws
def test_a_schema_that_did_not_change_plans_nothing(before: IndexDefinition) -> None:
    """A created index of any definition plans as empty, however its fields and prefixes are ordered."""
    wanted = DesiredIndex(name="goods", definition=before)
    world = World(catalog=Catalog(), state=State(), server=STANDALONE)
    scene = Scene(desired=Desired(project="shop", indexes=(wanted,)), world=world)
    runner = scene.runner()
    runner.run(scene.plan())
    turned = replace(before, fields=before.fields[::-1], prefixes=(*before.prefixes[::-1], before.prefixes[0]))
    again = replace(
        scene.after(runner), desired=Desired(project="shop", indexes=(replace(wanted, definition=turned),))
    ).plan()
    assert again.steps == ()
    assert [index.changes for index in again.indexes] == [()]


@given(history=histories(), data=st.data())
@laws
def test_any_history_obeys_the_laws(history: History, data: st.DataObject) -> None:
    """Laws 1 to 7 for several indexes after applies, kills and hands on the server, in any order."""
    scene = live_through(history)
    assert_leads_there(scene)
    assert_order_is_nothing(scene, random.Random(data.draw(st.integers(0, 99))))
    assert_survives_writing(scene)
    assert_killed_anywhere(scene, lambda writes: [data.draw(st.integers(0, writes - 1))] if writes else [])
    assert_can_be_undone(scene)
    assert_losses_are_hazards(scene)


def live_through(history: History) -> Scene:
    """The last declared set of a history, on the server as all that went before left it."""
    scene = Scene(
        desired=history.rounds[0].desired,
        world=World(catalog=Catalog(), state=State(lineage="l"), server=history.server),
    )
    for turn, following in zip(history.rounds, [*history.rounds[1:], history.rounds[-1]], strict=True):
        runner = replace(scene, desired=turn.desired).runner(writes=turn.killed)
        for hand in turn.hands:
            with suppress(CommandRefusedError):
                lay_hand_on(runner.server, hand)
        here = replace(scene.world, catalog=runner.server.catalog)
        with suppress(KilledError):
            runner.run(build_plan(turn.desired, here))
        scene = replace(scene.after(runner), desired=following.desired)
    return scene


def lay_hand_on(server: ModelServer, hand: Hand) -> None:
    """Do by hand what a person might do."""
    physicals = sorted(server.indexes)
    picked = physicals[hand.pick % len(physicals)] if physicals else ""
    match hand.deed:
        case "create":
            server.create(LiveIndex(name=hand.name, definition=mask(hand.definition)))
        case "point":
            server.point(hand.name, picked)
        case "unpoint":
            server.remove_alias(hand.name)
        case "drop" if picked:
            server.drop(picked)
        case "redefine" if picked:
            server.indexes[picked] = replace(server.indexes[picked], definition=mask(hand.definition))
    server.finish_scans()
