"""Plan files that somebody edited, on real servers: refused with nothing changed; the file as it was is applied."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kit import FIELDS, Shop, managed, operations, tag, text, vector
from nursery import Nursery
from observe import create_products, documents, index_facts, live_names, resolves_to, stored_state

from rvlstate.errors import InterruptedRunError, PlanDiffersError, PlanStaleError
from rvlstate.events import Event, StepStarted
from rvlstate.files.plan_file import load_plan, save_plan
from rvlstate.model.fingerprint import fingerprint
from rvlstate.runtime.admit import ApplyOptions

pytest_plugins = ("story_fixtures",)

File = dict[str, Any]
Edit = Callable[[File], None]
HALF = vector("embedding", datatype="float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the products: settings and fields, the class it has, the operations that show it, further edits."""

    fields: tuple[dict[str, Any], ...]
    kind: str
    shows: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=lambda: {"settle": "0s"})


CHANGES = {
    "in place": Change(fields=(*FIELDS, tag("brand")), kind="in_place", shows="add_fields"),
    "shadow": Change(fields=(text("title", weight=2.0), *FIELDS[1:]), kind="shadow", shows="point_alias"),
    "held": Change(
        fields=(text("title", weight=2.0), *FIELDS[1:]),
        kind="shadow",
        shows="hold_cutover",
        settings={"cutover": "manual"},
    ),
    "backfill": Change(
        fields=(*FIELDS, tag("shown")),
        kind="backfill",
        shows="rewrite_documents",
        settings={"fields": {"shown": {"transform": "copy", "reads": ["title"]}}},
    ),
    "recreate": Change(
        fields=(*FIELDS[:3], HALF), kind="recreate", shows="rewrite_documents", settings={"strategy": "recreate"}
    ),
    "staged": Change(fields=(*FIELDS[:3], HALF), kind="shadow", shows="promote_documents"),
    "scaled": Change(
        fields=(*FIELDS[:3], vector("embedding", datatype="int8")), kind="shadow", shows="stage_documents"
    ),
    "kept": Change(
        fields=(*FIELDS[:3], HALF),
        kind="shadow",
        shows="keep_old",
        policy={"settle": "0s", "retain_old": "1s"},
    ),
}


def steps_of(operation: str, data: File) -> list[File]:
    """The steps of a kind."""
    return [step for step in data["steps"] if step["operation"] == operation]


def drops_another(data: File) -> None:
    """A step that drops the index of somebody else."""
    drop = {"physical": "other@1", "because": "left_behind", "forgets": None, "recreates": None, "atomic": True}
    data["steps"].append(
        {"id": "products/99", "index": "products", "operation": "drop_index", "needs": [], "arguments": drop}
    )


def without(operation: str) -> Edit:
    """An edit that takes the steps of a kind out."""

    def edit(data: File) -> None:
        gone = {step["id"] for step in steps_of(operation, data)}
        data["steps"] = [step for step in data["steps"] if step["id"] not in gone]
        for step in data["steps"]:
            step["needs"] = [needed for needed in step["needs"] if needed not in gone]

    return edit


def weaker_gate(data: File) -> None:
    """A gate that does not compare documents."""
    for step in steps_of("verify_index", data):
        step["arguments"] = {**step["arguments"], "against": None, "same_documents": False, "finds": False}


def another_name(data: File) -> None:
    """Another physical index gets what is made or changed."""
    for step in data["steps"]:
        for key in ("physical", "target"):
            if key in step["arguments"]:
                step["arguments"][key] = "other@1"
                return
        for kept in ("serves", "rewrite"):
            if step["arguments"].get(kept):
                step["arguments"][kept]["physical"] = "other@1"
                return


def called_otherwise(data: File) -> None:
    """What a reader sees: another class."""
    data["indexes"][0]["classification"] = (
        "in_place" if data["indexes"][0]["classification"] != "in_place" else "shadow"
    )


def without_hazards(data: File) -> None:
    """What a reader agrees to: nothing."""
    data["indexes"][0]["hazards"] = []


EDITS: Mapping[str, Edit] = {
    "drops another index": drops_another,
    "another physical name": another_name,
    "no gate": without("verify_index"),
    "a weaker gate": weaker_gate,
    "another class": called_otherwise,
    "no hazards": without_hazards,
    "no wait": without("await_build"),
    "no rehearsal": without("rehearse_rewrite"),
    "no steps": lambda data: data.update(steps=[]),
}


