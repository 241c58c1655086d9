"""A job of a CI, the forge it runs on, and plans to post: what the tests of `rvlstate comment` share."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Outcome, outcome
from forge_server import COMMIT, NUMBER, PATH, PROJECT, ForgeServer
from render_cases import CASES

from rvlstate.files.plan_file import save_plan
from rvlstate.forge.environment import find_target
from rvlstate.forge.patience import Patience
from rvlstate.forge.post import Post, Posted, post_plan
from rvlstate.forge.target import ForgeName, Target, Wishes
from rvlstate.plan.plan import Plan

VARIABLES = ("GITHUB_", "GH_", "CI_", "GITLAB_")
ONE_PAUSE = 0.01


@dataclass(slots=True)
class Forge:
    """A job of one forge's CI, and the forge."""

    name: ForgeName
    server: ForgeServer
    folder: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def summary(self) -> Path:
        """The file of the job summary of GitHub."""
        return self.folder / "summary.md"

    def save(self, plan: Plan) -> Path:
        """A plan file."""
        path = self.folder / "plan.json"
        save_plan(path, plan)
        return path

    def comment(self, plan: Plan, *words: str) -> Outcome:
        """Run `rvlstate comment` on a plan."""
        path = self.save(plan)
        self.capture.readouterr()
        return outcome(self.capture, "comment", "--plan", str(path), *words)

    def data(self, plan: Plan, *words: str) -> Any:
        """The same as JSON, which must be a success."""
        told = self.comment(plan, *words, "--format", "json")
        assert told.code == 0, told.err
        return told.data

    def post(self, plan: Plan, *, attempts: int = 5, timeout: int = 5, wait: float = 120, **settings: Any) -> Posted:
        """Post through Python, with a clock that does not wait."""
        patience = Patience(
            longest_wait=wait, pause=ONE_PAUSE, attempts=attempts, sleep=self.slept.append, tell=self.told.append
        )
        return post_plan(Post(plan=plan, **settings), self.target, patience, timeout=timeout)

    @property
    def target(self) -> Target:
        """Where the job posts."""
        return find_target(os.environ, Wishes())

    def comments_part(self) -> str:
        """What stands in the path of comments."""
        return "/comments" if self.name == "github" else "/notes"

    def change(self) -> str:
        """The method that changes a comment."""
        return "PATCH" if self.name == "github" else "PUT"


def github_job(server: ForgeServer, folder: Path, *, head: str = PATH) -> dict[str, str]:
    """The variables of GitHub Actions in a job of a pull request, from a fork if `head` is another repository."""
    request = {"number": NUMBER, "head": {"sha": COMMIT, "repo": {"full_name": head}}}
    event = {"pull_request": {**request, "base": {"repo": {"full_name": PATH}}}}
    (folder / "event.json").write_text(json.dumps(event))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": f"{server.url}/api/v3",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": PATH,
        "GITHUB_RUN_ID": "77",
        "GITHUB_REF": f"refs/pull/{NUMBER}/merge",
        "GITHUB_SHA": "f" * 40,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_TOKEN": server.token,
    }


def gitlab_job(server: ForgeServer, folder: Path) -> dict[str, str]:
    """The variables of GitLab CI in a pipeline of a merge request."""
    del folder
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": f"{server.url}/api/v4",
        "CI_PROJECT_ID": str(PROJECT),
        "CI_PROJECT_PATH": PATH,
        "CI_PROJECT_URL": f"https://gitlab.example/{PATH}",
        "CI_MERGE_REQUEST_IID": str(NUMBER),
        "CI_MERGE_REQUEST_PROJECT_ID": str(PROJECT),
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(PROJECT),
        "CI_COMMIT_SHA": COMMIT,
        "CI_PIPELINE_ID": "99",
        "CI_JOB_URL": f"https://gitlab.example/{PATH}/-/jobs/1",
        "CI_JOB_TOKEN": "job-token-that-may-not",
        "GITLAB_TOKEN": server.token,
    }


def plan_of(case: str, **changed: Any) -> Plan:
    """One of the plans whose renders are kept."""
    return replace(CASES[case](), **changed)
