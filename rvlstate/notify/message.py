"""What is told: drift, that it is gone, or that nobody could look; as JSON, for Slack, and as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rvlstate.errors import RvlstateError
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.drift import Drift
from rvlstate.views.drift import write_drift
from rvlstate.views.drift_json import DRIFT_FORMAT, drift_data
from rvlstate.views.drift_slack import slack_message, slack_note
from rvlstate.views.drift_words import headline
from rvlstate.views.paper import Paper, plain_text
from rvlstate.views.plan_words import Offer
from rvlstate.views.untrusted import harmless

News: TypeAlias = Literal["drift", "resolved", "failed"]
LONGEST_BODY = 8_000
NONE = ""
"""What stands for no drift among what was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: `news` says of what, `told` is the same for as long as it says the same; `text` is one line."""

    news: News
    told: str
    title: str
    text: str
    body: str
    data: Mapping[str, Any]
    slack: Mapping[str, Any]


def about_drift(drift: Drift, offer: Offer, environment: str = "") -> Message:
    """What was found, or that nothing is left of it."""
    title = _title(drift.project, environment)
    text = f"{title}: {headline(drift)}"
    news: News = "drift" if drift.found else "resolved"
    paper = Paper(width=100)
    write_drift(paper, drift, offer)
    return Message(
        news=news,
        told=drift.fingerprint if drift.found else NONE,
        title=title,
        text=text,
        body=_cut("\n".join(_harmless_lines(plain_text(paper)))),
        data={"event": news, "text": text, **drift_data(drift, offer)},
        slack=slack_message(title, drift, offer),
    )


def about_failure(error: RvlstateError, project: str, offer: Offer, environment: str = "") -> Message:
    """That nobody could look, and why."""
    title = _title(project, environment)
    lines = ["rvlstate drift could not look.", *_harmless_lines(str(error))]
    text = f"{title}: could not look: {harmless(error.what)}"
    kind = type(error).__name__
    return Message(
        news="failed",
        told=fingerprint([project, kind, error.what]),
        title=title,
        text=text,
        body=_cut("\n".join(lines)),
        data={
            "event": "failed",
            "text": text,
            "format_version": DRIFT_FORMAT,
            "project": project,
            "server": offer.server,
            "error": kind,
            "what": harmless(error.what),
        },
        slack=slack_note(title, lines),
    )


def _title(project: str, environment: str) -> str:
    return f"rvlstate drift: {harmless(project)}{f' ({harmless(environment)})' if environment else ''}"


def _harmless_lines(text: str) -> list[str]:
    """The lines of a text that leaves the machine: printable, and without the passwords of URLs."""
    return [harmless(line, LONGEST_BODY) for line in text.splitlines()]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_BODY else f"{text[:LONGEST_BODY]}\n...\n"
