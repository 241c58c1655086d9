"""Merge requests on GitLab, also self-hosted, through python-gitlab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gitlab
import requests
from gitlab.exceptions import GitlabError
from requests.adapters import HTTPAdapter

from rvlstate import __version__
from rvlstate.forge.client import Issue, Remark
from rvlstate.forge.failure import ForgeFailure, presentable
from rvlstate.forge.target import Target
from rvlstate.forge.transport import NONSENSE, of_transport
from rvlstate.forge.verdict import Verdict

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

PER_PAGE = 100
STATES = {"success": "success", "failure": "failed"}
ONCE: dict[str, Any] = {"obey_rate_limit": False, "retry_transient_errors": False}
"""The library's own retries are off: they wait for as long as any server says, and tell nobody."""


class GitlabClient:
    """A merge request through python-gitlab."""

    def __init__(self, target: Target, timeout: int) -> None:
        self._target = target
        self._headers: dict[str, str] = {}
        self._session = requests.Session()
        # A token in a header of GitLab's own would follow a redirection or a link to any host.
        self._session.max_redirects = 0
        self._session.adapters.clear()
        self._session.mount(f"{target.api}/api/", HTTPAdapter())
        self._session.hooks["response"].append(self._remember)
        self._gitlab = gitlab.Gitlab(
            target.api,
            private_token=None if target.job_token else target.token,
            job_token=target.token if target.job_token else None,
            timeout=timeout,
            per_page=PER_PAGE,
            keep_base_url=True,
            user_agent=f"rvlstate/{__version__}",
            session=self._session,
        )

    def close(self) -> None:
        """Close every socket."""
        self._session.close()

    def me(self) -> str:
        """The number of the token's user; a project access token has a user of its own."""
        with self._asking():
            data: Any = self._gitlab.http_get("/user", **ONCE)
            return str(data["id"])

    def remarks(self) -> list[Remark]:
        """All comments, oldest first, without what GitLab notes itself."""
        with self._asking():
            notes = self._request().notes.list(iterator=True, order_by="created_at", sort="asc", **ONCE)
            return [self._remark(note.attributes) for note in notes if not note.attributes.get("system")]

    def create(self, body: str) -> Remark:
        """Write a comment."""
        with self._asking(writing=True):
            return self._remark(self._request().notes.create({"body": body}, **ONCE).attributes)

    def update(self, remark: Remark, body: str) -> None:
        """Replace a comment's text."""
        with self._asking(writing=True):
            self._request().notes.update(remark.id, {"body": body}, **ONCE)

    def delete(self, remark: Remark) -> None:
        """Remove a comment."""
        with self._asking(writing=True):
            self._request().notes.delete(remark.id, **ONCE)

    def head(self) -> str:
        """The commit that the merge request leads to."""
        with self._asking():
            project = self._gitlab.projects.get(self._target.repository, lazy=True)
            return str(project.mergerequests.get(self._target.number, **ONCE).attributes["sha"])

    def set_status(self, commit: str, verdict: Verdict) -> None:
        """Give a commit its status; GitLab refuses the one that it has already, which is as good."""
        told = {"state": STATES[verdict.state], "name": verdict.context, "description": verdict.description}
        url = self._target.job_url or self._target.request_url
        link = {"target_url": url} if url else {}
        pipeline = {"pipeline_id": self._target.pipeline} if self._target.pipeline else {}
        named: dict[str, Any] = {"name": verdict.context, **pipeline}
        with self._asking(writing=True):
            project = self._gitlab.projects.get(self._target.status_repository, lazy=True)
            statuses = project.commits.get(commit, lazy=True).statuses
            held = statuses.list(get_all=True, **named, **ONCE)
            if not any(_holds(status.attributes, told) for status in held):
                statuses.create({**told, **link, **pipeline}, **ONCE)

    def issues(self, label: str) -> list[Issue]:
        """All issues with a label."""
        with self._asking():
            found = self._project().issues.list(
                iterator=True, labels=[label], state="all", order_by="created_at", sort="asc", **ONCE
            )
            return [_issue(issue.attributes) for issue in found]

    def open_issue(self, title: str, body: str, label: str) -> Issue:
        """Open an issue."""
        with self._asking(writing=True):
            made = self._project().issues.create({"title": title, "description": body, "labels": label}, **ONCE)
            return _issue(made.attributes)

    def update_issue(self, issue: Issue, *, is_open: bool, title: str = "", body: str = "") -> None:
        """Open or close an issue, and change its texts; GitLab knows the two as events."""
        changed = {key: text for key, text in (("title", title), ("description", body)) if text}
        event = {} if is_open == issue.is_open else {"state_event": "reopen" if is_open else "close"}
        with self._asking(writing=True):
            self._project().issues.update(issue.number, {**changed, **event}, **ONCE)

    def remark_on(self, issue: Issue, body: str) -> None:
        """Write a comment on an issue."""
        with self._asking(writing=True):
            self._project().issues.get(issue.number, lazy=True).notes.create({"body": body}, **ONCE)

    def _project(self) -> Project:
        return self._gitlab.projects.get(self._target.repository, lazy=True)

    def _request(self) -> ProjectMergeRequest:
        project = self._gitlab.projects.get(self._target.repository, lazy=True)
        return project.mergerequests.get(self._target.number, lazy=True)

    def _remark(self, note: dict[str, Any]) -> Remark:
        author = note.get("author") or {}
        page = self._target.request_url
        return Remark(
            id=int(note["id"]),
            author=str(author.get("id", "")),
            bot=False,
            body=note.get("body") or "",
            url=f"{page}#note_{note['id']}" if page else "",
        )

    def _remember(self, response: requests.Response, *_: object, **__: object) -> None:
        """Keep the headers of the last answer, which the library's errors do not have."""
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    @contextmanager
    def _asking(self, *, writing: bool = False) -> Iterator[None]:
        """Turns what the library raises into ForgeFailure, and drops it: a server may have said the token back."""
        token = self._target.token
        try:
            yield
        except GitlabError as error:
            raise self._answered(error, writing=writing) from None
        except requests.RequestException as error:
            raise of_transport(error, token, writing=writing) from None
        except NONSENSE as error:
            message = presentable(f"{type(error).__name__}: {error}", token)
            raise ForgeFailure(trouble="nonsense", message=message, writing=writing) from None

    def _answered(self, error: GitlabError, *, writing: bool) -> ForgeFailure:
        message = presentable(error.error_message, self._target.token)
        if error.response_code is None:
            return ForgeFailure(trouble="nonsense", message=message, writing=writing)
        return ForgeFailure(
            trouble="answered", message=message, status=error.response_code, headers=self._headers, writing=writing
        )


def _issue(issue: dict[str, Any]) -> Issue:
    author = issue.get("author") or {}
    return Issue(
        number=int(issue["iid"]),
        author=str(author.get("id", "")),
        bot=False,
        title=issue.get("title") or "",
        body=issue.get("description") or "",
        is_open=issue.get("state") == "opened",
        url=issue.get("web_url") or "",
    )


def _holds(status: dict[str, Any], told: dict[str, str]) -> bool:
    held = {"state": status.get("status"), **{key: status.get(key) for key in ("name", "description")}}
    return held == told
