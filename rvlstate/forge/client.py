"""What a forge has to offer, and the choice of the library that speaks with it, which is loaded only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rvlstate.errors import ForgeError
from rvlstate.forge.target import Target
from rvlstate.forge.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment as it stands: who wrote it (as `Client.me` says it), and whether that is a bot."""

    id: int
    author: str
    bot: bool
    body: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue as it stands; author and bot are as for a comment."""

    number: int
    author: str
    bot: bool
    title: str
    body: str
    is_open: bool
    url: str


class Client(Protocol):
    """A pull request on one forge, or the issues of a repository. Every method is one attempt; raises ForgeFailure."""

    def me(self) -> str:
        """The token's own user or app, as `Remark.author` names it."""
        ...

    def remarks(self) -> list[Remark]:
        """All comments, of all pages, oldest first."""
        ...

    def create(self, body: str) -> Remark:
        """Write a comment."""
        ...

    def update(self, remark: Remark, body: str) -> None:
        """Replace a comment's text."""
        ...

    def delete(self, remark: Remark) -> None:
        """Remove a comment."""
        ...

    def head(self) -> str:
        """The commit that the pull request leads to."""
        ...

    def set_status(self, commit: str, verdict: Verdict) -> None:
        """Give a commit its status."""
        ...

    def issues(self, label: str) -> list[Issue]:
        """All issues with a label, open and closed, of all pages."""
        ...

    def open_issue(self, title: str, body: str, label: str) -> Issue:
        """Open an issue with a label, which the forge makes if it is new."""
        ...

    def update_issue(self, issue: Issue, *, is_open: bool, title: str = "", body: str = "") -> None:
        """Open or close an issue, with another title and text unless they are ""."""
        ...

    def remark_on(self, issue: Issue, body: str) -> None:
        """Write a comment on an issue."""
        ...

    def close(self) -> None:
        """Close every socket."""
        ...


def open_client(target: Target, timeout: int) -> Client:
    """The client of the target's forge; nothing is sent yet. Raises ForgeError if its library is not installed."""
    try:
        match target.forge:
            case "github":
                from rvlstate.forge.github_client import GithubClient

                return GithubClient(target, timeout)
            case "gitlab":
                from rvlstate.forge.gitlab_client import GitlabClient

                return GitlabClient(target, timeout)
    except ModuleNotFoundError as error:
        raise ForgeError(
            f"the library for {target.name} is not installed",
            why=f"There is no module {error.name}.",
            next_step="pip install 'rvlstate[comment]'",
        ) from error
