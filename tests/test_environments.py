"""Environments: overlays of the project file, plans without a server, and the check in front of a commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Cli, outcome
from error_cases import PROJECT, write_project

from rvlstate.errors import SpecError
from rvlstate.files.environments import environments, overlay_path
from rvlstate.files.project_file import ProjectFile, load_project

pytest_plugins = ("cli_fixtures",)

ROOT = Path(__file__).parents[1]
BASE = """\
defaults: {batch_size: 100, checks: [{query: a}]}
indexes:
  a:
    aliases: [one, two]
    definition: {language: english, score: 0.5}
policy: {naming: plain, allow: [SLOW_BUILD]}
"""


def project(folder: Path, overlay: str | None = None, *, base: str = BASE, env: str = "prod") -> ProjectFile:
    """A project with one index, loaded in an environment whose overlay is this text."""
    write_project({"extra": base}, folder)
    if overlay is not None:
        (folder / f"rvlstate.{env}.yaml").write_text(overlay, encoding="utf-8")
    return load_project(folder, {}, env)


def refused(folder: Path, overlay: str | None, *, base: str = BASE, env: str = "prod") -> str:
    """The message that an overlay is refused with, without the folder."""
    with pytest.raises(SpecError) as error:
        project(folder, overlay, base=base, env=env)
    return str(error.value).replace(f"{folder}/", "")


def test_mappings_are_laid_over_key_by_key(tmp_path: Path) -> None:
    """What the overlay does not say stays as it was, however deep."""
    loaded = project(tmp_path, "indexes: {a: {definition: {score: 1.0}}}\npolicy: {max_memory_ratio: 0.5}\n")
    (index,) = loaded.desired.indexes
    assert (index.definition.language, index.definition.score) == ("english", 1.0)
    assert (index.aliases, index.batch_size) == (("one", "two"), 100)
    policy = loaded.desired.policy
    assert (policy.naming, policy.allow, policy.max_memory_ratio) == ("plain", ("SLOW_BUILD",), 0.5)
    assert loaded.environment == "prod"


def test_lists_are_replaced(tmp_path: Path) -> None:
    """There is no way to add to a list, and so none to be surprised by."""
    loaded = project(tmp_path, "indexes: {a: {aliases: [three], checks: []}}\npolicy: {allow: []}\n")
    (index,) = loaded.desired.indexes
    assert (index.aliases, index.checks, loaded.desired.policy.allow) == (("three",), (), ())


def test_what_an_index_says_wins_over_defaults_of_the_overlay(tmp_path: Path) -> None:
    """The overlay is laid over the file first, defaults beneath indexes after that."""
    base = "indexes: {a: {batch_size: 7}}\n"
    (index,) = project(tmp_path, "defaults: {batch_size: 9}\n", base=base).desired.indexes
    assert index.batch_size == 7


def test_project_and_schemas_may_be_an_environments_own(tmp_path: Path) -> None:
    """Two environments on one server have names of their own for their state, and for their indexes."""
    (tmp_path / "indexes" / "staging").mkdir(parents=True)
    (tmp_path / "indexes" / "staging" / "b.yaml").write_text(
        "index: {name: b, prefix: 'staging:b'}\nfields: [{name: t, type: text}]\n", encoding="utf-8"
    )
    overlay = "project: shop-staging\nschemas: [indexes/staging/*.yaml]\nredis: {url: 'redis://staging'}\n"
    loaded = project(tmp_path, overlay, base="", env="staging")
    assert (loaded.project, [index.name for index in loaded.desired.indexes]) == ("shop-staging", ["b"])
    assert loaded.redis_url == "redis://staging"


def test_no_environment_is_the_file_alone(tmp_path: Path) -> None:
    """An overlay changes nothing for who does not name it."""
    project(tmp_path, "indexes: {a: {batch_size: 9}}\n")
    assert load_project(tmp_path, {}) == load_project(tmp_path, {}, "")
    assert load_project(tmp_path, {}).desired.indexes[0].batch_size == 100


def test_overlays_are_no_schema_files(tmp_path: Path) -> None:
    """Though a pattern matches them, as it does the project file itself."""
    write_project({"files": {"rvlstate.yaml": PROJECT.replace("indexes/*.yaml", "'*.yaml'")}}, tmp_path)
    (tmp_path / "b.yaml").write_text("index: {name: b}\nfields: [{name: t, type: text}]\n", encoding="utf-8")
    (tmp_path / "rvlstate.prod.yaml").write_text("policy: {}\n", encoding="utf-8")
    assert [index.name for index in load_project(tmp_path, {}, "prod").desired.indexes] == ["b"]


def test_variables_of_an_overlay_are_those_of_its_environment(tmp_path: Path) -> None:
    """Only the chosen one is read."""
    write_project({}, tmp_path)
    (tmp_path / "rvlstate.prod.yaml").write_text("redis: {url: '${PROD_URL}'}\n", encoding="utf-8")
    assert load_project(tmp_path, {}).redis_url == "redis://localhost"
    assert load_project(tmp_path, {"PROD_URL": "redis://prod"}, "prod").redis_url == "redis://prod"
    with pytest.raises(SpecError, match="PROD_URL"):
        load_project(tmp_path, {}, "prod")


MISTAKES = {
    "an unknown key": (
        "# of prod\npolcy: {}\n",
        (
            'rvlstate.prod.yaml:2: unknown key "polcy"\n'
            "  Known: defaults, indexes, policy, project, redis, revisions, schemas, version.\n"
            '  Next: did you mean "policy"?'
        ),
    ),
    "an unknown key of an index": (
        "indexes:\n  a:\n    strateg: shadow\n",
        'rvlstate.prod.yaml:3: unknown key "strateg" in indexes.a\n',
    ),
    "another type": (
        "policy: {max_memory_ratio: 2}\n",
        "rvlstate.prod.yaml:1: policy.max_memory_ratio must be at most 1",
    ),
    "an index that is not declared": (
        "indexes: {aa: {batch_size: 5}}\n",
        'rvlstate.prod.yaml:1: indexes.aa: no schema file declares the index "aa"\n',
    ),
    "a field that there is not": (
        "indexes: {a: {fields: {titel: {transform: copy}}}}\n",
        'rvlstate.prod.yaml:1: indexes.a.fields.titel: the index "a" has no field "titel"\n',
    ),
    "a mapping of something else": ("indexes: [a]\n", "rvlstate.prod.yaml:1: indexes must be a mapping"),
    "no YAML": ("indexes: {a: \n", "rvlstate.prod.yaml:"),
    "nothing": ("", "rvlstate.prod.yaml: the file is empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_an_overlay_names_its_file_and_line(tmp_path: Path, name: str) -> None:
    """As in the project file: with the nearest known name."""
    overlay, message = MISTAKES[name]
    assert refused(tmp_path, overlay).startswith(message)


def test_a_mistake_in_the_project_file_still_names_that_one(tmp_path: Path) -> None:
    """Every part keeps the file that it came from."""
    base = "indexes: {a: {batch_size: 0}}\n"
    message = refused(tmp_path, "indexes: {a: {strategy: shadow}}\n", base=base)
    assert message.startswith("rvlstate.yaml:5: indexes.a.batch_size must be at least 1")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("prdo", 'there is no environment "prdo"\n  Known: prod.\n  Next: did you mean "prod"?'),
        ("qa", 'there is no environment "qa"\n  Known: prod.\n  Next: write rvlstate.qa.yaml beside the project file.'),
        ("../prod", 'there is no environment "../prod"\n  Known: prod.\n'),
        ("a/b", 'there is no environment "a/b"\n  Known: prod.\n  Next: use lower-case letters'),
        ("Prod", 'there is no environment "Prod"\n  Known: prod.\n  Next: did you mean "prod"?'),
    ],
)
def test_an_unknown_environment_is_refused(tmp_path: Path, env: str, message: str) -> None:
    """With those that there are; a name cannot lead out of the folder."""
    write_project({}, tmp_path)
    (tmp_path / "rvlstate.prod.yaml").write_text("policy: {}\n", encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_project(tmp_path, {}, env)
    assert message in str(error.value)


def test_a_key_that_is_left_to_environments_asks_for_one(tmp_path: Path) -> None:
    """Without a choice; a project file may be no more than what all environments share."""
    shared = PROJECT.replace('redis: {url: "redis://localhost"}\n', "")
    write_project({"files": {"rvlstate.yaml": shared}}, tmp_path)
    for name in ("dev", "prod"):
        (tmp_path / f"rvlstate.{name}.yaml").write_text(f"redis: {{url: 'redis://{name}'}}\n", encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_project(tmp_path, {})
    assert "the key redis is missing" in str(error.value)
    assert "Known: dev, prod." in str(error.value)
    assert load_project(tmp_path, {}, "dev").redis_url == "redis://dev"


def test_the_environments_are_the_overlays_beside_the_file(tmp_path: Path) -> None:
    """Sorted; other files are none."""
    for name in ("rvlstate.prod.yaml", "rvlstate.dev.yaml", "rvlstate.Bad_Name.yaml", "rvlstate.yml", "other.qa.yaml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    file = tmp_path / "rvlstate.yaml"
    assert environments(file) == ("dev", "prod")
    assert overlay_path(tmp_path / "shop.yaml", "dev").name == "shop.dev.yaml"
    assert environments(tmp_path / "nowhere" / "rvlstate.yaml") == ()


# --- The command line


def test_every_command_knows_the_environment(cli: Cli) -> None:
    """Two environments on one server: states, locks and indexes of their own."""
    (cli.folder / "indexes" / "staging").mkdir()
    schema = cli.folder / "indexes" / "staging" / "products.yaml"
    schema.write_text("index: {name: staging-products, prefix: 'staging:'}\nfields: [{name: t, type: text}]\n")
    overlay = "project: shop-staging\nschemas: [indexes/staging/*.yaml]\n"
    (cli.folder / "rvlstate.staging.yaml").write_text(overlay)
    cli.applied()
    assert cli.run("apply", "--yes", "-q", "--env", "staging").code == 0
    assert cli.run("--env", "staging", "plan", "--detailed-exitcode").code == 0
    assert [row["name"] for row in cli.run("status", "--env", "staging", "--format", "json").data["indexes"]] == [
        "staging-products"
    ]
    assert cli.run("drift", "--env", "staging").code == 0
    assert cli.run("plan", "--detailed-exitcode").code == 0
    assert {b"{rvlstate:shop}:state", b"{rvlstate:shop-staging}:state"} <= set(cli.client.keys("{rvlstate:*"))
    assert cli.run("validate", "--env", "stagin").code == 1


def test_the_command_that_is_proposed_names_the_environment(cli: Cli) -> None:
    """What is copied from the plan leads to the same server."""
    (cli.folder / "rvlstate.prod.yaml").write_text("policy: {naming: plain}\n")
    assert "rvlstate --env prod apply" in cli.run("plan", "--env", "prod").out


def test_validate_checks_all_environments(cli: Cli) -> None:
    """The file alone and each overlay; the first fault ends it."""
    (cli.folder / "rvlstate.dev.yaml").write_text("policy: {naming: plain}\n")
    (cli.folder / "rvlstate.prod.yaml").write_text("policy: {naming: alias}\n")
    told = cli.run("validate", "--all-envs", "--format", "json").data
    assert [(one["file"], one["environment"]) for one in told] == [
        ("rvlstate.yaml", ""),
        ("rvlstate.yaml", "dev"),
        ("rvlstate.yaml", "prod"),
    ]
    (cli.folder / "rvlstate.prod.yaml").write_text("policy: {nameing: alias}\n")
    failed = cli.run("validate", "--all-envs")
    assert (failed.code, failed.err.splitlines()[0]) == (
        1,
        'Error: rvlstate.prod.yaml:1: unknown key "nameing" in policy',
    )
    assert cli.run("validate", "--all-envs", "--env", "dev").code == 64


def test_validate_checks_the_projects_of_files(cli: Cli) -> None:
    """Each once, with the nearest project file above; a file of no project is left out."""
    other = cli.folder / "other"
    other.mkdir()
    assert cli.run("init", str(other)).code == 0
    names = ["indexes/products.yaml", "other/indexes/products.yaml", "rvlstate.yaml", "indexes/categories.yaml"]
    told = cli.run("validate", *names, "--format", "json").data
    assert [one["file"] for one in told] == ["rvlstate.yaml", "other/rvlstate.yaml"]


def test_validate_of_files_without_a_project_checks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.yaml").write_text("a: 1\n")
    told = outcome(capsys, "validate", "some.yaml")
    assert (told.code, told.out) == (0, "")
    assert told.err.startswith("Nothing to check")


# --- Plans without a server


def against(cli: Cli, file: str, *words: str) -> Any:
    """The offline plan against a file, with a server that does not exist."""
    words = ("plan", "--against", file, "--redis-url", "redis://127.0.0.1:1", "--format", "json", *words)
    told = cli.run(*words)
    assert told.err == ""
    return told.data


def pulled(cli: Cli) -> str:
    """The saved state of what is applied."""
    (cli.folder / "state.json").write_text(cli.run("state", "pull").out)
    return "state.json"


def outline(plan: Any) -> list[tuple[str, str, str | None]]:
    """Action and class of each index."""
    return [(index["name"], index["action"], index["classification"]) for index in plan["indexes"]]


def test_an_offline_plan_is_that_of_the_server(cli: Cli) -> None:
    """The same steps against the saved state, against a plan file, and against the server; figures are unknown."""
    cli.applied()
    cli.run("plan", "--out", "before.json", "-q")
    cli.declare("products", "title:tag", "price:numeric")
    cli.declare("categories", "label:tag", "rank:numeric")
    online = cli.run("plan", "--format", "json").data
    for file in (pulled(cli), "before.json"):
        plan = against(cli, file)
        assert outline(plan) == outline(online)
        assert [step["summary"] for step in plan["steps"]] == [step["summary"] for step in online["steps"]]
        assert [change for index in plan["indexes"] for change in index["changes"]] == [
            change for index in online["indexes"] for change in index["changes"]
        ]
        assert {index["impact"]["documents"] for index in plan["indexes"]} == {None}
        assert "made offline" in plan["warnings"][-1]


def test_nothing_to_do_is_nothing_offline(cli: Cli) -> None:
    """Also with aliases, and for an index without one."""
    cli.applied()
    assert against(cli, pulled(cli))["steps"] == []
    assert cli.run("plan", "--against", "state.json", "--detailed-exitcode").code == 0


def test_creation_and_deletion_offline(cli: Cli) -> None:
    """What the state does not know is new; what is not declared any more goes."""
    cli.applied()
    file = pulled(cli)
    (cli.folder / "indexes" / "categories.yaml").unlink()
    cli.declare("brands", "name:text")
    assert outline(against(cli, file)) == [
        ("brands", "create", "in_place"),
        ("categories", "delete", "in_place"),
        ("products", "no-op", None),
    ]
    assert cli.run("plan", "--against", file, "--detailed-exitcode").code == 2


def test_an_offline_plan_of_another_environment(cli: Cli) -> None:
    """What would happen to production is seen from the state of production, without its server."""
    cli.applied()
    file = pulled(cli)
    (cli.folder / "rvlstate.prod.yaml").write_text("indexes: {products: {definition: {language: german}}}\n")
    assert outline(against(cli, file)) == [("categories", "no-op", None), ("products", "no-op", None)]
    assert outline(against(cli, file, "--env", "prod"))[1] == ("products", "update", "shadow")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "this is neither a saved state nor a plan file"),
        ("[]", "this is neither a saved state nor a plan file"),
        ('{"a": 1}', "this is neither a saved state nor a plan file"),
        ('{"format_version": "1.0"}', "this plan file was changed after it was made"),
        ('{"payload": {}, "format": "1"}', "the recorded state is damaged"),
        ('{"payload": {}, "format": "99"}', "the recorded state has format 99"),
    ],
)
def test_a_file_that_is_no_saved_state_is_refused(cli: Cli, text: str, message: str) -> None:
    """With what is wrong about it."""
    (cli.folder / "saved.json").write_text(text)
    told = cli.run("plan", "--against", "saved.json")
    assert (told.code, told.out) == (1, "")
    assert message in told.err
    assert "saved.json" in told.err


def test_a_missing_file_is_refused(cli: Cli) -> None:
    """With how one is written."""
    told = cli.run("plan", "--against", "none.json")
    assert (told.code, "rvlstate state pull" in told.err) == (1, True)


def test_a_saved_state_that_was_edited_is_refused(cli: Cli) -> None:
    """Its checksum is over what it says."""
    cli.applied()
    file = cli.folder / pulled(cli)
    file.write_text(file.read_text().replace("products@1", "products@2"))
    assert "The checksum does not match" in cli.run("plan", "--against", "state.json").err


def test_an_offline_plan_cannot_be_saved(cli: Cli) -> None:
    """Since it could not be applied."""
    told = cli.run("plan", "--against", "state.json", "--out", "plan.json")
    assert (told.code, told.err.splitlines()[0]) == (64, "Error: --against and --out exclude each other")


def test_where_the_server_is_needed_that_is_said(cli: Cli) -> None:
    """How far a change of documents has come is written in no file."""
    from rvlstate.model.codec import dump_value, parse_state
    from rvlstate.model.fingerprint import canonical_json
    from rvlstate.model.rewrite import Rewrite
    from rvlstate.runtime.state_payload import checksum

    cli.applied()
    saved = json.loads(cli.run("state", "pull").out)
    state = parse_state({**saved["payload"], "lineage": saved["lineage"], "serial": int(saved["serial"])})
    record = state.records[0]
    begun = Rewrite(
        id="r1",
        name=record.name,
        strategy="backfill",
        physical=record.physical,
        target=record.physical,
        before=record.definition,
        after=record.definition,
    )
    saved["payload"]["rewrites"] = [dump_value(begun)]
    parts = (saved["format"], saved["lineage"], saved["serial"], canonical_json(saved["payload"]))
    saved["checksum"] = checksum(*map(str, parts))
    (cli.folder / "state.json").write_text(json.dumps(saved))
    told = cli.run("plan", "--against", "state.json")
    assert told.code == 1
    assert f"a change of the documents of {record.name} was under way" in told.err
    assert "run rvlstate plan without --against" in told.err


# --- The hook of pre-commit


def git(folder: Path, *words: str) -> None:
    """A command of git, with an author of its own."""
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_the_hook_refuses_a_commit_that_is_not_valid(tmp_path: Path) -> None:
    """With the real pre-commit, on a repository that names the hook file of this one; nothing is downloaded."""
    hooks, shop = tmp_path / "hooks", tmp_path / "shop"
    hooks.mkdir()
    (hooks / ".pre-commit-hooks.yaml").write_text((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    git(hooks, "init", "-q")
    git(hooks, "add", ".")
    git(hooks, "commit", "-qm", "hooks")
    rev = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, check=True, capture_output=True, text=True).stdout
    write_project({}, shop)
    (shop / "README.yaml").write_text("a: 1\n")
    config = f"repos:\n  - repo: {hooks}\n    rev: {rev.strip()}\n    hooks: [{{id: rvlstate-validate}}]\n"
    (shop / ".pre-commit-config.yaml").write_text(config)
    git(shop, "init", "-q")
    git(shop, "add", ".")
    good = pre_commit(shop, tmp_path / "cache")
    assert (good.returncode, "Passed" in good.stdout) == (0, True), good.stdout + good.stderr
    (shop / "rvlstate.prod.yaml").write_text("polcy: {}\n")
    git(shop, "add", ".")
    bad = pre_commit(shop, tmp_path / "cache")
    assert (bad.returncode, "Failed" in bad.stdout) == (1, True), bad.stdout + bad.stderr
    assert 'rvlstate.prod.yaml:1: unknown key "polcy"' in bad.stdout


def pre_commit(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """`pre-commit run` as a commit starts it, without a network and with a cache of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    nowhere = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "PIP_NO_INDEX": "1"}
    environ = {**os.environ, **nowhere, "PATH": path, "PRE_COMMIT_HOME": str(cache)}
    command = [sys.executable, "-m", "pre_commit", "run", "--color", "never"]
    return subprocess.run(command, cwd=folder, env=environ, text=True, capture_output=True, check=False, timeout=120)
