"""Where a plan is posted: what the variables of GitHub Actions and GitLab CI say, and what the command line says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forge_kit import github_job, gitlab_job
from forge_server import COMMIT, PATH, ForgeServer

from rvlstate.errors import ForgeError, UsageError
from rvlstate.forge.environment import find_target
from rvlstate.forge.target import Target, Wishes

NOWHERE = ForgeServer(port=1)


def on_github(folder: Path, event: Any = None, **changed: str) -> Target:
    """The target of a job on GitHub."""
    environ = {**github_job(NOWHERE, folder), **changed}
    if event is not None:
        (folder / "event.json").write_text(event if isinstance(event, str) else json.dumps(event))
    return find_target(environ, Wishes())


def on_gitlab(folder: Path, **changed: str) -> Target:
    """The target of a job on GitLab."""
    return find_target({**gitlab_job(NOWHERE, folder), **changed}, Wishes())


def test_a_job_of_github_actions(tmp_path: Path) -> None:
    """Everything is told; the commit is the head of the request and not the merge that was checked out."""
    target = on_github(tmp_path)
    assert (target.forge, target.api, target.repository, target.number) == (
        *("github", "http://127.0.0.1:1/api/v3", PATH),
        5,
    )
    assert target.commit == COMMIT
    assert target.request_url == f"https://github.example/{PATH}/pull/5"
    assert target.job_url == f"https://github.example/{PATH}/actions/runs/77"
    assert not target.fork


def test_a_job_of_gitlab_ci(tmp_path: Path) -> None:
    """The library adds /api/v4 itself; GITLAB_TOKEN goes before that of the job."""
    target = on_gitlab(tmp_path)
    assert (target.forge, target.api, target.repository, target.number) == ("gitlab", "http://127.0.0.1:1", "42", 5)
    assert (target.token, target.job_token) == (NOWHERE.token, False)
    assert (target.commit, target.pipeline) == (COMMIT, 99)


def test_the_public_forges_are_the_default(tmp_path: Path) -> None:
    """Where no variable names another."""
    assert on_github(tmp_path, GITHUB_API_URL="").api == "https://api.github.com"
    assert on_gitlab(tmp_path, CI_API_V4_URL="").api == "https://gitlab.com"
    assert (
        on_gitlab(tmp_path, CI_API_V4_URL="", CI_SERVER_URL="https://git.example/gl/").api == "https://git.example/gl"
    )


@pytest.mark.parametrize(
    "event", [{"issue": {"number": 9, "pull_request": {}}}, {"pull_request": {"number": 9}}], ids=["comment", "request"]
)
def test_the_event_names_the_request(tmp_path: Path, event: object) -> None:
    """That of a pull request, and that of a comment on one; the ref of the latter is that of the main branch."""
    assert on_github(tmp_path, event, GITHUB_REF="refs/heads/main").number == 9


@pytest.mark.parametrize("event", ["", "{", "[]", "null", '{"pull_request": 3}', '{"pull_request": {"number": "x"}}'])
def test_an_event_that_says_nothing_leaves_the_ref(tmp_path: Path, event: str) -> None:
    """The ref names the request, too."""
    target = on_github(tmp_path, event)
    assert (target.number, target.commit, target.fork) == (5, "", False)


@pytest.mark.parametrize("event", [{"issue": {"number": 9}}, {"number": 9}, {}])
def test_an_issue_is_no_request(tmp_path: Path, event: object) -> None:
    """A push or a comment on an issue has no pull request; the error says how to name one."""
    with pytest.raises(UsageError, match="--pull-request N"):
        on_github(tmp_path, event, GITHUB_REF="refs/heads/main")


def test_a_request_from_a_fork_is_known(tmp_path: Path) -> None:
    """On GitLab the pipeline runs in the fork: the comment belongs to one project, the status to the other."""
    environ = github_job(NOWHERE, tmp_path, head="mallory/shop")
    assert find_target(environ, Wishes()).fork
    target = on_gitlab(tmp_path, CI_PROJECT_ID="666", CI_MERGE_REQUEST_SOURCE_PROJECT_ID="666")
    assert (target.fork, target.repository, target.status_repository) == (True, "42", "666")


def test_gitlab_on_a_merge_result(tmp_path: Path) -> None:
    """The status goes to the head of the branch, and not to a pipeline of another commit."""
    target = on_gitlab(tmp_path, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA="a" * 40)
    assert (target.commit, target.pipeline) == ("a" * 40, None)


def test_gitlab_on_a_branch_with_one_open_request(tmp_path: Path) -> None:
    """Branch pipelines know the open requests; two of them are no answer."""
    assert on_gitlab(tmp_path, CI_MERGE_REQUEST_IID="", CI_OPEN_MERGE_REQUESTS=f"{PATH}!8,other/shop!9").number == 8
    with pytest.raises(UsageError):
        on_gitlab(tmp_path, CI_MERGE_REQUEST_IID="", CI_OPEN_MERGE_REQUESTS=f"{PATH}!8,{PATH}!9")


def test_what_is_wished_goes_before_what_is_found(tmp_path: Path) -> None:
    """Another request has another head, which the job does not know."""
    environ = github_job(NOWHERE, tmp_path)
    target = find_target(environ, Wishes(number=6))
    assert (target.number, target.commit) == (6, "")
    target = find_target(environ, Wishes(repository="a/b", number=5))
    assert (target.repository, target.commit, target.status_repository) == ("a/b", "", "a/b")
    assert find_target(environ, Wishes(number=5)).commit == COMMIT
    with pytest.raises(UsageError):
        find_target(environ, Wishes(repository="a/b"))


@pytest.mark.parametrize("name", ["a", "a/b/c", "a/../b", "../b", "a/..", "a b/c", "a/b?x=1", "a/b#", "http://a/b", ""])
def test_a_repository_is_a_repository(tmp_path: Path, name: str) -> None:
    """It stands in the path of the API, and leads nowhere else."""
    environ = {**github_job(NOWHERE, tmp_path), "GITHUB_REPOSITORY": ""}
    with pytest.raises(UsageError, match="no repository"):
        find_target(environ, Wishes(repository=name, number=1))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "x", "http://", "http://a:b:c", "http://[::1"])
def test_an_address_is_an_address(tmp_path: Path, url: str) -> None:
    """The error names the variable."""
    with pytest.raises(UsageError, match="GITHUB_API_URL"):
        on_github(tmp_path, GITHUB_API_URL=url)
    with pytest.raises(UsageError, match="CI_API_V4_URL"):
        on_gitlab(tmp_path, CI_API_V4_URL=url)


def test_an_address_is_kept_without_its_password(tmp_path: Path) -> None:
    """It would stand in errors."""
    assert (
        on_github(tmp_path, GITHUB_API_URL="https://u:hunter2@ghe.example/api/v3/").api == "https://ghe.example/api/v3"
    )


def test_both_or_none_is_a_question() -> None:
    """Outside of CI with the tokens of both, or with none."""
    for environ in ({}, {"GITHUB_TOKEN": "x", "GITLAB_TOKEN": "y"}):
        with pytest.raises(UsageError, match="--forge"):
            find_target(environ, Wishes(repository="a/b", number=1))
    target = find_target({"GH_TOKEN": "x"}, Wishes(repository="a/b", number=1))
    assert (target.forge, target.job_url, target.summary) == ("github", "", "")


def test_the_token_is_in_no_representation(tmp_path: Path) -> None:
    """Of what is passed around."""
    assert NOWHERE.token not in repr(on_github(tmp_path)) + repr(on_gitlab(tmp_path))
    with pytest.raises(ForgeError) as caught:
        on_github(tmp_path, GITHUB_TOKEN="two tokens")  # noqa: S106 - a token of nothing
    assert "two tokens" not in str(caught.value)
