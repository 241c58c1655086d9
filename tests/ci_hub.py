"""A project on GitHub whose workflow is run, and what the forge says of its pull request and the merge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci_kit import GithubRunner, Ran, loaded, write_json
from cli_kit import Cli
from forge_server import COMMIT, PATH, ForgeServer

MERGED, RUN, MAIN_RUN = "5" * 40, "77", "78"
PROGRAMS = Path(__file__).parent / "ci_programs"
NOBODY = "redis://nobody@127.0.0.1:1"


@dataclass(slots=True)
class Hub:
    """A project, its server, a forge, and a runner of the workflow's jobs."""

    cli: Cli
    forge: ForgeServer
    runner: GithubRunner
    answers: Path

    def run(self, job: str, event: str, only: str = "", **values: str) -> Ran:
        """Run a job for an event, or one step of it."""
        sha = COMMIT if event == "pull_request" else MERGED
        request = event == "pull_request"
        self.runner.values.update({name.replace("__", "."): value for name, value in values.items()})
        self.runner.values |= {"github.event_name": event, "github.sha": sha, "github.ref": "refs/heads/main"}
        self.runner.values["github.event.pull_request.head.sha"] = COMMIT if request else ""
        self.runner.environ |= {
            "GITHUB_EVENT_NAME": event,
            "GITHUB_SHA": sha,
            "GITHUB_REF_NAME": "5/merge" if request else "main",
            "GITHUB_RUN_ID": RUN if request else MAIN_RUN,
        }
        workflow = loaded("github-actions.yml")
        steps = [step for step in workflow["jobs"][job]["steps"] if only in ("", step.get("name"))]
        return self.runner.job(steps, workflow["defaults"]["run"])

    def merge(self, **changed: Any) -> None:
        """Have the forge say that a pull request became the commit MERGED, and what its run left."""
        request = {"merged_at": "2026-05-15T10:00:00Z", "merge_commit_sha": MERGED, "head": {"sha": COMMIT}}
        write_json(self.answers / f"repos/{PATH}/commits/{MERGED}/pulls.json", [request])
        run = {"id": int(RUN), "head_sha": COMMIT, "repository_id": 1, "head_repository_id": 1, "head_branch": "topic"}
        artifact = {"id": 1, "name": f"rvlstate-plan-{COMMIT}", "expired": False, "workflow_run": run}
        write_json(
            self.answers / f"repos/{PATH}/actions/artifacts.json",
            {"artifacts": [{**artifact, **changed.pop("artifact", {}), "workflow_run": {**run, **changed}}]},
        )

    def plans_of_main(self, **changed: Any) -> None:
        """Have the forge say that the run MAIN_RUN on main left a plan."""
        run = {"id": int(MAIN_RUN), "repository_id": 1, "head_repository_id": 1, "head_branch": "main"}
        artifact = {"id": 2, "name": f"rvlstate-plan-{MERGED}", "expired": False, "workflow_run": {**run, **changed}}
        path = f"repos/{PATH}/actions/runs/{MAIN_RUN}/artifacts.json"
        write_json(self.answers / path, {"artifacts": [{**artifact, "id": 1, "name": "other"}, artifact]})

    def find(self, event: str, **values: str) -> Ran:
        """Look for the reviewed plan alone."""
        return self.run("apply", event, "Find the reviewed plan", **values)

    def indexes(self) -> set[str]:
        """What is live."""
        return {name.decode() for name in self.cli.client.execute_command("FT._LIST")}

    def by_hand(self) -> None:
        """Somebody changes an index."""
        self.cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")


def write_project(cli: Cli) -> None:
    """A project file that knows its server from REDIS_URL alone."""
    file = cli.folder / "rvlstate.yaml"
    file.write_text("version: 1\nproject: shop\nredis: {url: '${REDIS_URL}'}\nschemas: [indexes/*.yaml]\n")


def applied(hub: Hub) -> None:
    """What is declared is live."""
    told = hub.cli.run("apply", "--yes", "-q")
    assert told.code == 0, told.err
