"""The GitHub workflow, its shell executed: from the pull request's plan to the apply after the merge, and drift."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ci_hub import MAIN_RUN, MERGED, NOBODY, RUN, Hub, applied
from ci_kit import loaded, write_json
from forge_server import COMMIT, PATH

pytest_plugins = ("cli_fixtures", "forge_fixtures", "ci_fixtures")


def test_the_plan_is_commented_and_kept_and_applied_after_the_merge(hub: Hub) -> None:
    """The whole way: the file that was reviewed is the one that is carried out."""
    planned = hub.run("plan", "pull_request")
    assert planned.code == 0, planned.out
    assert planned.steps == ["Plan", "Comment"]
    (comment,) = hub.forge.bodies()
    assert "2 to create" in comment
    assert [status["state"] for status in hub.forge.statuses] == ["success"]
    assert planned.outputs["plan"] == {"exit-code": "2"}
    assert planned.summary == ""
    assert hub.indexes() == set()
    hub.merge()
    merged = hub.run("apply", "push")
    assert merged.code == 0, merged.out
    assert merged.outputs["reviewed"] == {"run-id": RUN, "name": f"rvlstate-plan-{COMMIT}"}
    assert "Applied: 8 steps" in merged.out
    assert "planning again" not in merged.out
    assert hub.indexes() == {"products@1", "categories@1"}


def test_a_merge_queue_gets_its_status_and_a_plan_on_the_page_of_the_job(hub: Hub) -> None:
    """On the commit of the group; no comment is touched, and no plan is kept for the apply to take."""
    group = "7" * 40
    ref = f"refs/heads/gh-readonly-queue/main/pr-5-{group}"
    write_json(hub.cli.folder / "group.json", {"merge_group": {"head_sha": group}})
    hub.runner.environ |= {"GITHUB_EVENT_PATH": str(hub.cli.folder / "group.json"), "GITHUB_REF": ref}
    ran = hub.run("plan", "merge_group")
    assert (ran.code, ran.steps) == (0, ["Plan", "Comment"])
    assert [(status["commit"], status["state"]) for status in hub.forge.statuses] == [(group, "success")]
    assert hub.forge.bodies() == []
    assert "2 to create" in ran.summary
    steps = loaded("github-actions.yml")["jobs"]["plan"]["steps"]
    (keep,) = [step for step in steps if step.get("name") == "Keep the plan"]
    assert keep["if"] == "github.event_name != 'merge_group'"


def test_nothing_to_do_is_a_success_without_a_comment(hub: Hub) -> None:
    """On the pull request, and after the merge, from a plan that holds nothing."""
    applied(hub)
    planned = hub.run("plan", "pull_request")
    assert (planned.code, planned.outputs["plan"]) == (0, {"exit-code": "0"})
    assert hub.forge.bodies() == []
    hub.merge()
    assert hub.run("apply", "push").code == 0


def test_a_plan_that_refuses_is_commented_and_fails(hub: Hub) -> None:
    """The reviewers see why; the job says 3."""
    hub.cli.declare("products", "title:text", "price:numeric", "vec:vector:4")
    applied(hub)
    hub.cli.declare("products", "title:text", "price:numeric", "vec:vector:8")
    planned = hub.run("plan", "pull_request")
    assert (planned.code, planned.steps[-1]) == (3, "Verdict")
    assert "::error::" in planned.out
    assert len(hub.forge.bodies()) == 1
    assert [status["state"] for status in hub.forge.statuses] == ["failure"]


@pytest.mark.parametrize("job", ["plan", "drift"])
def test_without_its_secret_a_job_asks_no_other_server(hub: Hub, job: str) -> None:
    """An empty REDIS_URL is an error that names the secret, never a plan of some default server."""
    ran = hub.run(job, "pull_request", secrets__REDIS_URL_READ="")
    assert ran.code == 1
    assert "REDIS_URL_READ" in ran.out
    assert (hub.forge.bodies(), hub.runner.artifacts) == ([], {})


def test_an_unreachable_server_is_an_error_and_not_a_plan(hub: Hub) -> None:
    """Exit code 1, with no comment and nothing kept; the password is nowhere."""
    ran = hub.run("plan", "pull_request", secrets__REDIS_URL_READ="redis://me:s3cr3t@127.0.0.1:1")
    assert ran.code == 1
    assert (hub.forge.bodies(), hub.runner.artifacts) == ([], {})
    assert "s3cr3t" not in ran.out + ran.summary


def test_a_token_that_may_only_read_degrades_to_the_summary(hub: Hub) -> None:
    """As for Dependabot and forks: the plan is on the page of the run, and the job is a success."""
    hub.forge.rights = "read"
    ran = hub.run("plan", "pull_request")
    assert ran.code == 0, ran.out
    assert hub.forge.bodies() == []
    assert "2 to create" in ran.summary
    assert "Notice:" in ran.out


def test_validate_needs_no_secret_and_no_server(hub: Hub) -> None:
    """What runs for pull requests from forks has neither, and finds a wrong file."""
    for name in ("secrets.REDIS_URL", "secrets.REDIS_URL_READ", "github.token"):
        hub.runner.values[name] = ""
    assert hub.run("validate", "pull_request").code == 0
    (hub.cli.folder / "indexes" / "products.yaml").write_text("index: {nmae: x}\n")
    assert hub.run("validate", "pull_request").code == 1


def test_a_plan_made_stale_by_another_merge_is_made_again(hub: Hub) -> None:
    """Two pull requests merged one after the other both reach the server, without anybody's help."""
    hub.run("plan", "pull_request")
    hub.merge()
    declared = (hub.cli.folder / "indexes" / "categories.yaml").read_text()
    (hub.cli.folder / "indexes" / "categories.yaml").unlink()
    applied(hub)
    (hub.cli.folder / "indexes" / "categories.yaml").write_text(declared)
    ran = hub.run("apply", "push")
    assert ran.code == 0, ran.out
    assert "Error: the plan is stale" in ran.out
    assert "planning again" in ran.out
    assert hub.indexes() == {"products@1", "categories@1"}


