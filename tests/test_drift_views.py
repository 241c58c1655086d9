"""Views of drift: what people, scripts, forges and chats are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drift_cases import DRIFTS, every_kind, many
from jsonschema import Draft202012Validator
from markdown_kit import dangers
from test_json_schema import faults
from view_kit import OFFER, RENDERS, WIDTH, compare

from rvlstate.plan.deviations import BY_HAND, KINDS
from rvlstate.plan.drift import Drift
from rvlstate.views.drift import write_drift
from rvlstate.views.drift_json import DRIFT_FORMAT, drift_data
from rvlstate.views.drift_markdown import MOST_CHARACTERS, render_drift
from rvlstate.views.drift_slack import LONGEST_HEADER, LONGEST_SECTION, MOST_BLOCKS, slack_message
from rvlstate.views.drift_words import MEANINGS, TITLES
from rvlstate.views.paper import Paper, plain_text


def shown(drift: Drift) -> str:
    """Drift as text."""
    paper = Paper(width=WIDTH)
    write_drift(paper, drift, OFFER)
    return plain_text(paper)


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_is_shown_as_it_was_reviewed(name: str) -> None:
    """Text, markdown, JSON, and the message for Slack."""
    drift = DRIFTS[name]()
    compare(RENDERS / "views" / f"{name}.txt", shown(drift))
    compare(RENDERS / "views" / f"{name}.md", render_drift(drift, OFFER))
    compare(RENDERS / "views" / f"{name}.json", json.dumps(drift_data(drift, OFFER), indent=2) + "\n")
    slack = slack_message("rvlstate drift: shop", drift, OFFER)
    compare(RENDERS / "views" / f"{name}.slack.json", json.dumps(slack, indent=2) + "\n")


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_as_json_is_valid(name: str) -> None:
    """The schema tells of every key."""
    assert faults("drift", drift_data(DRIFTS[name](), OFFER)) == []


def test_wrong_drift_is_not_valid() -> None:
    """Another format, an unknown kind, a kind that is not counted, a missing key."""

    def data() -> Any:
        return json.loads(json.dumps(drift_data(every_kind(), OFFER)))

    wrong = {name: data() for name in ("format", "kind", "count", "missing")}
    wrong["format"]["format_version"] = "2.0"
    wrong["kind"]["indexes"][0]["changes"][0]["kind"] = "unmanaged"
    del wrong["count"]["kinds"]["late"]
    del wrong["missing"]["fingerprint"]
    assert [name for name, value in wrong.items() if not faults("drift", value, strict=False)] == []


def test_every_kind_has_a_title_and_a_meaning_and_is_shown() -> None:
    """In text and markdown; unmanaged indexes are named apart unless they count."""
    assert set(TITLES) == set(MEANINGS) == set(KINDS)
    drift = every_kind()
    for kind in set(KINDS) - {"unmanaged"}:
        assert TITLES[kind] in shown(drift)
        assert MEANINGS[kind] in render_drift(drift)
    assert (drift.kinds["moved"], drift.kinds["changed"]) == (2, 0), "an index counts under the gravest alone"
    assert sum(drift.kinds.values()) == len(drift.indexes) + len(drift.unmanaged)


def test_hundreds_of_indexes_fit_into_an_issue() -> None:
    """What is left out is counted, fences are closed, and no name of others is active."""
    text = render_drift(many(), OFFER)
    assert len(text) <= MOST_CHARACTERS
    assert "Left out for length: " in text
    assert dangers(text) == []


def test_hundreds_of_indexes_fit_into_a_message_of_slack() -> None:
    """Slack refuses a message with one block too many or one text too long."""
    message = slack_message("rvlstate drift: " + "x" * 500, many(), OFFER)
    assert 0 < len(message["blocks"]) <= MOST_BLOCKS
    texts = [block["text"]["text"] for block in message["blocks"]]
    assert max(map(len, texts[1:])) <= LONGEST_SECTION
    assert len(texts[0]) <= LONGEST_HEADER
    assert any("260 more indexes" in text for text in texts)


def test_names_of_others_do_nothing_in_slack() -> None:
    """No mention, link or markup; a backtick ends no code."""
    message = slack_message("t", many(2), OFFER)
    texts = [block["text"]["text"] for block in message["blocks"]]
    sections = [block["text"] for block in message["blocks"][1:]]
    assert all(section["verbatim"] is True for section in sections)
    assert not [text for text in texts[1:] if "<" in text or ">" in text or "\x1b" in text]
    assert all(text.count("```") % 2 == 0 and text.replace("```", "").count("`") % 2 == 0 for text in texts[1:])


def test_the_fingerprint_is_of_what_drifted_and_not_of_figures() -> None:
    """More refused or late documents are the same drift; another change by hand is another one."""
    drift = every_kind()
    assert drift.fingerprint == every_kind().fingerprint
    seen = {drift.fingerprint}
    for place, index in enumerate(drift.indexes):
        first = index.findings[0]
        grown = type(first)(kind=first.kind, change=_with_after(first.change, 99))
        indexes = list(drift.indexes)
        indexes[place] = type(index)(name=index.name, physical=index.physical, findings=(grown, *index.findings[1:]))
        same = Drift(project="shop", indexes=tuple(indexes)).fingerprint == drift.fingerprint
        assert same == (first.kind not in BY_HAND), first.kind
    assert Drift(project="shop", unmanaged=("a",)).fingerprint == Drift(project="shop").fingerprint
    counted = Drift(project="shop", unmanaged=("a",), counts_unmanaged=True).fingerprint
    assert counted not in {Drift(project="shop").fingerprint, *seen}


def _with_after(change: Any, after: int) -> Any:
    return type(change)(
        address=change.address, before=change.before, after=after, classification=None, reason=change.reason
    )


def test_the_format_is_that_of_the_schema() -> None:
    """One version, said in two layers."""
    from rvlstate.files.drift_schema import DRIFT_FORMAT as OF_THE_SCHEMA
    from rvlstate.files.drift_schema import drift_schema

    assert DRIFT_FORMAT == OF_THE_SCHEMA
    Draft202012Validator.check_schema(drift_schema())
