"""The GitLab pipeline, its shell executed: from the merge request's plan to the apply after the merge, and drift."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ci_kit import Ran, loaded, run_gitlab_job
from cli_kit import Cli
from forge_kit import gitlab_job
from forge_server import NUMBER, PROJECT, ForgeServer

pytest_plugins = ("cli_fixtures", "forge_fixtures")

MERGED, PLAN_JOB, MAIN_JOB = "5" * 40, 501, 502
API = f"/api/v4/projects/{PROJECT}"


@dataclass(slots=True)
class Lookups:
    """The answers of a GitLab to what the apply job asks, by path; bytes are files. Without the token: 401."""

    token: str
    port: int = 0
    answers: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def lookups(forge_host: ForgeServer) -> Iterator[Lookups]:
    """A GitLab that knows of merge requests, pipelines, jobs and artifacts."""
    state = Lookups(forge_host.token)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

        def do_GET(self) -> None:
            known = self.headers.get("authorization") == f"Bearer {state.token}"
            found = state.answers.get(urlsplit(self.path).path) if known else None
            told = {"message": "404 Not found"} if found is None else found
            raw = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(401 if not known else 404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(slots=True)
class Lab:
    """A project, its server, both halves of a GitLab, and a runner of the pipeline's jobs."""

    cli: Cli
    forge: ForgeServer
    lookups: Lookups
    environ: dict[str, str]

    def run(self, job: str, source: str, parts: int | None = None, **variables: str) -> Ran:
        """Run a job in a pipeline of this source, or the first parts of its script."""
        environ = {**self.environ, "CI_PIPELINE_SOURCE": source, "CI_JOB_ID": str(MAIN_JOB), **variables}
        if source != "merge_request_event":
            environ = {key: text for key, text in environ.items() if not key.startswith("CI_MERGE_REQUEST")}
            environ["CI_COMMIT_SHA"] = MERGED
        return run_gitlab_job(loaded("gitlab-ci.yml"), job, self.cli.folder, environ, parts)

    def merge(self, **changed: Any) -> None:
        """Have GitLab say that the merge request became the commit MERGED, and what its pipeline left."""
        request = {"iid": NUMBER, "state": "merged", "merge_commit_sha": None, "squash_commit_sha": MERGED, "sha": "1"}
        line = {"id": 9, "source": "merge_request_event", "project_id": PROJECT}
        self.lookups.answers |= {
            f"{API}/repository/commits/{MERGED}/merge_requests": [{**request, **changed.get("request", {})}],
            f"{API}/merge_requests/{NUMBER}/pipelines": [{**line, **changed.get("pipeline", {})}, {**line, "id": 8}],
            f"{API}/pipelines/9/jobs": [
                {"id": 500, "name": "rvlstate-validate"},
                {"id": PLAN_JOB, "name": "rvlstate-plan"},
            ],
            f"{API}/pipelines/8/jobs": [],
            f"{API}/jobs/{PLAN_JOB}/artifacts/plan.json": (self.cli.folder / "plan.json").read_bytes(),
        }

    def plan_of_main(self, ref: str = "main") -> None:
        """Have GitLab say that the job MAIN_JOB left a plan."""
        self.lookups.answers |= {
            f"{API}/jobs/{MAIN_JOB}": {"id": MAIN_JOB, "ref": ref, "tag": False},
            f"{API}/jobs/{MAIN_JOB}/artifacts/plan.json": (self.cli.folder / "plan.json").read_bytes(),
        }

    def find(self, source: str, **variables: str) -> Ran:
        """Look for the reviewed plan alone."""
        return self.run("rvlstate-apply", source, 1, **variables)

    def indexes(self) -> set[str]:
        """What is live."""
        return {name.decode() for name in self.cli.client.execute_command("FT._LIST")}

    def applied(self) -> None:
        """What is declared is live."""
        self.cli.applied()