def test_a_stale_plan_is_not_made_again_over_a_change_by_hand(hub: Hub) -> None:
    """Nobody reviewed that it would be undone: exit code 2, the new plan is shown, and applied when it is chosen."""
    applied(hub)
    hub.cli.declare("products", "title:text", "price:numeric", "colour:tag")
    hub.run("plan", "pull_request")
    hub.merge()
    hub.by_hand()
    ran = hub.run("apply", "push")
    assert ran.code == 2, ran.out
    assert "changed outside rvlstate" in ran.out
    assert "hand" in ran.summary
    assert f"plan-run: {MAIN_RUN}" in ran.summary
    assert "products@1" in hub.indexes()
    hub.plans_of_main()
    chosen = hub.run("apply", "workflow_dispatch", **{"inputs__plan-run": MAIN_RUN})
    assert chosen.code == 0, chosen.out
    assert "products@2" in hub.indexes()


def test_a_stale_plan_with_hazards_is_not_made_again(hub: Hub) -> None:
    """Exit code 3: what was agreed to was another plan."""
    applied(hub)
    (hub.cli.folder / "indexes" / "categories.yaml").unlink()
    hub.run("plan", "pull_request")
    hub.merge()
    hub.cli.declare("more", "label:tag")
    applied_again = hub.cli.run("apply", "--yes", "-q", "--target", "more")
    assert applied_again.code == 0, applied_again.err
    ran = hub.run("apply", "push")
    assert ran.code == 3, ran.out
    assert "DELETES_INDEX" in ran.out
    assert "categories@1" in hub.indexes()


def test_reviewed_hazards_are_agreed_to(hub: Hub) -> None:
    """The same change applies from the file that was reviewed."""
    applied(hub)
    (hub.cli.folder / "indexes" / "categories.yaml").unlink()
    hub.run("plan", "pull_request")
    hub.merge()
    ran = hub.run("apply", "push")
    assert ran.code == 0, ran.out
    assert hub.indexes() == {"products@1"}


@pytest.mark.parametrize(
    "changed",
    [
        {"head_repository_id": 2},
        {"head_sha": "1" * 40},
        {"artifact": {"expired": True}},
        {"artifact": {"name": "rvlstate-plan-other"}},
    ],
    ids=["fork", "another commit", "expired", "another name"],
)
def test_only_the_plan_of_the_merged_commit_is_taken(hub: Hub, changed: dict[str, Any]) -> None:
    """An artifact of a fork, of another commit or of another name is not fetched."""
    hub.merge(**changed)
    ran = hub.find("push")
    assert ran.code == 0
    assert "The pull request left no plan." in ran.out
    assert ran.outputs["reviewed"] == {}


def test_hazards_that_nobody_reviewed_are_refused(hub: Hub) -> None:
    """Where there is no reviewed plan: exit code 3, and the plan of now is shown."""
    applied(hub)
    (hub.cli.folder / "indexes" / "categories.yaml").unlink()
    hub.merge(artifact={"expired": True})
    ran = hub.run("apply", "push")
    assert ran.code == 3, ran.out
    assert "DELETES_INDEX" in ran.summary
    assert "categories@1" in hub.indexes()


def test_a_push_without_a_pull_request_applies_what_has_no_hazards(hub: Hub) -> None:
    """It is planned at the merge; but to a server that holds no state nothing is applied unseen."""
    write_json(hub.answers / f"repos/{PATH}/commits/{MERGED}/pulls.json", [])
    first = hub.run("apply", "push")
    assert first.code == 1
    assert "check that this is the right server" in first.out
    assert f"plan-run: {MAIN_RUN}" in first.summary
    applied(hub)
    hub.cli.declare("more", "label:tag")
    ran = hub.run("apply", "push")
    assert ran.code == 0, ran.out
    assert hub.indexes() == {"products@1", "categories@1", "more@1"}


