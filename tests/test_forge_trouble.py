"""`rvlstate comment` when the forge or the network fails: retries, limits, rights, and what is said about it."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from email.utils import formatdate
from typing import Any

import pytest
from cli_kit import outcome
from forge_kit import Forge, github_job, plan_of
from forge_server import COMMIT, FORBIDDEN, US

from rvlstate.errors import ForgeError
from rvlstate.forge.body import marker

pytest_plugins = ("forge_fixtures",)
CREATED, CHANGED = plan_of("create"), plan_of("in_place")
LIMITED = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
PASSING: list[dict[str, Any]] = [
    *({"status": status} for status in (500, 502, 503, 504)),
    *({"how": how} for how in ("cut", "partial")),
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "change"])
def test_what_passes_is_tried_again(forge: Forge, fault: dict[str, Any], method: str) -> None:
    """5xx and connections that break, while reading and while writing; the pauses grow and are told."""
    if method == "change":
        forge.server.add(marker("shop"), US)
    forge.server.fail(forge.change() if method == "change" else method, forge.comments_part(), **fault, times=2)
    assert forge.post(CREATED).action == ("updated" if method == "change" else "created")
    assert len(forge.slept) == 2
    assert len(forge.told) == 2
    assert all(0 <= pause <= 10 for pause in forge.slept)
    assert len(forge.server.comments) == 1


def test_the_pauses_have_jitter(github: Forge) -> None:
    """Jobs that failed in the same moment do not come back in the same moment."""
    github.server.fail("GET", "/comments", status=500, times=4)
    github.post(CREATED)
    assert len(set(github.slept)) == 4


def test_a_failure_that_stays_is_an_error(forge: Forge) -> None:
    """After five attempts, with what it said; nothing was written."""
    forge.server.fail("GET", forge.comments_part(), status=503, body={"message": "Back soon"}, times=9)
    with pytest.raises(ForgeError) as caught:
        forge.post(CREATED)
    assert "503: Back soon" in str(caught.value)
    assert caught.value.where == forge.target.api
    assert len(forge.server.sent("GET")) == 5
    assert forge.server.bodies() == []


def test_a_comment_that_was_written_all_the_same_is_not_written_twice(forge: Forge) -> None:
    """The answer to the first attempt was lost; before the second one it is looked for."""
    forge.server.fail("POST", forge.comments_part(), how="work_then_cut")
    assert forge.post(CREATED).action == "created"
    assert len(forge.server.comments) == 1


def test_silence_ends_and_is_tried_again(forge: Forge) -> None:
    """A server that hangs is left after the timeout; through the command line."""
    forge.server.fail("GET", forge.comments_part(), how="hang")
    told = forge.comment(CREATED, "--timeout", "1")
    assert told.code == 0, told.err
    assert "trying again in" in told.err
    assert "did not answer in time" in told.err


def test_endless_silence_is_an_error(forge: Forge) -> None:
    """It says where, and what to do."""
    forge.server.fail("GET", forge.comments_part(), how="hang", times=9)
    with pytest.raises(ForgeError, match="cannot be reached") as caught:
        forge.post(CREATED, timeout=1, attempts=2)
    assert "did not answer in time" in caught.value.why


def test_nobody_listens(forge: Forge) -> None:
    """A refused connection is told as that, and not as the objects of a library."""
    forge.patch.setenv("GITHUB_API_URL", "http://127.0.0.1:1/api/v3")
    forge.patch.setenv("CI_API_V4_URL", "http://127.0.0.1:1/api/v4")
    with pytest.raises(ForgeError) as caught:
        forge.post(CREATED, attempts=2)
    assert "Connection refused" in caught.value.why
    assert "object at" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 403])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_retry_after_is_honoured_and_told(forge: Forge, status: int, method: str) -> None:
    """A primary limit (429) and a secondary one (403)."""
    fault = {"status": status, "headers": {"Retry-After": "7"}, "body": LIMITED}
    forge.server.fail(method, forge.comments_part(), **fault)
    assert forge.post(CREATED).action == "created"
    assert 7 <= forge.slept[0] <= 8
    assert "limits the rate of requests; waiting 7 s" in forge.told[0]


def test_a_retry_after_may_be_a_date(github: Forge) -> None:
    """As HTTP allows."""
    github.server.fail("GET", "/comments", status=429, headers={"Retry-After": formatdate(time.time() + 30)})
    github.post(CREATED)
    assert 25 <= github.slept[0] <= 31


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "IN 30"}, 25, 32),
        ({"RateLimit-Reset": "0"}, 0, 1),
        ({}, 60, 61),
        ({"Retry-After": "soon"}, 60, 61),
    ],
    ids=["reset", "reset-gitlab", "nothing", "nonsense"],
)
def test_a_limit_is_waited_for_until_it_is_reset(
    forge: Forge, headers: dict[str, str], least: float, most: float
) -> None:
    """By x-ratelimit-reset; a minute where nothing is said."""
    headers = {name: value.replace("IN 30", str(int(time.time()) + 30)) for name, value in headers.items()}
    forge.server.fail("GET", forge.comments_part(), status=429, headers=headers, body=LIMITED)
    forge.post(CREATED)
    assert least <= forge.slept[0] <= most


def test_a_forge_under_repair_says_when_it_is_back(forge: Forge) -> None:
    """503 with Retry-After is waited for as well, and not for an hour."""
    forge.server.fail("GET", forge.comments_part(), status=503, headers={"Retry-After": "9"})
    assert forge.post(CREATED).action == "created"
    assert 9 <= forge.slept[0] <= 10
    assert "asks to come back later" in forge.told[0]
    forge.server.fail("GET", forge.comments_part(), status=503, headers={"Retry-After": "3600"})
    with pytest.raises(ForgeError, match="fails at the moment"):
        forge.post(CREATED)


def test_a_secondary_limit_without_headers_is_no_missing_right(github: Forge) -> None:
    """GitHub says 403 to both; the words tell them apart."""
    github.server.fail("POST", "/comments", status=403, body=LIMITED)
    assert github.post(CREATED).action == "created"
    assert github.slept[0] >= 60


def test_a_wait_that_is_too_long_is_an_error(forge: Forge) -> None:
    """It is not slept through, and is not taken for a missing right."""
    forge.server.fail("POST", forge.comments_part(), status=403, headers={"Retry-After": "3600"}, body=LIMITED)
    told = forge.comment(CREATED, "--wait", "5")
    assert told.code == 1
    assert "a longer wait than is allowed" in told.err
    assert "--wait" in told.err
    assert not forge.summary.exists()


def test_the_waits_together_are_limited(forge: Forge) -> None:
    """A server that asks for a minute again and again is left in the end."""
    forge.server.fail("GET", forge.comments_part(), status=429, headers={"Retry-After": "50"}, times=9)
    with pytest.raises(ForgeError):
        forge.post(CREATED, wait=120)
    assert len(forge.slept) == 2


def test_a_token_that_may_only_read_degrades(github: Forge) -> None:
    """Exit 0: the plan is in the job summary, and a notice says what to grant."""
    github.server.rights = "read"
    told = github.comment(CREATED, "--status")
    assert told.code == 0, told.err
    assert told.out.startswith("Not commented; the plan is in the job summary.\n")
    assert "pull-requests: write" in told.out
    assert "statuses: write" in told.out
    assert "### rvlstate plan: `shop`" in github.summary.read_text()
    assert github.server.bodies() == []
    assert github.server.statuses == []


def test_the_summary_is_added_to(github: Forge) -> None:
    """What other steps wrote stays."""
    github.server.rights = "read"
    github.summary.write_text("others\n")
    github.comment(CREATED)
    assert github.summary.read_text().startswith("others\n<!-- rvlstate")


@pytest.mark.parametrize("variable", ["", "/nowhere/at/all"])
def test_without_a_summary_the_plan_is_the_result(github: Forge, variable: str) -> None:
    """No file, or one that cannot be written."""
    github.server.rights = "read"
    github.patch.setenv("GITHUB_STEP_SUMMARY", variable)
    told = github.comment(CREATED)
    assert told.code == 0
    assert "### rvlstate plan: `shop`" in told.out
    assert ("cannot be written" in told.out) == bool(variable)


def test_on_gitlab_the_plan_goes_to_the_log(gitlab: Forge) -> None:
    """There is no job summary; with JSON it is in the data."""
    gitlab.server.rights = "read"
    told = gitlab.comment(CREATED)
    assert told.code == 0, told.err
    assert "Not commented; the plan is below." in told.out
    assert "scope api" in told.out
    data = gitlab.data(CREATED, "--status")
    assert data["comment"]["action"] == "output"
    assert data["status"] == "refused"
    assert "### rvlstate plan" in data["markdown"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_every_way_of_refusing_a_write_degrades(forge: Forge, status: int) -> None:
    """Forges answer 404 where they do not want to tell; the words are in the notice."""
    forge.server.fail("POST", forge.comments_part(), status=status, body={"message": "No, thank you"})
    posted = forge.post(CREATED)
    assert posted.action == ("summary" if forge.name == "github" else "output")
    assert f"{status}: No, thank you" in posted.notices[0]
    assert forge.slept == []


def test_a_comment_that_may_not_be_changed_degrades(forge: Forge) -> None:
    """A locked conversation, for one."""
    forge.server.add(marker("shop"), US)
    forge.server.fail(forge.change(), forge.comments_part(), status=403, body={"message": "locked"})
    assert forge.post(CREATED).action in ("summary", "output")


def test_a_job_without_the_right_to_read_degrades(github: Forge) -> None:
    """A private repository answers 403 to reading, too, if the job was not given the right."""
    github.server.fail("GET", "/comments", status=403, body=FORBIDDEN)
    assert github.post(CREATED).action == "summary"


def test_a_fork_is_told_as_such(github: Forge) -> None:
    """Its token may only read, or there is none at all, and nobody can grant anything."""
    for name, value in github_job(github.server, github.folder, head="mallory/shop").items():
        github.patch.setenv(name, value)
    github.server.rights = "read"
    assert "comes from a fork" in github.data(CREATED)["notices"][0]
    github.patch.setenv("GITHUB_TOKEN", "")
    github.server.seen.clear()
    data = github.data(CREATED, "--status")
    assert data["comment"]["action"] == "summary"
    assert data["status"] == "refused"
    assert "no token" in data["notices"][0]
    assert github.server.seen == []


def test_the_token_of_a_gitlab_job_degrades(gitlab: Forge) -> None:
    """It may not comment, as GitLab stands; a later GitLab that lets it is taken at its word."""
    gitlab.patch.delenv("GITLAB_TOKEN")
    told = gitlab.comment(CREATED)
    assert told.code == 0, told.err
    assert "The token of a CI job may not do this" in told.out
    gitlab.patch.setenv("CI_JOB_TOKEN", gitlab.server.token)
    gitlab.patch.setenv("GITLAB_USER_ID", str(US))
    assert [gitlab.data(plan)["comment"]["action"] for plan in (CREATED, CHANGED)] == ["created", "updated"]


def test_a_wrong_token_is_an_error(forge: Forge) -> None:
    """Exit 1, with what to do; it is no question of rights."""
    forge.server.token = "another-token"  # noqa: S105 - a token of nothing
    told = forge.comment(CREATED, "--format", "json")
    assert (told.code, told.out) == (1, "")
    error = json.loads(told.err.splitlines()[-1])
    assert error["error"] == "forge"
    assert "does not know the token" in error["what"]
    assert error["next"]


def test_a_private_repository_and_a_token_of_another_is_an_error(forge: Forge) -> None:
    """Both forges answer 404; the message says that it may be the token."""
    forge.server.rights = "none"
    told = forge.comment(CREATED)
    assert told.code == 1
    assert "may not read a private repository" in told.err
    assert not forge.summary.exists()


def test_no_token_is_an_error_that_shows_the_line_to_add(forge: Forge) -> None:
    """Actions hand theirs only to steps that ask."""
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN"):
        forge.patch.delenv(name, raising=False)
    told = forge.comment(CREATED)
    assert told.code == 1
    assert ("github.token" in told.err) == (forge.name == "github")


def test_a_422_says_what_the_forge_said(github: Forge) -> None:
    """With its details; nothing is tried again."""
    error = {"resource": "IssueComment", "field": "data", "code": "unprocessable", "message": "Body is cursed"}
    body = {"message": "Validation Failed", "errors": [error, {"resource": "X", "field": "y", "code": "z"}, "odd"]}
    github.server.fail("POST", "/comments", status=422, body=body)
    told = github.comment(CREATED)
    assert told.code == 1
    assert "It answered 422: Validation Failed; Body is cursed; X y z; odd" in told.err
    assert len(github.server.sent("POST")) == 1


def test_a_400_of_gitlab_says_what_it_said(gitlab: Forge) -> None:
    """GitLab's messages may be mappings."""
    gitlab.server.fail("POST", "/notes", status=400, body={"message": {"note": ["is too odd"]}})
    told = gitlab.comment(CREATED)
    assert told.code == 1
    assert "is too odd" in told.err


