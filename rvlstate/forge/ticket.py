"""One issue for each project and environment: opened when there is drift, kept up to date, closed when it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.forge.body import is_marked, normalised
from rvlstate.forge.client import Client, Issue
from rvlstate.forge.patience import Patience
from rvlstate.forge.sticky import is_by, who_am_i

Keeping: TypeAlias = Literal["opened", "reopened", "updated", "unchanged", "closed", "absent"]
LABEL = "rvlstate-drift"
"""By it the issue is found among thousands; its marker then tells whose it is."""

GONE = "There is no drift any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of the issue: its address ("" if there is none), and what a person should know besides."""

    action: Keeping
    url: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The issue with a marker in one repository. `user` is whom the token acts for, "" to ask the forge."""

    client: Client
    patience: Patience
    mark: str
    user: str = ""

    def keep(self, title: str, body: str) -> Kept:
        """Have the one issue be open and say `body`. Raises ForgeFailure."""
        mine, notices = self._find()
        if not mine:
            made = self._open(title, body)
            return Kept(action="opened", url=made.url, notices=notices)
        issue = next((one for one in mine if one.is_open), mine[-1])
        same = normalised(issue.body) == normalised(body) and issue.title == title
        if issue.is_open and same:
            return Kept(action="unchanged", url=issue.url, notices=notices)
        self.patience.run(lambda: self.client.update_issue(issue, title=title, body=body, is_open=True))
        return Kept(action="updated" if issue.is_open else "reopened", url=issue.url, notices=notices)

    def close(self, reason: str = GONE) -> Kept:
        """Have no such issue be open; each that is gets a comment that says why. Raises ForgeFailure."""
        mine, notices = self._find()
        left = [issue for issue in mine if issue.is_open]
        for issue in left:
            # Closed first: run again after a failure in between, the comment is missing, and not there twice.
            self.patience.run(lambda one=issue: self.client.update_issue(one, is_open=False))  # type: ignore[misc]
            self.patience.run(lambda one=issue: self.client.remark_on(one, reason))  # type: ignore[misc]
        return Kept(action="closed" if left else "absent", url=left[0].url if left else "", notices=notices)

    def _find(self) -> tuple[list[Issue], tuple[str, ...]]:
        """Our issues, oldest first, and what is to be told of those of others."""
        marked = [issue for issue in self.patience.run(self._labelled) if is_marked(issue.body, self.mark)]
        if not marked:
            return [], ()
        me = self.user or who_am_i(self.client, self.patience)
        mine = [issue for issue in marked if is_by(issue, me)]
        others = tuple(
            f"an issue of somebody else has our marker and was left alone: {issue.url or issue.number}"
            for issue in marked
            if issue not in mine
        )
        return sorted(mine, key=lambda issue: issue.number), others

    def _labelled(self) -> list[Issue]:
        return self.client.issues(LABEL)

    def _open(self, title: str, body: str) -> Issue:
        """Open the issue; after a connection that was lost, first see whether it was opened all the same."""
        return self.patience.create(self._first_marked, lambda: self.client.open_issue(title, body, LABEL))

    def _first_marked(self) -> Issue | None:
        return next((issue for issue in self._labelled() if is_marked(issue.body, self.mark)), None)