@pytest.fixture
def lab(cli: Cli, forge_host: ForgeServer, lookups: Lookups, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A merge request that declares two indexes, on a server that has none."""
    monkeypatch.setenv("REDIS_URL", cli.url)  # for what the tests do themselves; no job inherits it
    file = cli.folder / "rvlstate.yaml"
    file.write_text("version: 1\nproject: shop\nredis: {url: '${REDIS_URL}'}\nschemas: [indexes/*.yaml]\n")
    environ = gitlab_job(forge_host, Path()) | {
        "CI_SERVER_URL": f"http://127.0.0.1:{lookups.port}",
        "CI_DEFAULT_BRANCH": "main",
        "REDIS_URL_READ": cli.url,
        "REDIS_URL": cli.url,
    }
    return Lab(cli, forge_host, lookups, environ)


def test_the_plan_is_commented_and_kept_and_applied_after_the_merge(lab: Lab) -> None:
    """The whole way: the file that was reviewed is the one that is carried out, once."""
    planned = lab.run("rvlstate-plan", "merge_request_event")
    assert planned.code == 0, planned.out
    assert "2 to create" in lab.forge.bodies()[0]
    assert lab.indexes() == set()
    lab.merge()
    merged = lab.run("rvlstate-apply", "push")
    assert merged.code == 0, merged.out
    assert f"The reviewed plan is that of job {PLAN_JOB}." in merged.out
    assert "Applied: 8 steps" in merged.out
    assert lab.indexes() == {"products@1", "categories@1"}
    again = lab.run("rvlstate-apply", "push")
    assert again.code == 0, again.out
    assert "it was applied already" in again.out


def test_nothing_to_do_is_a_success_without_a_comment(lab: Lab) -> None:
    """Of the plan."""
    lab.applied()
    assert lab.run("rvlstate-plan", "merge_request_event").code == 0
    assert lab.forge.bodies() == []


def test_a_plan_that_refuses_is_commented_and_fails(lab: Lab) -> None:
    """The reviewers see why; the job says 3."""
    lab.cli.declare("products", "title:text", "vec:vector:4")
    lab.applied()
    lab.cli.declare("products", "title:text", "vec:vector:8")
    planned = lab.run("rvlstate-plan", "merge_request_event")
    assert planned.code == 3, planned.out
    assert [status["state"] for status in lab.forge.statuses] == ["failed"]


@pytest.mark.parametrize("job", ["rvlstate-plan", "rvlstate-drift"])
def test_without_its_variable_a_job_asks_no_other_server(lab: Lab, job: str) -> None:
    """An error that names the variable, never a plan of some default server."""
    ran = lab.run(job, "merge_request_event", REDIS_URL_READ="", REDIS_URL="")
    assert ran.code == 1
    assert "REDIS_URL_READ" in ran.out
    assert lab.forge.bodies() == []


def test_a_token_that_may_only_read_degrades_to_the_log(lab: Lab) -> None:
    """The plan stands in the job's log, and the job is a success."""
    lab.forge.rights = "read"
    ran = lab.run("rvlstate-plan", "merge_request_event")
    assert ran.code == 0, ran.out
    assert "Not commented; the plan is below" in ran.out


def test_validate_needs_no_variable_and_no_server(lab: Lab) -> None:
    """It finds a wrong file."""
    lab.environ = {key: text for key, text in lab.environ.items() if "REDIS" not in key and "TOKEN" not in key}
    assert lab.run("rvlstate-validate", "merge_request_event").code == 0
    (lab.cli.folder / "indexes" / "products.yaml").write_text("index: {nmae: x}\n")
    assert lab.run("rvlstate-validate", "merge_request_event").code == 1


def test_a_stale_plan_is_made_again_unless_it_would_undo_a_change_by_hand(lab: Lab) -> None:
    """After another merge it is; after a change by hand the job ends with 2 and leaves the plan of now."""
    lab.run("rvlstate-plan", "merge_request_event")
    lab.merge()
    lab.applied()
    lab.cli.declare("more", "label:tag")
    ran = lab.run("rvlstate-apply", "push")
    assert ran.code == 0, ran.out
    assert "planning again" in ran.out
    assert "more@1" in lab.indexes()
    lab.cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")
    lab.cli.declare("others", "label:tag")
    refused = lab.run("rvlstate-apply", "push")
    assert refused.code == 2, refused.out
    assert f"RVLSTATE_PLAN_JOB={MAIN_JOB}" in refused.out
    assert "others@1" not in lab.indexes()
    lab.plan_of_main()
    chosen = lab.run("rvlstate-apply", "web", RVLSTATE_PLAN_JOB=str(MAIN_JOB))
    assert chosen.code == 0, chosen.out
    assert {"others@1", "products@2"} <= lab.indexes()


@pytest.mark.parametrize(
    "changed",
    [
        {"request": {"state": "opened"}},
        {"request": {"squash_commit_sha": "1" * 40}},
        {"pipeline": {"project_id": 7}},
        {"pipeline": {"source": "push"}},
    ],
    ids=["not merged", "another commit", "pipeline of a fork", "pipeline of a branch"],
)
def test_only_the_plan_of_the_merged_request_is_taken(lab: Lab, changed: dict[str, Any]) -> None:
    """Neither what was not merged as this commit, nor what ran in another project or for a branch."""
    (lab.cli.folder / "plan.json").write_text("{}")
    lab.merge(**changed)
    ran = lab.find("push")
    assert ran.code == 0, ran.out
    assert "There is no reviewed plan" in ran.out
    assert not (lab.cli.folder / "reviewed").exists()


def test_hazards_that_nobody_reviewed_are_refused(lab: Lab) -> None:
    """Where there is no reviewed plan: exit code 3, and the job leaves the plan of now."""
    lab.applied()
    (lab.cli.folder / "indexes" / "categories.yaml").unlink()
    lab.lookups.answers[f"{API}/repository/commits/{MERGED}/merge_requests"] = []
    ran = lab.run("rvlstate-apply", "push")
    assert ran.code == 3, ran.out
    assert "DELETES_INDEX" in ran.out
    assert (lab.cli.folder / "plan.json").exists()
    assert "categories@1" in lab.indexes()


@pytest.mark.parametrize(("job", "ref"), [("x; env", "main"), (str(MAIN_JOB), "topic")])
def test_a_chosen_plan_must_be_one_of_the_default_branch(lab: Lab, job: str, ref: str) -> None:
    """Neither a text that is no number nor the plan of a branch gets anywhere."""
    (lab.cli.folder / "plan.json").write_text("{}")
    lab.plan_of_main(ref)
    ran = lab.find("web", RVLSTATE_PLAN_JOB=job)
    assert ran.code == 1
    assert "RVLSTATE_PLAN_JOB is no job of main." in ran.out
    assert not (lab.cli.folder / "reviewed").exists()


def test_a_forge_that_fails_applies_nothing(lab: Lab) -> None:
    """That it cannot be asked is not that there is no reviewed plan."""
    ran = lab.run("rvlstate-apply", "push", GITLAB_TOKEN="wrong")  # noqa: S106 - a token of nothing
    assert ran.code != 0
    assert "401" in ran.out
    assert lab.indexes() == set()


def test_drift_fails_the_pipeline_and_can_be_undone(lab: Lab) -> None:
    """Exit code 2, what it is in a file, and the plan that undoes it, to be chosen; 0 without any."""
    lab.applied()
    assert lab.run("rvlstate-drift", "schedule").code == 0
    assert not (lab.cli.folder / "plan.json").exists()
    lab.cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")
    ran = lab.run("rvlstate-drift", "schedule")
    assert ran.code == 2, ran.out
    assert "hand" in (lab.cli.folder / "drift.md").read_text()
    assert f"RVLSTATE_PLAN_JOB={MAIN_JOB}" in ran.out
    lab.plan_of_main()
    undone = lab.run("rvlstate-apply", "web", RVLSTATE_PLAN_JOB=str(MAIN_JOB))
    assert undone.code == 0, undone.out
    assert lab.run("rvlstate-drift", "schedule").code == 0