def test_a_status_that_may_not_be_set_leaves_the_comment(forge: Forge) -> None:
    """The comment is written, and a notice says what the status needs."""
    forge.server.fail("POST", "/statuses/", status=403, body={"message": "no"})
    data = forge.data(CREATED, "--status")
    assert (data["comment"]["action"], data["status"]) == ("created", "refused")
    assert "status" in data["notices"][0]


def test_a_status_that_fails_is_an_error_that_tells_of_the_comment(forge: Forge) -> None:
    """Somebody who reads it knows that half of it is done."""
    forge.server.fail("POST", "/statuses/", status=422, body={"message": f"No commit found for SHA: {COMMIT}"})
    told = forge.comment(CREATED, "--status")
    assert told.code == 1
    assert "No commit found" in told.err
    assert "Comment written." in told.err
    assert len(forge.server.comments) == 1


def test_the_page_of_a_proxy_is_no_answer(forge: Forge) -> None:
    """200 with HTML in it: an error that names the variable with the address."""
    forge.server.fail("GET", forge.comments_part(), how="garbage")
    told = forge.comment(CREATED)
    assert told.code == 1
    assert "did not answer as its API does" in told.err
    assert ("GITHUB_API_URL" if forge.name == "github" else "CI_API_V4_URL") in told.err
    assert forge.server.bodies() == []