def edited(file: Path, edit: Edit) -> Path | None:
    """The file with an edit, and a checksum as somebody who knows how makes it; None where there is nothing to edit."""
    data = json.loads(file.read_text(encoding="utf-8"))
    before = json.dumps(data)
    edit(data)
    if json.dumps(data) == before:
        return None
    del data["checksum"]
    other = file.with_name("edited.json")
    other.write_text(json.dumps({**data, "checksum": fingerprint(data)}), encoding="utf-8")
    return other


def everything(shop: Shop) -> dict[str, Any]:
    """All that a run could have changed: indexes, names, documents, and the state."""
    names = live_names(shop.client)
    return {
        "indexes": {name: index_facts(shop.client, name)["attributes"] for name in sorted(names)},
        "name": resolves_to(shop.client, "products"),
        "documents": documents(shop.client),
        "state": stored_state(shop.client),
    }


def refused(shop: Shop, file: Path) -> int:
    """Apply every edit of a plan file, and see each refused with nothing changed; how many there were."""
    before, tried = everything(shop), 0
    for name, edit in EDITS.items():
        other = edited(file, edit)
        if other is None:
            continue
        with pytest.raises(PlanDiffersError):
            shop.apply(load_plan(other), reviewed=True)
        assert everything(shop) == before, name
        tried += 1
    return tried


def with_neighbour(shop: Shop) -> None:
    """Products behind their alias, and the index of somebody else."""
    shop.client.hset("others:1", "title", "kept")
    shop.client.execute_command("FT.CREATE", "other@1", "PREFIX", "1", "others:", "SCHEMA", "title", "TEXT")
    managed(shop)


def saved(shop: Shop, file: Path) -> Path:
    """The plan of now in a file."""
    save_plan(file, shop.plan())
    return file


@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.requires("int8_vectors")] if name == "scaled" else []) for name in CHANGES],
)
def test_an_edited_plan_file_is_refused_and_the_real_one_applied(name: str, shop: Shop, tmp_path: Path) -> None:
    """Of every class: a step more, a step less, another name, a weaker gate, another class, fewer hazards."""
    change = CHANGES[name]
    with_neighbour(shop)
    shop.configure(indexes={"products": dict(change.settings)}, policy=dict(change.policy))
    shop.declare("products", *change.fields)
    file = saved(shop, tmp_path / "plan.json")
    plan = load_plan(file)
    assert plan.indexes[0].classification == change.kind
    assert change.shows in operations(plan)
    assert refused(shop, file) >= 4
    shop.client.hset("products:later", mapping=shop.client.hgetall("products:1"))
    assert shop.apply(load_plan(file), reviewed=True).result == "done"
    assert "other@1" in live_names(shop.client)
    assert shop.count() == 61


def test_an_edited_removal_is_refused_and_the_real_one_applied(shop: Shop, tmp_path: Path) -> None:
    """A plan that deletes one index cannot be made to delete another."""
    with_neighbour(shop)
    shop.declare("kept", text("title"), prefix="others:")
    shop.apply()
    shop.undeclare("products")
    file = saved(shop, tmp_path / "plan.json")

    def the_other_one(data: File) -> None:
        for step in steps_of("drop_index", data):
            step["arguments"]["physical"] = "kept@1"

    other = edited(file, the_other_one)
    assert other is not None
    before = everything(shop)
    with pytest.raises(PlanDiffersError, match=r"kept@1.*planned again.*products@1"):
        shop.apply(load_plan(other), reviewed=True)
    assert everything(shop) == before
    shop.apply(load_plan(file), reviewed=True)
    assert live_names(shop.client) == {"kept@1", "other@1"}


def test_an_edited_repair_is_refused_and_the_real_one_applied(shop: Shop, tmp_path: Path) -> None:
    """A repair leads to what was last applied, and to nothing else; schema files play no part in it."""
    with_neighbour(shop)
    shop.client.execute_command("FT.ALIASDEL", "products")
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "stray", "TAG")
    shop.client.hset("products:bad", mapping={"price": "not a number"})
    with shop.project(schemas="ignored") as project:
        made = project.propose_repair(project.drift())
    assert made.plan is not None
    file = tmp_path / "repair.json"
    save_plan(file, made.plan)
    shop.schema_file("products").write_text("not: [a schema", encoding="utf-8")

    def applied(path: Path) -> Any:
        with shop.project(schemas="ignored") as project:
            return project.apply(load_plan(path), options=ApplyOptions(reviewed=True))

    before = everything(shop)
    for edit in (drops_another, another_name, lambda data: data.update(steps=data["steps"][:-1])):
        other = edited(file, edit)
        assert other is not None
        with pytest.raises(PlanDiffersError):
            applied(other)
        assert everything(shop) == before
    assert applied(file).result == "done"
    assert resolves_to(shop.client, "products") is not None


