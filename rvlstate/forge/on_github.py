"""GitHub Actions: what its variables and its event say about the pull request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rvlstate.errors import ForgeError
from rvlstate.forge.target import Target, Wishes, api_url, clean_token, no_number, number_of, repository_name

PUBLIC_API = "https://api.github.com"
PUBLIC_SERVER = "https://github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_REF = re.compile(r"refs/pull/([0-9]+)/(?:merge|head)")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def github_target(environ: Mapping[str, str], wishes: Wishes) -> Target:
    """The pull request of this job, or the one that was wished. Raises UsageError, ForgeError.

    The job of a merge queue has none (`number` 0), and the commit of its group waits for a status.
    """
    event = _event(environ)
    here = environ.get("GITHUB_REPOSITORY", "")
    repository = repository_name(wishes.repository or here, _REPOSITORY, "OWNER/NAME")
    found = _number(environ, event) if repository == here else None
    queued = _mapping(event.get("merge_group")) if repository == here else {}
    number = 0 if wishes.issues else wishes.number or found
    if number is None and queued:
        number = 0
    if number is None:
        raise no_number("github", "Neither the event of the job nor GITHUB_REF names one.")
    api = api_url(environ.get("GITHUB_API_URL") or PUBLIC_API, "GITHUB_API_URL")
    server = api_url(environ.get("GITHUB_SERVER_URL") or PUBLIC_SERVER, "GITHUB_SERVER_URL")
    request = _mapping(event.get("pull_request")) if number and number == found else {}
    fork = _is_fork(request)
    run = environ.get("GITHUB_RUN_ID", "")
    return Target(
        forge="github",
        api=api,
        repository=repository,
        number=number,
        token=_token(environ, fork=fork),
        commit=_commit(request) or ("" if number else _hash(queued.get("head_sha"))),
        status_repository=repository,
        request_url=f"{server}/{repository}/pull/{number}" if number else "",
        job_url=f"{server}/{here}/actions/runs/{run}" if here and run.isdigit() else "",
        summary=environ.get("GITHUB_STEP_SUMMARY", ""),
        fork=fork,
    )


def _token(environ: Mapping[str, str], *, fork: bool) -> str:
    """The token; "" only for a fork, whose jobs get no secrets."""
    token = next((clean_token(environ[name], name) for name in TOKENS if environ.get(name, "").strip()), "")
    if not token and not fork:
        raise ForgeError(
            "there is no token for GitHub",
            where="GITHUB_TOKEN",
            why="GitHub Actions hands its token only to steps that ask for it.",
            next_step="add env: {GITHUB_TOKEN: ${{ github.token }}} to the step.",
        )
    return token


def _event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """What started the job; {} if that is not told."""
    path = environ.get("GITHUB_EVENT_PATH", "")
    try:
        return _mapping(json.loads(Path(path).read_bytes())) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _number(environ: Mapping[str, str], event: Mapping[str, Any]) -> int | None:
    """From the event (of a pull request, or of a comment on one), else from the ref."""
    issue = _mapping(event.get("issue"))
    of_event = _mapping(event.get("pull_request")).get("number") or ("pull_request" in issue and issue.get("number"))
    ref = _REF.fullmatch(environ.get("GITHUB_REF", ""))
    return number_of(of_event) or (number_of(ref.group(1)) if ref else None)


def _commit(request: Mapping[str, Any]) -> str:
    """The head of the pull request; GITHUB_SHA is that of a merge that nobody looks at."""
    return _hash(_mapping(request.get("head")).get("sha"))


def _hash(commit: object) -> str:
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else ""


def _is_fork(request: Mapping[str, Any]) -> bool:
    names = [_mapping(_mapping(request.get(side)).get("repo")).get("full_name") for side in ("head", "base")]
    return bool(request) and names[0] != names[1]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
