"""Posting a plan: the comment and the verdict, or the job summary where the token may only read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rvlstate.forge.body import Body, compose, marker
from rvlstate.forge.client import Client, open_client
from rvlstate.forge.explain import error_of, may_not, notice
from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.patience import Patience
from rvlstate.forge.sticky import Placing, Sticky
from rvlstate.forge.target import Target
from rvlstate.forge.verdict import Verdict, verdict_of
from rvlstate.model.secret import redact_url
from rvlstate.plan.plan import Plan

Action: TypeAlias = Placing | Literal["summary", "output"]
WORDS: dict[Action, str] = {
    "created": "Comment written",
    "updated": "Comment updated",
    "unchanged": "Comment is up to date",
    "absent": "No comment: there is nothing to do, and none to update",
    "summary": "Not commented; the plan is in the job summary",
    "output": "Not commented; the plan is below",
}
TIMEOUT = 15
QUEUED = "a merge queue has no pull request of its own: the comments on those in it stay as they are."


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What to post of a plan: `plan_file` as a reader would name it; `always` also where nothing is to be done.

    `environment` ("": none) has a comment and a status of its own; `program` is how a reader would call rvlstate.
    """

    plan: Plan
    environment: str = ""
    program: tuple[str, ...] = ("rvlstate",)
    plan_file: str = ""
    always: bool = False
    status: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of it: `markdown` is the plan where nobody else took it ("output"); `status` None: not asked for."""

    target: Target
    project: str
    environment: str = ""
    action: Action
    url: str = ""
    cut: bool = False
    verdict: Verdict
    status: Literal["written", "refused"] | None = None
    notices: tuple[str, ...] = ()
    markdown: str = ""

    def describe(self) -> str:
        """Lines for a person."""
        lines = [f"{WORDS[self.action]}{f': {self.url}' if self.url else '.'}"]
        if self.status == "written":
            lines.append(f"Status {self.verdict.context}: {self.verdict.state}, {self.verdict.description}")
        return "\n".join([*lines, *(f"Notice: {text}" for text in self.notices)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-like data."""
        status = {"state": self.verdict.state, "context": self.verdict.context, "description": self.verdict.description}
        return {
            "project": self.project,
            "environment": self.environment,
            "forge": self.target.forge,
            "repository": self.target.repository,
            "pull_request": self.target.number,
            "comment": {"action": self.action, "url": self.url, "cut": self.cut},
            "verdict": status,
            "status": self.status,
            "notices": list(self.notices),
            "markdown": self.markdown,
        }


def render(post: Post, job_url: str = "") -> str:
    """The plan as the markdown of a pull request; what is left out is to be seen in the job at `job_url`."""
    from rvlstate.views.plan_markdown import render_plan
    from rvlstate.views.plan_words import Offer

    server = redact_url(post.plan.address)
    offer = Offer(program=post.program, plan_file=post.plan_file, server=server)
    return render_plan(post.plan, offer, job_url=job_url)


def post_plan(post: Post, target: Target, patience: Patience | None = None, *, timeout: int = TIMEOUT) -> Posted:
    """Write or update the comment, and the status if asked for; degrades to the job summary where the token may not.

    `timeout` is for each answer, in seconds. Raises ForgeError for anything but missing rights.
    """
    trying = replace(patience) if patience else Patience(name=target.name)
    body = compose(marker(post.plan.project, post.environment), render(post, target.job_url), target.job_url)
    made = Posted(
        target=target,
        project=post.plan.project,
        environment=post.environment,
        action="absent",
        cut=body.cut,
        verdict=verdict_of(post.plan, post.environment),
    )
    if not target.token:
        refused = replace(_instead(made, body), notices=(notice(None, target, "comment"),))
        return replace(refused, status="refused") if post.status else refused
    client = open_client(target, timeout)
    try:
        made = _comment(client, trying, post, body, made) if target.number else _queued(made, body)
        return _with_status(client, trying, made) if post.status else made
    finally:
        client.close()


def _queued(made: Posted, body: Body) -> Posted:
    """The plan of a merge queue, which is that of all its pull requests together."""
    return _instead(replace(made, notices=(QUEUED,)), body)


def _comment(client: Client, patience: Patience, post: Post, body: Body, made: Posted) -> Posted:
    mark = marker(post.plan.project, post.environment)
    sticky = Sticky(client=client, patience=patience, mark=mark, user=made.target.user)
    try:
        placed = sticky.place(body.text, create=post.always or not post.plan.empty)
    except ForgeFailure as failure:
        if not may_not(failure, made.target):
            raise error_of(failure, made.target, "comment", patience.longest_wait) from failure
        told = replace(made, notices=(notice(failure, made.target, "comment"),))
        return _instead(told, body)
    return replace(made, action=placed.action, url=placed.url, notices=placed.notices)


def _with_status(client: Client, patience: Patience, made: Posted) -> Posted:
    target = made.target
    try:
        commit = target.commit or patience.run(client.head)
        patience.run(lambda: client.set_status(commit, made.verdict))
    except ForgeFailure as failure:
        if not may_not(failure, target):
            error = error_of(failure, target, "status", patience.longest_wait)
            error.why = f"{error.why}\n{WORDS[made.action]}."
            raise error from failure
        return replace(made, status="refused", notices=(*made.notices, notice(failure, target, "status")))
    return replace(made, status="written")


def _instead(made: Posted, body: Body) -> Posted:
    """The plan in the job summary, or with the result where there is none."""
    try:
        if made.target.summary:
            with Path(made.target.summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(body.text)
            return replace(made, action="summary")
    except OSError as error:
        told = f"the job summary cannot be written: {error.strerror or error}"
        return replace(made, action="output", markdown=body.text, notices=(*made.notices, told))
    return replace(made, action="output", markdown=body.text)