@pytest.mark.parametrize("body", [{"message": None}, [], {}, {"errors": {}}], ids=repr)
def test_an_error_without_words_is_an_error_still(forge: Forge, body: object) -> None:
    """Whatever stands in the body of an error, it is no crash."""
    forge.server.fail("POST", forge.comments_part(), status=418, body=body)
    told = forge.comment(CREATED)
    assert told.code == 1
    assert "It answered 418" in told.err


def test_a_huge_error_is_cut(forge: Forge) -> None:
    """Megabytes of words, and all in one line."""
    forge.server.fail("POST", forge.comments_part(), status=418, body={"message": "a\n::error::b " * 500_000})
    told = forge.comment(CREATED)
    assert told.code == 1
    assert len(told.err) < 2_000
    assert not any(line.strip().startswith("::") for line in told.err.splitlines())


def test_an_error_of_another_shape_is_no_crash(forge: Forge) -> None:
    """A text or a list where a mapping is due; the library of GitHub does not get over it."""
    for body in ("text", ["text"]):
        forge.server.fail("POST", forge.comments_part(), status=418, body=body)
        assert forge.comment(CREATED).code == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_follows_no_redirection_to_another_host(forge: Forge, status: int) -> None:
    """A header of GitLab's own would be sent along to any host; it is an error that says where it led."""
    elsewhere = f"http://localhost:{forge.server.port}/stolen"
    forge.server.fail("GET", forge.comments_part(), status=status, headers={"Location": elsewhere}, body=[])
    told = forge.comment(CREATED)
    assert not any(seen.path == "/stolen" for seen in forge.server.seen)
    if forge.name == "gitlab" or status == 301:
        assert told.code == 1
        assert "localhost" in told.err


