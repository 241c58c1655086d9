"""A comment that changes while it is written, a place where none can be written, and the words for limits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from forge_kit import Forge, plan_of
from forge_server import COMMIT, NUMBER, PATH, US, ForgeServer

from rvlstate.forge.body import marker

pytest_plugins = ("forge_fixtures",)

CREATED = plan_of("create")
GROUP = "ab" * 20


def delete_before(server: ForgeServer, comment: dict[str, Any], method: str, part: str) -> None:
    """Have a comment vanish between being read and being changed: the forge answers 404 to that."""
    server.fail(method, part, status=404, body={"message": "Not Found"}, gone=comment["id"])


def test_a_comment_that_was_deleted_meanwhile_is_written_again(forge: Forge) -> None:
    """404 to a change of a comment that is no longer listed says nothing about rights."""
    comment = forge.server.add(marker("shop"), US)
    delete_before(forge.server, comment, forge.change(), forge.comments_part())
    data = forge.data(CREATED)
    assert (data["comment"]["action"], data["notices"]) == ("created", [])
    (body,) = forge.server.bodies()
    assert body.startswith(marker("shop"))
    assert not forge.summary.exists()


def test_a_404_to_a_comment_that_is_still_there_is_a_missing_right(forge: Forge) -> None:
    """Forges do not tell a token that may not write that there is something."""
    forge.server.add(marker("shop"), US)
    forge.server.fail(forge.change(), forge.comments_part(), status=404, body={"message": "Not Found"})
    data = forge.data(CREATED)
    assert data["comment"]["action"] == ("summary" if forge.name == "github" else "output")
    assert len(data["notices"]) == 1


def test_a_double_that_another_job_removed_first_is_no_news(forge: Forge) -> None:
    """Two jobs that heal at once."""
    forge.server.add(marker("shop"), US)
    second = forge.server.add(marker("shop"), US)
    delete_before(forge.server, second, "DELETE", forge.comments_part())
    data = forge.data(CREATED)
    assert (data["comment"]["action"], data["notices"]) == ("updated", [])


@pytest.mark.parametrize(
    "words", ["Unable to create comment because issue is locked.", "Repository was archived so is read-only."]
)
def test_a_locked_conversation_is_not_taken_for_a_missing_right(github: Forge, words: str) -> None:
    """The notice does not send anybody to the permissions of the job."""
    github.server.fail("POST", "/comments", status=403, body={"message": words})
    data = github.data(CREATED)
    assert data["comment"]["action"] == "summary"
    (told,) = data["notices"]
    assert words in told
    assert "unlock it" in told
    assert "permissions:" not in told


@pytest.mark.parametrize(
    "words", ["You have exceeded a secondary rate limit.", "You have triggered an abuse detection mechanism."]
)
def test_a_secondary_limit_waits_a_minute_and_not_for_the_hour(github: Forge, words: str) -> None:
    """GitHub sends the figures of the hour's limit with every answer, also where that limit is far from used up."""
    reset = str(int(time.time()) + 3000)
    headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4990", "x-ratelimit-reset": reset}
    github.server.fail("POST", "/comments", status=403, headers=headers, body={"message": words})
    assert github.post(CREATED).action == "created"
    assert 60 <= github.slept[0] <= 61


def queued(forge: Forge) -> None:
    """Have the job be that of a merge queue."""
    event = {"action": "checks_requested", "merge_group": {"head_sha": GROUP, "base_sha": COMMIT}}
    Path(forge.folder / "event.json").write_text(json.dumps(event))
    forge.patch.setenv("GITHUB_REF", f"refs/heads/gh-readonly-queue/main/pr-{NUMBER}-{GROUP}")
    forge.patch.setenv("GITHUB_SHA", GROUP)


def test_a_merge_queue_gets_the_status_it_waits_for(github: Forge) -> None:
    """The plan of a group is that of several pull requests, so that no comment of theirs is touched."""
    queued(github)
    comment = github.server.add(marker("shop"), US)
    data = github.data(CREATED, "--status")
    assert (data["comment"]["action"], data["status"], data["pull_request"]) == ("summary", "written", 0)
    assert [(status["commit"], status["context"]) for status in github.server.statuses] == [(GROUP, "rvlstate/shop")]
    assert comment["body"] == marker("shop")
    assert "stores" in github.summary.read_text()
    assert "merge queue" in data["notices"][0]


def test_a_request_that_is_named_goes_before_the_queue(github: Forge) -> None:
    """--pull-request says where, and the status is that of its own head."""
    queued(github)
    data = github.data(CREATED, "--status", "--pull-request", str(NUMBER))
    assert (data["comment"]["action"], data["pull_request"]) == ("created", NUMBER)
    assert [status["commit"] for status in github.server.statuses] == [COMMIT]


@pytest.mark.parametrize(
    "event", [{"ref": "refs/heads/main", "after": GROUP}, {"inputs": {}}, {"schedule": "0 6 * * *"}]
)
def test_a_job_without_a_request_says_what_to_add(github: Forge, event: object) -> None:
    """Of a push, by hand, on a schedule: nothing is guessed, nothing is written."""
    Path(github.folder / "event.json").write_text(json.dumps(event))
    github.patch.setenv("GITHUB_REF", "refs/heads/main")
    told = github.comment(CREATED)
    assert (told.code, PATH in told.out) == (64, False)
    assert "--pull-request N" in told.err
    assert github.server.sent("GET", "POST") == []
