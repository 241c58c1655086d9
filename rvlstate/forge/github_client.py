"""Pull requests on GitHub, also GitHub Enterprise, through PyGithub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from github import Auth, Github, GithubException

from rvlstate import __version__
from rvlstate.forge.client import Issue, Remark
from rvlstate.forge.failure import ForgeFailure, presentable
from rvlstate.forge.target import Target
from rvlstate.forge.transport import NONSENSE, of_transport
from rvlstate.forge.verdict import Verdict

if TYPE_CHECKING:
    from github.Issue import Issue as GithubIssue
    from github.IssueComment import IssueComment
    from github.Repository import Repository

PER_PAGE = 100
VIEWER = "query { viewer { login } }"
"""REST has no answer for the token of a job: GET /user is refused to an app. It is for where GraphQL is closed."""

NO_GRAPHQL = frozenset({400, 403, 404})


class GithubClient:
    """A pull request through PyGithub, whose own retries are off: `Patience` knows when a comment was made anyway."""

    def __init__(self, target: Target, timeout: int) -> None:
        self._target = target
        self._github = Github(
            auth=Auth.Token(target.token),
            base_url=target.api,
            timeout=timeout,
            retry=None,
            per_page=PER_PAGE,
            lazy=True,
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent=f"rvlstate/{__version__}",
        )

    def close(self) -> None:
        """Close every socket."""
        self._github.close()

    def me(self) -> str:
        """The login of the token's user, `name[bot]` for an app."""
        with self._asking():
            try:
                _, data = self._github.requester.graphql_query(VIEWER, {})
                return str(data["data"]["viewer"]["login"]).casefold()
            except GithubException as error:
                if error.status not in NO_GRAPHQL:
                    raise
                return self._github.get_user().login.casefold()

    def remarks(self) -> list[Remark]:
        """All comments, oldest first."""
        with self._asking():
            return [_remark(comment) for comment in self._issue().get_comments()]

    def create(self, body: str) -> Remark:
        """Write a comment."""
        with self._asking(writing=True):
            return _remark(self._issue().create_comment(body))

    def update(self, remark: Remark, body: str) -> None:
        """Replace a comment's text."""
        with self._asking(writing=True):
            self._issue().get_comment(remark.id).edit(body)

    def delete(self, remark: Remark) -> None:
        """Remove a comment."""
        with self._asking(writing=True):
            self._issue().get_comment(remark.id).delete()

    def head(self) -> str:
        """The commit that the pull request leads to."""
        with self._asking():
            return self._github.get_repo(self._target.repository).get_pull(self._target.number).head.sha

    def set_status(self, commit: str, verdict: Verdict) -> None:
        """Give a commit its status; one of the same context is replaced."""
        with self._asking(writing=True):
            self._github.get_repo(self._target.status_repository).get_commit(commit).create_status(
                verdict.state,
                target_url=self._target.job_url or self._target.request_url,
                description=verdict.description,
                context=verdict.context,
            )

    def issues(self, label: str) -> list[Issue]:
        """All issues with a label; a pull request is one to GitHub, and none to us."""
        with self._asking():
            found = self._repository().get_issues(state="all", labels=[label], sort="created", direction="asc")
            # Its key pull_request is not there for an issue, and to ask for it would cost a request.
            return [_issue(issue) for issue in found if not issue.html_url.endswith(f"/pull/{issue.number}")]

    def open_issue(self, title: str, body: str, label: str) -> Issue:
        """Open an issue."""
        with self._asking(writing=True):
            return _issue(self._repository().create_issue(title, body=body, labels=[label]))

    def update_issue(self, issue: Issue, *, is_open: bool, title: str = "", body: str = "") -> None:
        """Open or close an issue, and change its texts."""
        texts: dict[str, Any] = {key: text for key, text in (("title", title), ("body", body)) if text}
        with self._asking(writing=True):
            found = self._repository().get_issue(issue.number)
            found.edit(state="open" if is_open else "closed", **texts)

    def remark_on(self, issue: Issue, body: str) -> None:
        """Write a comment on an issue."""
        with self._asking(writing=True):
            self._repository().get_issue(issue.number).create_comment(body)

    def _repository(self) -> Repository:
        return self._github.get_repo(self._target.repository)

    def _issue(self) -> GithubIssue:
        return self._github.get_repo(self._target.repository).get_issue(self._target.number)

    @contextmanager
    def _asking(self, *, writing: bool = False) -> Iterator[None]:
        """Turns what the library raises into ForgeFailure, and drops it: a server may have said the token back."""
        token = self._target.token
        try:
            yield
        except GithubException as error:
            raise _answered(error, token, writing=writing) from None
        except requests.RequestException as error:
            raise of_transport(error, token, writing=writing) from None
        except (RuntimeError, AssertionError, *NONSENSE) as error:
            # RuntimeError: a redirection to elsewhere; AssertionError: a link to elsewhere.
            message = presentable(f"{type(error).__name__}: {error}", token)
            raise ForgeFailure(trouble="nonsense", message=message, writing=writing) from None


def _remark(comment: IssueComment) -> Remark:
    user: Any = comment.user  # null once the account is gone, whatever the annotation says
    return Remark(
        id=comment.id,
        author=user.login.casefold() if user else "",
        bot=bool(user) and user.type == "Bot",
        body=comment.body or "",
        url=comment.html_url or "",
    )


def _issue(issue: GithubIssue) -> Issue:
    user: Any = issue.user  # as of a comment
    return Issue(
        number=issue.number,
        author=user.login.casefold() if user else "",
        bot=bool(user) and user.type == "Bot",
        title=issue.title,
        body=issue.body or "",
        is_open=issue.state == "open",
        url=issue.html_url or "",
    )


def _answered(error: GithubException, token: str, *, writing: bool) -> ForgeFailure:
    """The forge's own words, with what it says about each field, as a 422 does."""
    data = error.data if isinstance(error.data, dict) else {}
    fields = data.get("errors")
    details = [_detail(item) for item in fields] if isinstance(fields, list) else []
    words = "; ".join(text for text in (str(data.get("message") or data.get("data") or ""), *details) if text)
    headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
    return ForgeFailure(
        trouble="answered", message=presentable(words, token), status=error.status, headers=headers, writing=writing
    )


def _detail(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return str(item.get("message") or " ".join(str(item.get(key, "")) for key in ("resource", "field", "code")))