def test_the_next_page_is_of_the_same_host(forge: Forge) -> None:
    """A link to elsewhere is not followed with the token."""
    link = {"link": f'<http://localhost:{forge.server.port}/stolen?page=2>; rel="next"'}
    note = {"id": 1, "body": "x", "user": None, "author": None}
    forge.server.fail("GET", forge.comments_part(), status=200, headers=link, body=[note])
    assert forge.comment(CREATED).code == 1
    assert len(forge.server.seen) <= 2
    assert {seen.headers["host"] for seen in forge.server.seen} == {f"127.0.0.1:{forge.server.port}"}


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("GET", {"status": 401, "body": {"message": "Bad credentials: TOKEN"}}),
    ("POST", {"status": 403, "body": {"message": "TOKEN may not"}}),
    ("POST", {"status": 422, "body": {"message": "x", "errors": ["TOKEN"]}}),
    ("GET", {"status": 500, "body": {"message": "TOKEN"}}),
    ("GET", {"how": "cut"}),
    ("GET", {"status": 301, "headers": {"Location": "http://user:TOKEN@elsewhere/"}}),
    ("GET", {"how": "garbage"}),
]


@pytest.mark.parametrize(("method", "fault"), FAULTS, ids=str)
@pytest.mark.parametrize("words", [(), ("--format", "json"), ("--log-format", "json", "-v")], ids=str)
def test_the_token_is_in_no_output(
    forge: Forge, method: str, fault: dict[str, Any], words: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Not in results, errors, retries or logs, though the server says it back."""
    token = forge.server.token
    said = json.loads(json.dumps(fault).replace("TOKEN", token))
    forge.server.fail(method, forge.comments_part(), **said)
    with caplog.at_level(logging.INFO):
        told = forge.comment(CREATED, "--wait", "0", "--timeout", "1", *words)
    assert told.code in (0, 1)
    for text in (told.out, told.err, caplog.text, repr(forge.target)):
        assert token not in text
    if forge.summary.exists():
        assert token not in forge.summary.read_text()


def test_the_token_is_in_no_exception(forge: Forge) -> None:
    """Nor in the text of the error that a script would log."""
    forge.server.fail("GET", forge.comments_part(), status=500, body={"message": forge.server.token}, times=9)
    with pytest.raises(ForgeError) as caught:
        forge.post(CREATED)
    trace = "".join(traceback.format_exception(caught.value))
    assert "It answered 500: ***" in trace
    assert forge.server.token not in f"{caught.value!r} {vars(caught.value)} {forge.told} {trace}"


@pytest.mark.parametrize("value", ["tok en", "tok\nen", "tök", "a\r\nX-Evil: 1", "a\x1b[31m"])
def test_a_token_with_more_in_it_is_refused_unseen(forge: Forge, value: str) -> None:
    """A library would show the whole header in its error."""
    name = "GITHUB_TOKEN" if forge.name == "github" else "GITLAB_TOKEN"
    forge.patch.setenv(name, value)
    told = forge.comment(CREATED)
    assert told.code == 1
    assert value not in told.err
    assert name in told.err


def test_a_token_with_a_line_end_is_a_token(forge: Forge) -> None:
    """Secrets that were pasted often have one."""
    forge.patch.setenv("GITHUB_TOKEN" if forge.name == "github" else "GITLAB_TOKEN", f" {forge.server.token}\n")
    assert forge.comment(CREATED).code == 0


def test_who_we_are_may_be_unknown(github: Forge) -> None:
    """Where GraphQL is closed, a bot's comment with the marker counts as ours, a person's never."""
    github.server.add(f"{marker('shop')}\nby a person")
    github.server.fail("POST", "/graphql", status=403, body=FORBIDDEN, times=9)
    assert [github.post(plan).action for plan in (CREATED, CHANGED)] == ["created", "updated"]
    assert github.server.bodies()[0].endswith("by a person")


@pytest.mark.parametrize("open_to_graphql", [True, False])
def test_the_token_of_a_person_knows_its_comments(github: Forge, open_to_graphql: bool) -> None:
    """Also on a GitHub Enterprise whose GraphQL is closed: such a token is told by REST who it is."""
    github.server.person = True
    if not open_to_graphql:
        github.server.fail("POST", "/graphql", status=404, body={"message": "Not Found"}, times=9)
    assert [github.post(plan).action for plan in (CREATED, CHANGED)] == ["created", "updated"]


def test_a_deleted_account_is_no_trouble(github: Forge) -> None:
    """Its comments have no author."""
    comment = {"id": 1, "body": marker("shop"), "user": None, "html_url": "x"}
    github.server.fail("GET", "/comments", status=200, body=[comment])
    assert github.post(CREATED).action == "created"


def test_a_library_that_is_missing_is_told(forge: Forge) -> None:
    """With the extra to install."""
    forge.patch.setitem(sys.modules, forge.name, None)
    forge.patch.delitem(sys.modules, f"rvlstate.forge.{forge.name}_client", raising=False)
    told = forge.comment(CREATED)
    assert told.code == 1
    assert "pip install 'rvlstate[comment]'" in told.err


def test_a_file_that_is_no_plan_is_told(forge: Forge) -> None:
    """Nothing is sent."""
    path = forge.save(CREATED)
    path.write_text(path.read_text().replace('"shop"', '"<!-- -->"', 1))
    told = outcome(forge.capture, "comment", "--plan", str(path))
    assert told.code == 1
    assert "was changed after it was made" in told.err
    assert forge.server.seen == []
