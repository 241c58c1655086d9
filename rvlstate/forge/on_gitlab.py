"""GitLab CI: what its variables say about the merge request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rvlstate.errors import ForgeError
from rvlstate.forge.target import Target, Wishes, api_url, clean_token, no_number, number_of, repository_name

PUBLIC_SERVER = "https://gitlab.com"
API = "/api/v4"
_PROJECT = re.compile(r"[0-9]+|[\w.-]+(?:/[\w.-]+)+", re.ASCII)


def gitlab_target(environ: Mapping[str, str], wishes: Wishes) -> Target:
    """The merge request of this job, or the one that was wished. Raises UsageError, ForgeError."""
    here = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    paths = (environ.get("CI_MERGE_REQUEST_PROJECT_PATH"), environ.get("CI_PROJECT_PATH"))
    repository = repository_name(wishes.repository or here, _PROJECT, "GROUP/NAME (or the project's number)")
    at_home = repository in (here, *paths)
    found = _number(environ) if at_home else None
    number = 0 if wishes.issues else wishes.number or found
    if number is None:
        raise no_number("gitlab", "CI_MERGE_REQUEST_IID is not set, and CI_OPEN_MERGE_REQUESTS names not exactly one.")
    token, job_token = _token(environ)
    own = bool(number) and number == found
    page = environ.get("CI_MERGE_REQUEST_PROJECT_URL") or environ.get("CI_PROJECT_URL", "")
    source = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    return Target(
        forge="gitlab",
        api=_api(environ),
        repository=repository,
        number=number,
        token=token,
        job_token=job_token,
        commit=(environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA", "")) if own else "",
        status_repository=environ.get("CI_PROJECT_ID", repository) if own else repository,
        pipeline=number_of(environ.get("CI_PIPELINE_ID", "")) if own and _heads_alike(environ) else None,
        request_url=f"{page}/-/merge_requests/{number}" if number and page and at_home else "",
        job_url=environ.get("CI_JOB_URL", ""),
        fork=own and bool(source) and source != here,
        user=environ.get("GITLAB_USER_ID", "") if job_token else "",
    )


def _api(environ: Mapping[str, str]) -> str:
    """The address up to /api/v4, which the library adds."""
    told = environ.get("CI_API_V4_URL", "")
    if told:
        return api_url(told, "CI_API_V4_URL").removesuffix(API)
    return api_url(environ.get("CI_SERVER_URL") or PUBLIC_SERVER, "CI_SERVER_URL")


def _number(environ: Mapping[str, str]) -> int | None:
    """Of a pipeline for a merge request, else of the only open one of the branch (`group/name!5`)."""
    first = number_of(environ.get("CI_MERGE_REQUEST_IID", ""))
    path = environ.get("CI_PROJECT_PATH", "")
    opened = [item.rpartition("!") for item in environ.get("CI_OPEN_MERGE_REQUESTS", "").split(",")]
    numbers = [number for project, _, number in opened if project == path]
    return first or (number_of(numbers[0]) if len(numbers) == 1 else None)


def _token(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The token, and whether it is that of the job. Raises ForgeError."""
    for name, of_job in (("GITLAB_TOKEN", False), ("CI_JOB_TOKEN", True)):
        if environ.get(name, "").strip():
            return clean_token(environ[name], name), of_job
    raise ForgeError(
        "there is no token for GitLab",
        where="GITLAB_TOKEN",
        next_step="set GITLAB_TOKEN, a masked variable, to a project access token with the scope api.",
    )


def _heads_alike(environ: Mapping[str, str]) -> bool:
    """Whether the pipeline is of the very commit that gets the status: GitLab refuses one of another."""
    head = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
    return not head or head == environ.get("CI_COMMIT_SHA")
