"""Drift as a message of Slack: blocks within its limits, in its mrkdwn, with texts of others that do nothing in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.views.drift_words import headline, kind_words, lines_of_drift, next_commands
from rvlstate.views.plan_words import Offer
from rvlstate.views.quantities import count
from rvlstate.views.untrusted import harmless

LONGEST_HEADER, LONGEST_SECTION, MOST_BLOCKS = 150, 3_000, 50
MOST_INDEXES = 40
LONGEST_TEXT = 4_000
LINES_SHOWN, LONGEST_LINE = 12, 160


def slack_message(title: str, drift: Drift, offer: Offer) -> dict[str, Any]:
    """All drift, or that of the first indexes with the number of the others."""
    told, rest = drift.indexes[:MOST_INDEXES], len(drift.indexes) - MOST_INDEXES
    on = f" on {_code(offer.server)}" if offer.server else ""
    blocks = [_header(title), _section(f"*{_text(headline(drift))}*{on}"), *map(_index, told)]
    if rest > 0:
        shows = _code(offer.command("drift"))
        blocks.append(_section(f"and {count(rest, 'more index', 'more indexes')}; {shows} shows all of them"))
    if drift.counts_unmanaged and drift.unmanaged:
        blocks.append(_section(_cut([f"Not managed: {_code(name)}" for name in drift.unmanaged])))
    commands = [f"{_code(command)}  {_quoted(harmless(effect))}" for command, effect in next_commands(drift, offer)]
    if commands:
        blocks.append(_section(_cut(["*Next*", *commands])))
    return _message(f"{title}: {headline(drift)}", blocks)


def slack_note(title: str, lines: Iterable[str]) -> dict[str, Any]:
    """A message about anything but drift: a title and lines."""
    shown = [_text(harmless(line)) for line in lines]
    return _message(f"{title}: {shown[0] if shown else ''}", [_header(title), _section(_cut(shown or ["-"]))])


def _message(text: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"text": _text(harmless(text))[:LONGEST_TEXT], "blocks": blocks[:MOST_BLOCKS]}


def _header(title: str) -> dict[str, Any]:
    shown = harmless(title, LONGEST_HEADER - 40)
    return {"type": "header", "text": {"type": "plain_text", "text": shown[:LONGEST_HEADER], "emoji": False}}


def _index(index: IndexDrift) -> dict[str, Any]:
    lines = [f"{line.symbol} {line.subject}  {line.value}" for line in lines_of_drift(index)]
    shown = [_quoted(harmless(line, LONGEST_LINE)) for line in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        shown.append(f"and {len(lines) - LINES_SHOWN} more")
    head = f"{_code(index.name)}  {_text(kind_words(index))}"
    room = LONGEST_SECTION - len(head) - 10
    while len("\n".join(shown)) > room:
        shown = [*shown[:-2], "..."]
    return _section(f"{head}\n```{chr(10).join(shown)}```")


def _section(text: str) -> dict[str, Any]:
    # verbatim: Slack looks for no links, channels or persons in it.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:LONGEST_SECTION], "verbatim": True}}


def _cut(lines: list[str]) -> str:
    """As many lines as fit into a section."""
    kept, size = list[str](), 0
    for line in lines:
        size += len(line) + 1
        if size > LONGEST_SECTION - 10:
            return "\n".join([*kept, "..."])
        kept.append(line)
    return "\n".join(kept)


def _code(text: str) -> str:
    return f"`{_quoted(harmless(text)) or ' '}`"


def _quoted(text: str) -> str:
    """A text within code: a backtick would end it."""
    return _text(text).replace("`", "'")


def _text(text: str) -> str:
    """The three characters that Slack obeys, escaped as it asks for."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
