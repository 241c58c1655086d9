"""JSON Schemas: the files are those of the code, what rvlstate reads and writes fits them, and wrong input does not."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from cli_kit import Cli, outcome
from error_cases import PROJECT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from plan_cases import load_cases
from view_kit import RENDERS

from rvlstate import events
from rvlstate.cli.init import SCHEMA_FILE
from rvlstate.cli.schema import KINDS, schemas
from rvlstate.files import spec
from rvlstate.files.drift_schema import DRIFT_FORMAT
from rvlstate.files.json_schema import schema_text
from rvlstate.files.key_words import MEANINGS
from rvlstate.files.output_schema import EVENTS_FORMAT, PLAN_FORMAT, REPORT_FORMAT
from rvlstate.model.hazard import HAZARD_CODES
from rvlstate.plan.build import build_plan
from rvlstate.plan.operations import AnyOperation
from rvlstate.views.events import LogContext, event_data, event_name
from rvlstate.views.plan_json import FORMAT_VERSION, plan_data

pytest_plugins = ("cli_fixtures",)

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "schemas"
FILES = {
    "project": "project-1.schema.json",
    "environment": "environment-1.schema.json",
    "plan": f"plan-{PLAN_FORMAT}.schema.json",
    "events": f"events-{EVENTS_FORMAT}.schema.json",
    "report": f"report-{REPORT_FORMAT}.schema.json",
    "drift": f"drift-{DRIFT_FORMAT}.schema.json",
}
PAGE = (ROOT / "docs" / "machine-readable.md").read_text(encoding="utf-8")
BLOCKS = {name: kind for name, kind in vars(spec).items() if isinstance(kind, type) and issubclass(kind, spec.Block)}
PROJECTS = sorted((ROOT / "examples").rglob("rvlstate*.yaml"))
EVENT_KINDS = get_args(events.Event)


@cache
def made(kind: str) -> dict[str, Any]:
    """The schema of a kind, from the code."""
    return schemas()[kind]()


def closed(schema: Any) -> Any:
    """The schema with every object limited to the keys that it tells of: for what this version itself writes."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        parts.setdefault("additionalProperties", False)
    return parts


@cache
def validator(kind: str, *, strict: bool) -> Draft202012Validator:
    """What checks by a schema, as it is published or closed."""
    schema = closed(made(kind)) if strict else made(kind)
    if strict and kind == "events":
        schema["$defs"]["error"]["additionalProperties"] = True  # each kind of error adds what it knows
    return Draft202012Validator(schema)


def faults(kind: str, data: Any, *, strict: bool = True) -> list[str]:
    """What a schema finds wrong with data."""
    return [f"{error.json_path}: {error.message}" for error in validator(kind, strict=strict).iter_errors(data)]


