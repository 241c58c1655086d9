"""CI templates: valid to their own linters, and the same as the examples."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ci_kit import ACTION, PROJECT, ROOT, loaded, scripts_of_github, scripts_of_gitlab, template
from ci_linters import Verdict, action_schema, kubernetes, pipeline_schema, shellcheck, workflow_schema, zizmor
from documents import UPDATE

from rvlstate import __version__
from rvlstate.cli.ci_files import TEMPLATES
from rvlstate.cli.main import run

EXAMPLES = ROOT / "examples" / "ci"
NAMES = sorted(path.name for path in (TEMPLATES / "ci").iterdir() if path.name != "gitlab-include.yml")
WORKFLOW, PIPELINE = loaded("github-actions.yml"), loaded("gitlab-ci.yml")
CALL = re.compile(r"(?:\brvlstate|\"\$\{rvlstate\[@\]\}\") (?:--no-color )?([a-z]+)\b([^\n]*)")
BOTH = pytest.mark.parametrize("folder", ["", "services/shop"], ids=["repository", "below it"])


@BOTH
def test_the_workflow_is_one(tmp_path: Path, folder: str) -> None:
    """To the schema of workflows, and to zizmor, which looks for injections, loose pins and wide permissions."""
    path = tmp_path / ".github" / "workflows" / "rvlstate.yml"
    path.parent.mkdir(parents=True)
    path.write_text(template("github-actions.yml", folder))
    for linter in (workflow_schema, zizmor):
        assert linter(path)[0] == 0, linter(path)[1]


@BOTH
def test_the_pipeline_is_one(tmp_path: Path, folder: str) -> None:
    """To the schema of GitLab CI; so is the file that includes it."""
    for name in ("gitlab-ci.yml", "gitlab-include.yml"):
        path = tmp_path / name
        path.write_text(template(name, folder))
        assert pipeline_schema(path)[0] == 0, pipeline_schema(path)[1]


def test_the_action_is_one() -> None:
    """To the schema of actions, and to zizmor."""
    for linter in (action_schema, zizmor):
        assert linter(ACTION / "action.yml")[0] == 0, linter(ACTION / "action.yml")[1]


def test_the_cron_job_is_one(tmp_path: Path) -> None:
    """To the schemas of Kubernetes, strictly: no unknown key."""
    path = tmp_path / "job.yaml"
    path.write_text(template("kubernetes-cronjob.yaml"))
    assert kubernetes(path)[0] == 0, kubernetes(path)[1]


def pieces_of_shell() -> dict[str, tuple[str, str]]:
    """Every piece of shell: name -> first line, text."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    bash = [*scripts_of_github(WORKFLOW), *scripts_of_github(action), *scripts_of_gitlab(PIPELINE)]
    files = [(path.name, path.read_text()) for path in sorted(ACTION.glob("*.sh"))]
    files.append(("rvlstate-drift.sh", template("rvlstate-drift.sh")))
    return {
        **{f"{index} {name}": ("#!/bin/bash", text) for index, (name, text) in enumerate(bash)},
        **{name: ("", text) for name, text in files},
    }


PIECES = pieces_of_shell()


def test_every_piece_of_shell_passes_shellcheck(tmp_path: Path) -> None:
    """In workflow, action, pipeline and scripts."""
    assert len(PIECES) > 15
    for name, (first, text) in PIECES.items():
        path = tmp_path / f"{re.sub(r'[^a-z0-9.-]', '-', name.lower())}"
        path.write_text(f"{first}\n{text}".lstrip("\n"))
    assert shellcheck(*sorted(tmp_path.iterdir())) == (0, "")


@pytest.mark.parametrize(
    ("linter", "name", "before", "after"),
    [
        (workflow_schema, "github-actions.yml", "runs-on: ubuntu-latest", "runs_on: ubuntu-latest"),
        (zizmor, "github-actions.yml", "$RUNNER_TEMP/plan.md", "${{ github.event.pull_request.title }}"),
        (zizmor, "github-actions.yml", "permissions: {}", "permissions: write-all"),
        (zizmor, "github-actions.yml", "  pull_request:\n", "  pull_request_target:\n"),
        (zizmor, "github-actions.yml", "with: {persist-credentials: false}", "with: {}"),
        (pipeline_schema, "gitlab-ci.yml", "resource_group: rvlstate-production", "resource_group: []"),
        (kubernetes, "kubernetes-cronjob.yaml", "runAsNonRoot: true", "runAsNonRot: true"),
        (kubernetes, "kubernetes-cronjob.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: [Forbid]"),
        (shellcheck, "rvlstate-drift.sh", 'cd "$project"', "cd $project"),
    ],
)
def test_the_linters_can_fail(
    tmp_path: Path, linter: Callable[[Path], Verdict], name: str, before: str, after: str
) -> None:
    """Each finds what it is there for."""
    path = tmp_path / ".github" / "workflows" / name
    path.parent.mkdir(parents=True)
    text = template(name)
    assert before in text
    path.write_text(text.replace(before, after))
    assert linter(path)[0] != 0


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_the_template(name: str) -> None:
    """What is shipped in examples/ci is what init writes, filled in for a project named shop."""
    example = EXAMPLES / name
    if os.environ.get(UPDATE):
        example.write_text(template(name), encoding="utf-8")
    assert example.read_text(encoding="utf-8") == template(name)
    assert os.access(example, os.X_OK) == name.endswith(".sh")


def test_there_are_no_other_examples() -> None:
    """Every file there has its template, the page aside."""
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted([*NAMES, "README.md"])


@BOTH
@pytest.mark.parametrize("name", NAMES)
def test_everything_is_filled_in(name: str, folder: str) -> None:
    """No mark is left, and the version is the one that wrote it."""
    text = template(name, folder)
    assert re.findall(r"@[A-Z]+@", text) == []
    assert __version__ in text
    assert max(map(len, text.splitlines())) <= 160


def test_every_rvlstate_command_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and all options in all pieces of shell are known to this version."""
    found = {
        (match[1], option)
        for _, text in PIECES.values()
        for match in CALL.finditer(re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))
        for option in ["", *re.findall(r"--[a-z-]+", match[2].split("|")[0].split("#")[0])]
    }
    assert {name for name, _ in found} == {"validate", "plan", "apply", "drift", "comment"}
    for name, option in sorted(found):
        capsys.readouterr()
        assert run([name, "--help"]) == 0
        assert option in capsys.readouterr().out, (name, option)


def test_the_page_names_the_project() -> None:
    """The examples are of the project that their page speaks of."""
    assert f"project: {PROJECT}" in template("kubernetes-cronjob.yaml")
