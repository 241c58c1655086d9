"""Keeping the issue about drift: opened, updated and closed, or the job summary where the token may only read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from rvlstate.forge.body import compose, marker
from rvlstate.forge.client import open_client
from rvlstate.forge.explain import error_of, may_not, notice
from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.patience import Patience
from rvlstate.forge.target import Target
from rvlstate.forge.ticket import Keeping, Ticket
from rvlstate.plan.drift import Drift
from rvlstate.views.drift_markdown import render_drift
from rvlstate.views.plan_words import Offer
from rvlstate.views.untrusted import harmless

Action: TypeAlias = Keeping | Literal["summary", "output"]
WORDS: dict[Action, str] = {
    "opened": "Issue opened",
    "reopened": "Issue opened again",
    "updated": "Issue updated",
    "unchanged": "Issue is up to date",
    "closed": "Issue closed",
    "absent": "",
    "summary": "No issue; the drift is in the job summary",
    "output": "No issue was written",
}
TIMEOUT = 15
LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueKept:
    """What became of the issue, in a form for people."""

    action: Action
    url: str = ""
    notices: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Lines for a person; none where there was nothing to do."""
        head = WORDS[self.action]
        lines = [f"{head}{f': {self.url}' if self.url else '.'}"] if head else []
        return (*lines, *(f"Notice: {text}" for text in self.notices))


def keep_issue(
    drift: Drift, offer: Offer, target: Target, environment: str = "", patience: Patience | None = None
) -> IssueKept:
    """Have the issue say what the drift is, or be closed where there is none; nothing while an apply is at work.

    Where the token may not write, the job summary gets it. Raises ForgeError for anything else.
    """
    if drift.in_progress:
        return IssueKept(action="absent")
    trying = replace(patience) if patience else Patience(name=target.name)
    text = render_drift(drift, offer)
    mark = marker(drift.project, environment, "drift")
    if not target.token:
        return _instead(target, text, notice(None, target, "issue"), found=drift.found)
    client = open_client(target, TIMEOUT)
    ticket = Ticket(client=client, patience=trying, mark=mark, user=target.user)
    try:
        # A link to the job would change the text with every look.
        kept = ticket.keep(_title(drift, environment), compose(mark, text).text) if drift.found else ticket.close()
    except ForgeFailure as failure:
        if not may_not(failure, target):
            raise error_of(failure, target, "issue", trying.longest_wait) from failure
        return _instead(target, text, notice(failure, target, "issue"), found=drift.found)
    finally:
        client.close()
    return IssueKept(action=kept.action, url=kept.url, notices=kept.notices)


def _title(drift: Drift, environment: str) -> str:
    """Always the same for one project, since it is the name of the issue."""
    place = f" ({environment})" if environment else ""
    return harmless(f"rvlstate: drift in {drift.project}{place}", LONGEST_TITLE)


def _instead(target: Target, text: str, told: str, *, found: bool) -> IssueKept:
    """The drift in the job summary, if there is any and a summary; it is on standard output in any case."""
    if not target.summary or not found:
        return IssueKept(action="output" if found else "absent", notices=(told,) if found else ())
    try:
        with Path(target.summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        cannot = f"the job summary cannot be written: {error.strerror or error}"
        return IssueKept(action="output", notices=(told, cannot))
    return IssueKept(action="summary", notices=(told,))