def test_a_repair_that_takes_note_of_failures_cannot_take_note_of_anything_else(shop: Shop, tmp_path: Path) -> None:
    """Such a step is no part of any plan; with another record than the present one it is refused."""
    with_neighbour(shop)
    shop.client.hset("products:bad", mapping={"price": "not a number"})
    with shop.project(schemas="ignored") as project:
        made = project.propose_repair(project.drift())
    assert made.plan is not None
    assert operations(made.plan) == ["record_index"]
    file = tmp_path / "repair.json"
    save_plan(file, made.plan)

    def serves_another(data: File) -> None:
        data["steps"][0]["arguments"]["serves"]["physical"] = "other@1"

    other = edited(file, serves_another)
    assert other is not None
    with pytest.raises(PlanDiffersError):
        shop.apply(load_plan(other), reviewed=True)
    assert shop.apply(load_plan(file), reviewed=True).result == "done"
    assert shop.drift().indexes == ()


def test_other_rules_since_do_not_refuse_a_reviewed_plan(shop: Shop, tmp_path: Path) -> None:
    """Policy, pace and cutover of the project file are those of the plan, as it was reviewed."""
    with_neighbour(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    file = saved(shop, tmp_path / "plan.json")
    shop.configure(
        indexes={"products": {"cutover": "manual", "batch_size": 7}},
        policy={"retain_old": "1h", "settle": "9s", "naming": "plain", "max_memory_ratio": 0.5},
    )
    assert operations(shop.plan()) != operations(load_plan(file))
    with shop.project() as project:
        report = project.apply(load_plan(file), options=ApplyOptions(reviewed=True))
    assert [outcome.result for outcome in report.steps] == ["done"] * len(load_plan(file).steps)
    assert live_names(shop.client) == {"other@1", "products@2"}


def test_the_program_refuses_an_edited_plan_file(shop: Shop, tmp_path: Path, nursery: Nursery) -> None:
    """With exit code 3, the step that differs, and what to do; no traceback."""
    with_neighbour(shop)
    shop.declare("products", *FIELDS, tag("brand"))
    file = tmp_path / "plan.json"
    assert nursery.wait(nursery.run(*shop.arguments("plan", "--out", str(file)))).code == 0
    other = edited(file, drops_another)
    ending = nursery.wait(nursery.run(*shop.arguments("apply", str(other), "--yes")))
    assert ending.code == 3
    assert "step 2 is not planned: drop other@1" in ending.output
    assert "It was changed by hand after it was made. Nothing was written." in ending.output
    assert "Next: plan again and review that: rvlstate plan --out FILE" in ending.output
    assert "Traceback" not in ending.output
    assert nursery.wait(nursery.run(*shop.arguments("apply", str(file), "--yes"))).code == 0


def test_the_plan_of_a_new_index_is_not_turned_against_an_old_one(shop: Shop, tmp_path: Path) -> None:
    """Before there is a state, too."""
    create_products(shop.client)
    shop.declare("goods", text("title"))
    file = saved(shop, tmp_path / "plan.json")
    other = edited(file, drops_another)
    assert other is not None
    with pytest.raises(PlanDiffersError):
        shop.apply(load_plan(other), reviewed=True)
    assert live_names(shop.client) == {"products"}
    assert stored_state(shop.client) == {}
    shop.apply(load_plan(file), reviewed=True)
    assert live_names(shop.client) == {"products", "goods@1"}


@pytest.mark.parametrize("again", ["as it was", "edited"])
def test_an_interrupted_plan_file_is_gone_on_with(shop: Shop, tmp_path: Path, again: str) -> None:
    """By the same file; what somebody edited in it meanwhile is not carried out, for what is left is planned anew."""
    with_neighbour(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    file = saved(shop, tmp_path / "plan.json")
    other = edited(file, drops_another)

    def stop(event: Event) -> None:
        if isinstance(event, StepStarted) and event.operation == "await_build":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        shop.apply(load_plan(file), reviewed=True, on_event=stop)
    assert resolves_to(shop.client, "products") == "products@1"
    assert other is not None
    report = shop.apply(load_plan(other if again == "edited" else file), reviewed=True)
    assert report.result == "done"
    assert live_names(shop.client) == {"other@1", "products@2"}
    with pytest.raises(PlanStaleError, match="applied already"):
        shop.apply(load_plan(file), reviewed=True)
