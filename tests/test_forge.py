"""`rvlstate comment` on both forges: one comment for each project, replaced and never doubled; the commit's status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli_kit import outcome
from forge_kit import VARIABLES, Forge, plan_of
from forge_server import COMMIT, NUMBER, OTHER, PATH, US

from rvlstate.forge.body import is_marked, marker

pytest_plugins = ("forge_fixtures",)
CREATED, CHANGED, EMPTY, REFUSED = (plan_of(case) for case in ("create", "in_place", "empty", "refused"))


def test_the_first_run_writes_the_comment(forge: Forge) -> None:
    """It begins with the marker and holds the plan; the result says where it is."""
    told = forge.comment(CREATED)
    assert told.code == 0, told.err
    (body,) = forge.server.bodies()
    assert body.startswith("<!-- rvlstate:plan:shop -->\n### rvlstate plan: `shop`")
    assert "rvlstate apply plan.json" in body
    assert told.out.startswith("Comment written: https://")
    assert str(forge.server.comments[0]["id"]) in told.out


def test_another_plan_replaces_the_comment(forge: Forge) -> None:
    """The text of the outdated plan is gone, and there is still one comment."""
    forge.comment(CREATED)
    assert forge.comment(CHANGED).out.startswith("Comment updated: ")
    (body,) = forge.server.bodies()
    assert "stores" not in body
    assert "colour" in body
    assert body.count("rvlstate:plan") == 1


def test_the_same_plan_is_not_written_again(forge: Forge) -> None:
    """Nobody gets a notification about nothing, though the forge changed line ends and white space."""
    forge.comment(CREATED)
    comment = forge.server.comments[0]
    comment["body"] = comment["body"].rstrip().replace("\n", "\r\n")
    writes = len(forge.server.sent("POST", forge.change()))
    assert forge.data(CREATED)["comment"]["action"] == "unchanged"
    assert len(forge.server.sent("POST", forge.change())) == writes


def test_an_empty_plan_updates_but_does_not_create(forge: Forge) -> None:
    """Without --always; the comment of what was planned before must not stay."""
    assert forge.data(EMPTY)["comment"] == {"action": "absent", "url": "", "cut": False}
    assert forge.server.bodies() == []
    assert forge.data(EMPTY, "--always")["comment"]["action"] == "created"
    forge.comment(CREATED)
    assert forge.data(EMPTY)["comment"]["action"] == "updated"
    assert "No changes" in forge.server.bodies()[0]


def test_the_comment_is_found_on_a_later_page(forge: Forge) -> None:
    """All pages are searched, by the links that the forge gives."""
    forge.server.page_size = 10
    for number in range(25):
        forge.server.add(f"remark {number}")
    forge.server.add(marker("shop"), US)
    assert forge.data(CREATED)["comment"]["action"] == "updated"
    assert len(forge.server.comments) == 26
    assert len(forge.server.sent("GET")) >= 3


def test_each_project_has_a_comment_of_its_own(forge: Forge) -> None:
    """A name that begins like another is another."""
    forge.comment(CREATED)
    forge.comment(plan_of("create", project="shop2"))
    assert [is_marked(body, marker("shop")) for body in forge.server.bodies()] == [True, False]
    assert forge.data(CREATED)["comment"]["action"] == "unchanged"


def test_each_environment_has_a_comment_and_a_status_of_its_own(forge: Forge) -> None:
    """One pull request shows what it does to staging and to production; the command to run names which."""
    for environment in ("staging", "production", "staging"):
        data = forge.data(CREATED, "--env", environment, "--status")
        assert data["environment"] == environment
    assert [body.partition("\n")[0] for body in forge.server.bodies()] == [
        *("<!-- rvlstate:plan:shop:staging -->", "<!-- rvlstate:plan:shop:production -->"),
    ]
    assert "rvlstate --env staging apply plan.json" in forge.server.bodies()[0]
    contexts = {status.get("context", status.get("name")) for status in forge.server.statuses}
    assert contexts == {"rvlstate/shop/staging", "rvlstate/shop/production"}


def test_a_comment_of_somebody_else_with_our_marker_is_left_alone(forge: Forge) -> None:
    """They could change it behind our back; we write our own and say so."""
    forge.server.add(f"{marker('shop')}\nAll is well, merge it.", OTHER)
    data = forge.data(CREATED)
    assert data["comment"]["action"] == "created"
    assert "somebody else" in data["notices"][0]
    assert forge.server.bodies()[0].endswith("merge it.")
    assert forge.data(CREATED)["comment"]["action"] == "unchanged"


def test_two_comments_of_our_own_become_one(forge: Forge) -> None:
    """Two jobs at once may have made them; the older one stays, for links lead to it."""
    first, _, second = (
        forge.server.add(marker("shop"), US),
        forge.server.add("ha"),
        forge.server.add(marker("shop"), US),
    )
    forge.comment(CREATED)
    assert first in forge.server.comments
    assert second not in forge.server.comments
    assert "stores" in first["body"]


def test_a_double_that_cannot_be_removed_is_told(forge: Forge) -> None:
    """The comment is up to date all the same."""
    for _ in range(2):
        forge.server.add(marker("shop"), US)
    forge.server.fail("DELETE", forge.comments_part(), status=403, body={"message": "Forbidden"})
    data = forge.data(CREATED)
    assert data["comment"]["action"] == "updated"
    assert "stays" in data["notices"][0]


def test_a_quote_of_our_comment_is_not_our_comment(forge: Forge) -> None:
    """The marker counts as the first line alone."""
    forge.server.add(f"> {marker('shop')}\n> plan", US)
    forge.server.add(f"look:\n{marker('shop')}", US)
    assert forge.data(CREATED)["comment"]["action"] == "created"


@pytest.mark.parametrize(
    ("plan", "state"), [(CREATED, "success"), (EMPTY, "success"), (REFUSED, "failure")], ids=["some", "none", "refused"]
)
def test_the_status_is_the_verdict(forge: Forge, plan: object, state: str) -> None:
    """On the head of the pull request, not on the merge that the job runs on; one line, with a link to the job."""
    data = forge.data(plan, "--status")  # type: ignore[arg-type]
    assert (data["status"], data["verdict"]["state"]) == ("written", state)
    (status,) = forge.server.statuses
    assert status["commit"] == COMMIT
    assert status["state"] == {"github": state, "gitlab": state.replace("failure", "failed")}[forge.name]
    assert status.get("context", status.get("name")) == "rvlstate/shop"
    assert 0 < len(status["description"]) <= 140
    assert status["target_url"].startswith(("https://github.example/", "https://gitlab.example/"))


def test_the_same_status_twice_is_well(forge: Forge) -> None:
    """GitLab refuses a status that a commit has already; it is not asked."""
    for _ in range(2):
        assert forge.data(CREATED, "--status")["status"] == "written"


def test_the_head_is_asked_for_where_the_job_is_of_something_else(forge: Forge) -> None:
    """With --pull-request from a job of a branch, nobody says which commit is meant."""
    for name in ("GITHUB_EVENT_PATH", "GITHUB_REF", "CI_MERGE_REQUEST_IID", "CI_COMMIT_SHA"):
        forge.patch.delenv(name, raising=False)
    assert forge.comment(CREATED).code == 64
    data = forge.data(CREATED, "--pull-request", str(NUMBER), "--status")
    assert (data["pull_request"], data["status"]) == (NUMBER, "written")
    assert forge.server.statuses[0]["commit"] == COMMIT


def test_outside_of_ci_the_options_say_where(forge: Forge) -> None:
    """A token, an address and three options are enough; a GitLab project may be told by its path."""
    version, api, token = ("v3", "GITHUB_API_URL", "GITHUB_TOKEN")
    if forge.name == "gitlab":
        version, api, token = ("v4", "CI_API_V4_URL", "GITLAB_TOKEN")
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        forge.patch.delenv(name)
    assert forge.comment(CREATED).code == 64
    forge.patch.setenv(api, f"{forge.server.url}/api/{version}")
    forge.patch.setenv(token, forge.server.token)
    words = ("--forge", forge.name, "--repository", PATH, "--pull-request", str(NUMBER))
    assert forge.data(CREATED, *words)["comment"]["action"] == "created"


def test_the_same_plan_gives_the_same_json(forge: Forge) -> None:
    """Stable names for scripts."""
    data = forge.data(CREATED, "--status")
    assert sorted(data) == [
        *("comment", "environment", "forge", "markdown", "notices"),
        *("project", "pull_request", "repository", "status", "verdict"),
    ]
    assert (data["forge"], data["project"], data["markdown"]) == (forge.name, "shop", "")


def test_through_python(forge: Forge) -> None:
    """The same without the command line."""
    posted = forge.post(CREATED, plan_file="p.json", status=True)
    assert (posted.action, posted.status) == ("created", "written")
    assert forge.post(CHANGED).action == "updated"


def test_many_indexes_fit(forge: Forge) -> None:
    """Hundreds of indexes at once are one comment that the forge takes."""
    assert forge.data(plan_of("many"))["comment"]["action"] == "created"
    assert len(forge.server.bodies()[0]) <= 65_536


def test_as_a_process_of_its_own(forge: Forge) -> None:
    """As a job calls it: the result on stdout, nothing on stderr, and no server is asked."""
    command = [sys.executable, "-m", "rvlstate.cli.main", "comment", "--plan", str(forge.save(CREATED))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Comment written: https://")


def test_the_page_about_it_is_right(forge: Forge) -> None:
    """Its Python runs as it stands, its workflows are YAML, and every option it names is one."""
    page = (Path(__file__).parent.parent / "docs" / "pull-requests.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["yaml", "yaml", "json", "python"]
    forge.save(CREATED)
    done = subprocess.run(
        [sys.executable, "-c", blocks[3][1]], cwd=forge.folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("Comment written: https://"), done.stderr
    assert all(yaml.safe_load(text) for language, text in blocks if language == "yaml")
    assert json.loads(blocks[2][1]).keys() == forge.data(CREATED, "--status").keys()
    shown = outcome(forge.capture, "comment", "--help").out + outcome(forge.capture, "plan", "--help").out
    assert {option for option in re.findall(r"--[a-z-]{3,}", page) if option not in shown} == set()
