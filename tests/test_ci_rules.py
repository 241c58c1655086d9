"""What the CI files must not do: give strangers, logs or other steps more than they need, and cut off an apply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from ci_kit import ACTION, INSTALL, loaded, scripts_of_github, template

from rvlstate import __version__

WORKFLOW, PIPELINE = loaded("github-actions.yml"), loaded("gitlab-ci.yml")
JOBS: Mapping[str, Any] = WORKFLOW["jobs"]
USES = re.compile(r"^[ -]+uses: (\S+)(.*)$", re.MULTILINE)


def test_rvlstate_is_installed_in_the_version_that_wrote_it() -> None:
    """Pinned, wherever it is installed, and only where the step is called so."""
    steps = [step for job in JOBS.values() for step in job["steps"] if "pip install" in step.get("run", "")]
    lines = [step["run"] for step in steps] + [line for line in PIPELINE[".rvlstate"]["before_script"] if "pip" in line]
    assert len(lines) == 5
    assert all(INSTALL.match(line) and f"=={__version__}" in line for line in lines)
    assert [step["name"] for step in steps] == ["Install"] * 4


@pytest.mark.parametrize("text", [template("github-actions.yml"), (ACTION / "action.yml").read_text()])
def test_actions_are_pinned_by_commit(text: str) -> None:
    """With the version beside it, which Dependabot and people read."""
    used = USES.findall(text)
    assert used
    for name, comment in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", name)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_no_expression_is_in_a_script() -> None:
    """What the template language puts into a script is run; so everything goes through the environment."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    for name, text in [*scripts_of_github(WORKFLOW), *scripts_of_github(action)]:
        assert "${{" not in text, name


def test_permissions_are_those_that_are_used() -> None:
    """None for the workflow; each job has what it needs, and none may write more than the comment and the status."""
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "validate": {"contents": "read"},
        "plan": {"contents": "read", "pull-requests": "write", "statuses": "write"},
        "apply": {"contents": "read", "actions": "read", "pull-requests": "read"},
        "drift": {"contents": "read"},
    }


def test_no_step_has_both_a_token_and_a_server() -> None:
    """Nor has the one that installs packages either."""
    for job in JOBS.values():
        for step in job["steps"]:
            names = set(step.get("env", {}))
            assert not (names & {"GITHUB_TOKEN", "GH_TOKEN"} and "REDIS_URL" in names)
            assert step.get("name") != "Install" or not names
        assert "env" not in job
    assert "env" not in WORKFLOW


def test_only_apply_has_the_url_that_may_write() -> None:
    """It stands in the environment that pull requests cannot use."""
    holders = {
        name
        for name, job in JOBS.items()
        for step in job["steps"]
        if "${{ secrets.REDIS_URL }}" in step.get("env", {}).values()
    }
    assert holders == {"apply"}
    assert JOBS["apply"]["environment"] == "production"


def starts(job: str, **context: str) -> bool:
    """Whether a job of the workflow starts, by its condition."""
    text = JOBS[job]["if"].replace("&&", " and ").replace("||", " or ")
    text = re.sub(r"\b(?:github|inputs)\.[\w.]+", lambda found: repr(context.get(found[0].replace(".", "_"), "")), text)
    return bool(eval(text, {"__builtins__": {}}))  # noqa: S307 - our own conditions


def started(**context: str) -> set[str]:
    """The jobs that start."""
    return {job for job in JOBS if starts(job, github_repository="me/shop", **context)}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"github_event_pull_request_head_repo_full_name": "me/shop"}, {"validate", "plan"}),
        ({"github_event_pull_request_head_repo_full_name": "fork/shop"}, {"validate"}),
        ({"github_event_pull_request_head_repo_full_name": ""}, {"validate"}),  # the fork was deleted
        ({"github_event_name": "merge_group"}, {"validate", "plan"}),
        ({"github_event_name": "push"}, {"apply"}),
        ({"github_event_name": "schedule"}, {"drift"}),
        ({"github_event_name": "workflow_dispatch", "inputs_what": "plan"}, {"plan"}),
        ({"github_event_name": "workflow_dispatch", "inputs_what": "drift"}, {"drift"}),
        (
            {"github_event_name": "workflow_dispatch", "inputs_what": "apply", "github_ref": "refs/heads/main"},
            {"apply"},
        ),
        ({"github_event_name": "workflow_dispatch", "inputs_what": "apply", "github_ref": "refs/heads/x"}, set()),
    ],
)
def test_each_event_starts_its_jobs(context: dict[str, str], expected: set[str]) -> None:
    """A pull request from a fork is validated, offline, and nothing more."""
    assert started(**{"github_event_name": "pull_request", **context}) == expected


def test_one_apply_at_a_time_and_none_is_cut_off() -> None:
    """On both forges; every job has a time after which it is given up."""
    assert JOBS["apply"]["concurrency"] == {"group": "rvlstate-apply", "cancel-in-progress": "false"}
    assert all(int(job["timeout-minutes"]) > 0 for job in JOBS.values())
    apply = PIPELINE["rvlstate-apply"]
    assert (apply["resource_group"], apply["interruptible"]) == ("rvlstate-production", "false")
    assert PIPELINE[".rvlstate"]["timeout"]


def test_the_pipeline_plans_for_no_fork() -> None:
    """A rule, not the absence of variables, keeps it from a fork's merge request."""
    rules = [rule["if"] for rule in PIPELINE["rvlstate-plan"]["rules"]]
    (request,) = [rule for rule in rules if "merge_request_event" in rule]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID" in request
    for rule in (rule["if"] for rule in PIPELINE["rvlstate-apply"]["rules"]):
        assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule


def test_paths_are_below_the_folder() -> None:
    """In a repository with several projects, one does not start the other's jobs."""
    workflow, pipeline = loaded("github-actions.yml", "a/b"), loaded("gitlab-ci.yml", "a/b")
    assert workflow["on"]["push"]["paths"] == ["a/b/rvlstate*.yaml", "a/b/indexes/**"]
    assert workflow["defaults"]["run"]["working-directory"] == "a/b"
    assert pipeline["rvlstate-plan"]["artifacts"]["paths"] == ["a/b/plan.json"]
    assert pipeline[".rvlstate"]["before_script"][0] == 'cd "a/b"'
    assert 'NAME = "a/b/plan.json"' in pipeline["rvlstate-apply"]["script"][0]