def project_faults(text: str, kind: str = "project") -> list[str]:
    """What is wrong with a project file, as an editor sees it: as it is written, without interpolation."""
    return faults(kind, yaml.safe_load(text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_in_the_docs_is_what_the_code_makes(kind: str) -> None:
    """RVLSTATE_UPDATE_DOCS=1 writes it anew; a change that is no addition needs a new version in the file's name."""
    file, text = FOLDER / FILES[kind], schema_text(made(kind))
    if os.environ.get("RVLSTATE_UPDATE_DOCS"):
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text
    assert {path.name for path in FOLDER.iterdir()} == set(FILES.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_schema_is_a_schema(kind: str) -> None:
    """Of draft 2020-12, with a title, and with no reference to a server."""
    schema = made(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["title"].startswith(("rvlstate ", "overlay "))
    assert [ref for ref in re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema)) if not ref.startswith("#/")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_the_schema(kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """To stdout, or into a file."""
    assert outcome(capsys, "schema", kind).data == made(kind)
    file = tmp_path / "made.json"
    assert outcome(capsys, "schema", kind, "--out", str(file)).code == 0
    assert file.read_text(encoding="utf-8") == schema_text(made(kind))


def test_the_plan_schema_is_of_the_format_that_plans_have() -> None:
    """One version, said in two layers."""
    assert PLAN_FORMAT == FORMAT_VERSION


def test_every_key_of_the_project_file_has_its_words_and_no_words_are_spare() -> None:
    """Editors show a meaning for each key."""
    keys = {f"{name}.{key}" for name, kind in BLOCKS.items() for key in kind.model_fields}
    assert sorted(keys) == sorted(MEANINGS)


@pytest.mark.parametrize("file", PROJECTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_example_is_valid(file: Path) -> None:
    """Each project file and each overlay of the examples."""
    kind = "project" if file.name == "rvlstate.yaml" else "environment"
    assert project_faults(file.read_text(encoding="utf-8"), kind) == []


def test_there_are_examples() -> None:
    """The test above has something to look at."""
    assert len(PROJECTS) >= 4


def test_the_project_file_of_the_docs_is_valid() -> None:
    """The block of docs/project-file.md with nearly all keys."""
    text = (ROOT / "docs" / "project-file.md").read_text(encoding="utf-8")
    (block, *_) = re.findall(r"```yaml\n(version: 1.*?)```", text, re.DOTALL)
    assert project_faults(block) == []


def test_init_writes_a_project_file_that_names_its_schema(cli: Cli) -> None:
    """The first line is the modeline of the YAML language server; the file that it names lies beside it."""
    folder = cli.folder / "new"
    assert cli.run("init", str(folder)).code == 0
    text = (folder / "rvlstate.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA_FILE}"
    schema = json.loads((folder / SCHEMA_FILE).read_text(encoding="utf-8"))
    assert schema == made("project")
    assert list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text))) == []


RIGHT = {
    "nulls": "defaults:\nindexes:\n  a:\n  b: {fields: {title: , vec: {transform: }}, checks: }\npolicy:\n",
    "interpolated": "indexes: {a: {batch_size: '${N:-5}', prevent_destroy: '${SAFE}', strategy: '${HOW:-auto}'}}",
    "steps": "indexes: {a: {fields: {t: {transform: [cast, {split: ','}, {split: {separator: ;, part: 1}}]}}}}",
    "callable": "indexes: {a: {fields: {t: {transform: ['m.n:f', {geo: lat-lon}]}}}}",
    "constant": "indexes: {a: {fields: {t: {transform: {constant: 5}}}}}",
    "hooks": "indexes: {a: {hooks: {before_cutover: [./check.sh, '5'], after_cutover: ./done.sh --all}}}",
    "checks": "defaults: {checks: [{knn: v, k: 3}, {query: '*', compare: count}]}",
    "policy": "policy: {allow: [SLOW_BUILD], retain_old: 1.5h, settle: 500ms, naming: plain, max_memory_ratio: 1}",
}
WRONG = {
    "unknown key": "polcy: {}",
    "unknown key of an index": "indexes: {a: {strateg: auto}}",
    "unknown key of a field": "indexes: {a: {fields: {t: {tranform: cast}}}}",
    "strategy": "indexes: {a: {strategy: shadowy}}",
    "batch size": "indexes: {a: {batch_size: 0}}",
    "batch size as text": "indexes: {a: {batch_size: many}}",
    "truth": "indexes: {a: {prevent_destroy: 'yes'}}",
    "hazard": "policy: {allow: [SLOW]}",
    "duration": "policy: {settle: 5 seconds}",
    "language": "indexes: {a: {definition: {language: klingon}}}",
    "step": "indexes: {a: {fields: {t: {transform: casting}}}}",
    "parameter": "indexes: {a: {fields: {t: {transform: {split: {separater: ;}}}}}}",
    "a bare split": "indexes: {a: {fields: {t: {transform: split}}}}",
    "a chain of none": "indexes: {a: {fields: {t: {transform: []}}}}",
    "check of two kinds": "defaults: {checks: [{knn: v, query: '*'}]}",
    "list": "indexes: [a]",
    "ratio": "policy: {max_memory_ratio: 1.5}",
}


@pytest.mark.parametrize("extra", RIGHT.values(), ids=RIGHT)
def test_what_can_be_written_is_valid(extra: str) -> None:
    """What the loader takes, as it stands in the file."""
    assert project_faults(f"{PROJECT}{extra}") == []
    assert project_faults(extra, "environment") == []


@pytest.mark.parametrize("extra", WRONG.values(), ids=WRONG)
def test_wrong_project_files_are_not_valid(extra: str) -> None:
    """What the loader refuses about shape, an editor underlines."""
    assert project_faults(f"{PROJECT}{extra}") != []
    assert project_faults(extra, "environment") != []


@pytest.mark.parametrize("key", ["version", "project", "redis", "schemas"])
def test_required_keys_are_required_but_of_an_overlay(key: str) -> None:
    """An overlay has only what an environment has of its own."""
    rest = {name: value for name, value in yaml.safe_load(PROJECT).items() if name != key}
    assert faults("project", rest) != []
    assert faults("environment", rest) == []


@pytest.mark.parametrize("file", sorted(RENDERS.rglob("plan.json")), ids=lambda file: file.parent.name)
def test_every_golden_plan_is_valid(file: Path) -> None:
    """And the schema tells of every key."""
    assert faults("plan", json.loads(file.read_text(encoding="utf-8"))) == []


def test_the_plan_of_every_case_is_valid() -> None:
    """Every operation, class and hazard that the hand-written cases have."""
    planned = [case for case in load_cases() if "error" not in case.expected]
    found = {
        case.id: wrong
        for case in planned
        for wrong in [faults("plan", plan_data(build_plan(case.desired, case.world, targets=case.targets)))]
        if wrong
    }
    assert found == {}
    assert len(planned) > 100


def wrong_plans() -> dict[str, Any]:
    """Plans that are wrong, each in one way."""

    def plan() -> Any:
        return json.loads((RENDERS / "in_place" / "plan.json").read_text(encoding="utf-8"))

    cases = {name: plan() for name in ("format", "operation", "hazard", "class", "count", "fingerprint", "missing")}
    cases["format"]["format_version"] = "2.0"
    cases["operation"]["steps"][0]["operation"] = "teleport_index"
    cases["hazard"]["indexes"][0]["hazards"] = [{"code": "BOOM", "message": ""}]
    cases["class"]["indexes"][0]["classification"] = "magic"
    cases["count"]["summary"]["create"] = "one"
    cases["fingerprint"]["live_fingerprint"] = "sha256:"
    del cases["missing"]["indexes"][0]["impact"]
    return cases


@pytest.mark.parametrize("name", wrong_plans())
def test_wrong_plans_are_not_valid(name: str) -> None:
    """Also for the schema as it is published, which is open to further keys."""
    assert faults("plan", wrong_plans()[name], strict=False) != []


def test_the_schema_of_plans_lists_all_operations_and_hazards() -> None:
    """Those of this version."""
    definitions = made("plan")["$defs"]
    operations = {kind.__dataclass_fields__["operation"].default for kind in get_args(AnyOperation)}
    assert set(definitions["Step"]["properties"]["operation"]["enum"]) == operations
    assert set(definitions["Hazard"]["properties"]["code"]["enum"]) == set(HAZARD_CODES)


def test_a_further_key_is_valid_for_the_published_schema() -> None:
    """A later version may add keys; a program that checks by the schema of today does not break then."""
    plan = json.loads((RENDERS / "in_place" / "plan.json").read_text(encoding="utf-8"))
    plan["new_key"] = plan["indexes"][0]["new_key"] = 1
    assert faults("plan", plan, strict=False) == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_valid_whatever_it_holds(kind: type[events.Event], data: st.DataObject) -> None:
    """As its own kind, and as no other."""
    event = data.draw(st.from_type(kind).filter(_is_finite))
    line = json.loads(json.dumps(event_data(event, "2026-05-15T10:00:00Z", LogContext(project="shop", run="r1"))))
    assert faults("events", line) == []
    assert line["event"] == event_name(kind)
    others = {event_name(other) for other in EVENT_KINDS} - {line["event"]}
    assert all(faults("events", {**line, "event": other}) for other in others)


def _is_finite(event: events.Event) -> bool:
    try:
        json.dumps(event_data(event, ""), allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.__name__)
def test_the_page_has_every_event_with_all_its_fields(kind: type[events.Event]) -> None:
    """docs/machine-readable.md says what each field of each event is."""
    names = {field.name for field in fields(kind)}
    row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{event_name(kind)}` |")), "")
    assert set(re.findall(r"`(\w+)`", row)) - {event_name(kind)} >= names


def test_the_page_has_no_event_that_is_gone() -> None:
    """The table is that of this version."""
    table = PAGE.partition("## The event log")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \| (?:debug|info|warning|error)", table, re.MULTILINE))
    assert told == {*(event_name(kind) for kind in EVENT_KINDS), "note", "error"}


def logged(text: str) -> list[dict[str, Any]]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_of_a_real_run_is_valid(cli: Cli) -> None:
    """Of an apply, of one that fails at a gate, and of one that is refused; each knows its project, and its run."""
    cli.client.hset("products:1", mapping={"title": "shoe", "price": 5})
    lines = logged(cli.run("apply", "--yes", "--log-format", "json").err)
    cli.client.hset("products:2", mapping={"title": "boot", "price": "much"})
    cli.declare("products", "title:text", "price:numeric", "stock:numeric")
    lines += logged(cli.run("apply", "--yes", "--log-format", "json", "--target", "products").err)
    (cli.folder / "indexes" / "categories.yaml").unlink()
    lines += logged(cli.run("apply", "--yes", "--log-format", "json").err)
    assert [wrong for line in lines for wrong in faults("events", line)] == []
    told = {line["event"] for line in lines}
    assert told >= {"run_started", "step_started", "step_progressed", "step_finished", "run_finished", "error"}
    assert {line["project"] for line in lines} == {"shop"}
    runs = [line["run"] for line in lines if line["event"].startswith(("step_", "run_"))]
    assert all(runs)
    assert lines[-1]["level"] == "error"


def test_a_warning_in_the_log_is_one(cli: Cli) -> None:
    """The level tells it, before any run has begun."""
    cli.applied()
    file = cli.folder / "rvlstate.yaml"
    file.write_text(f"{file.read_text(encoding='utf-8')}indexes: {{product: {{prevent_destroy: true}}}}\n")
    (line,) = logged(cli.run("plan", "--log-format", "json").err)
    assert faults("events", line) == []
    assert (line["event"], line["level"], line["project"], line["run"]) == ("note", "warning", "shop", "")


def test_the_report_of_a_real_run_is_valid(cli: Cli) -> None:
    """What history prints; a wrong one is not."""
    cli.applied()
    (run,) = cli.run("history", "--format", "json").data["runs"]
    report = cli.run("history", run["id"], "--format", "json").data
    assert faults("report", report) == []
    assert faults("report", {**report, "result": "fine"}, strict=False) != []
    assert faults("report", {key: value for key, value in report.items() if key != "steps"}, strict=False) != []


def test_the_plan_that_is_printed_and_the_one_that_is_saved_are_valid(cli: Cli) -> None:
    """A plan file has a checksum beside the plan."""
    assert faults("plan", cli.run("plan", "--format", "json").data) == []
    assert cli.run("plan", "--out", "plan.json").code == 0
    assert faults("plan", json.loads((cli.folder / "plan.json").read_text(encoding="utf-8"))) == []