def test_a_forge_that_fails_applies_nothing(hub: Hub) -> None:
    """That it cannot be asked is not that there is no reviewed plan."""
    ran = hub.run("apply", "push")
    assert ran.code != 0
    assert "Not Found" in ran.out
    assert hub.indexes() == set()


def test_a_plan_on_request_is_shown_and_can_be_chosen(hub: Hub) -> None:
    """Run workflow, twice: plan, then apply with the number of that run. It cannot be applied twice."""
    shown = hub.run("plan", "workflow_dispatch")
    assert shown.code == 0, shown.out
    assert "2 to create" in shown.summary
    assert f"plan-run: {MAIN_RUN}" in shown.summary
    hub.plans_of_main()
    assert hub.run("apply", "workflow_dispatch", **{"inputs__plan-run": MAIN_RUN}).code == 0
    assert hub.indexes() == {"products@1", "categories@1"}
    again = hub.run("apply", "workflow_dispatch", **{"inputs__plan-run": MAIN_RUN})
    assert again.code == 3
    assert "it was applied already" in again.out


@pytest.mark.parametrize(
    ("number", "changed"),
    [("", {}), ("1; env", {}), (MAIN_RUN, {"head_branch": "topic"}), (MAIN_RUN, {"head_repository_id": 2})],
)
def test_a_chosen_plan_must_be_one_of_main(hub: Hub, number: str, changed: dict[str, Any]) -> None:
    """Neither a text that is no number nor the plan of a branch or a fork gets anywhere."""
    hub.plans_of_main(**changed)
    ran = hub.find("workflow_dispatch", **{"inputs__plan-run": number})
    assert ran.code == 1
    assert "::error::" in ran.out
    assert ran.outputs["reviewed"] == {}


def test_an_apply_that_fails_shows_what_would_be_done(hub: Hub) -> None:
    """And fails with the code of the first failure, though the server is gone for the plan as well."""
    hub.run("plan", "pull_request")
    hub.merge()
    ran = hub.run("apply", "push", secrets__REDIS_URL=NOBODY)
    assert (ran.code, ran.steps[-1]) == (1, "Show what would be done now")


def test_drift_fails_the_run_and_can_be_undone(hub: Hub) -> None:
    """Exit code 2, what it is on the page of the run, and the plan that undoes it kept, to be chosen; 0 without any."""
    applied(hub)
    clean = hub.run("drift", "schedule")
    assert (clean.code, "plan-run" in clean.summary, hub.runner.artifacts) == (0, False, {})
    hub.by_hand()
    ran = hub.run("drift", "schedule")
    assert ran.code == 2, ran.out
    assert "hand" in ran.summary
    assert f"plan-run: {MAIN_RUN}" in ran.summary
    hub.plans_of_main()
    undone = hub.run("apply", "workflow_dispatch", **{"inputs__plan-run": MAIN_RUN})
    assert undone.code == 0, undone.out
    assert hub.run("drift", "schedule").code == 0


def test_no_step_prints_a_secret(hub: Hub) -> None:
    """Neither the log nor the summary nor the kept plan holds the token or the password."""
    hub.cli.client.execute_command("ACL", "SETUSER", "ci", "reset", "on", ">pa55w0rd", "~*", "&*", "+@all")
    try:
        url = hub.cli.url.replace("://", "://ci:pa55w0rd@")
        ran = hub.run("plan", "pull_request", secrets__REDIS_URL_READ=url)
        hub.merge()
        merged = hub.run("apply", "push", secrets__REDIS_URL=url)
    finally:
        hub.cli.client.execute_command("ACL", "DELUSER", "ci")
    assert (ran.code, merged.code) == (0, 0), ran.out + merged.out
    shown = json.dumps([ran.out, ran.summary, merged.out, merged.summary, *hub.forge.bodies()])
    shown += "".join(kept.decode() for kept in hub.runner.artifacts.values())
    assert "pa55w0rd" not in shown
    assert hub.forge.token not in shown


def test_each_job_does_with_the_rights_of_its_user(hub: Hub) -> None:
    """Those of `rvlstate acl`: the first plan, by one user, is applied by another; drift and its repair by a third."""
    lines = hub.cli.run("acl").out.splitlines()
    users = ["shop-plan", "shop-drift", "shop-apply"]
    for line in lines:
        hub.cli.client.execute_command(*line.split())
    for user in users:
        hub.cli.client.execute_command("ACL", "SETUSER", user, ">pw")
    plan, drift, apply = (hub.cli.url.replace("://", f"://{user}:pw@") for user in users)
    try:
        planned = hub.run("plan", "pull_request", secrets__REDIS_URL_READ=plan)
        hub.merge()
        merged = hub.run("apply", "push", secrets__REDIS_URL=apply)
        hub.by_hand()
        drifted = hub.run("drift", "schedule", secrets__REDIS_URL_READ=drift)
    finally:
        hub.cli.client.execute_command("ACL", "DELUSER", *users)
    assert planned.code == 0, planned.out
    assert merged.code == 0, merged.out
    assert "stale" not in merged.out
    assert drifted.code == 2, drifted.out
    assert "plan-run" in drifted.summary
