"""Hostile names and values in what test_markdown_fuzz.py leaves: drift, chats, issues, graphs, logs, metrics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
from hostile_texts import FULL, HOSTILE, SECRET, TEXTS
from hypothesis import example, given, settings
from markdown_kit import dangers
from metrics_kit import progressed, started, told
from page_cases import hostile_plan
from test_json_schema import faults
from view_kit import OFFER

from rvlstate.errors import ServerError
from rvlstate.events import Event, RunStarted, StepFailed, StepFinished, StepStarted
from rvlstate.forge.body import LONGEST_BODY, compose, marker
from rvlstate.forge.verdict import verdict_of
from rvlstate.notify.message import Message, about_drift, about_failure
from rvlstate.plan.deviations import KINDS, Finding
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.plan.standing import NextCommand, Standing
from rvlstate.project import Imported
from rvlstate.runtime.metrics import Metrics
from rvlstate.views.drift import write_drift
from rvlstate.views.drift_json import drift_data
from rvlstate.views.drift_markdown import MOST_CHARACTERS, render_drift
from rvlstate.views.drift_slack import LONGEST_HEADER, LONGEST_SECTION, MOST_BLOCKS
from rvlstate.views.errors import error_line, error_text
from rvlstate.views.events import event_line
from rvlstate.views.graph import dot_graph, mermaid_graph
from rvlstate.views.imported import write_imported
from rvlstate.views.paper import Paper, plain_text
from rvlstate.views.plan_markdown import render_plan

patient = settings(deadline=None, max_examples=12)
AT = "2026-05-15T10:00:00Z"
DOT_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def drift_of(text: str, other: str) -> Drift:
    """Drift of every kind, in which others chose every name and every value."""
    change = Change(
        address=f"{text}.fields.{other}",
        before=None,
        after={"type": other, other: text},
        classification=None,
        reason=text,
    )
    findings = tuple(Finding(kind=kind, change=change) for kind in KINDS if kind != "unmanaged")
    command = NextCommand(words=("watch", text), effect=other)
    index = IndexDrift(name=text, physical=f"{text}@1", findings=findings, notes=(other,), commands=(command,))
    waits = (
        Standing(
            name=text,
            phase="ready",
            summary=f"{other} waits for its cutover",
            answers_from=f"{text}@1",
            new=f"{text}@2",
            old=f"{text}@1",
            writers=other,
            queries=other,
            follows=True,
            commands=(command,),
        ),
    )
    return Drift(
        project="shop",
        indexes=(index,),
        unmanaged=(text, other),
        counts_unmanaged=True,
        interrupted=other,
        waits=waits,
    )


def lines_are_printable(text: str) -> bool:
    """No character that a terminal would obey or hide, but for the ends of lines."""
    return all(line.isprintable() for line in text.split("\n"))


def check_message(message: Message) -> None:
    """A message as each service gets it: fit to be shown, within the limits, of no effect, and without a password."""
    assert message.title.isprintable()
    assert message.text.isprintable()
    assert lines_are_printable(message.body)
    blocks = message.slack["blocks"]
    assert 0 < len(blocks) <= MOST_BLOCKS
    head, *sections = [block["text"] for block in blocks]
    assert (head["type"], len(head["text"]) <= LONGEST_HEADER, head["text"].isprintable()) == ("plain_text", True, True)
    for section in sections:
        text = section["text"]
        assert section["verbatim"] is True
        assert 0 < len(text) <= LONGEST_SECTION
        assert lines_are_printable(text)
        assert not set("<>") & set(text)
        assert text.count("```") % 2 == 0
        assert text.replace("```", "").count("`") % 2 == 0
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    shown = (message.title, message.text, message.body, json.dumps(message.slack, ensure_ascii=False))
    assert not [text for text in shown if SECRET in text]


@patient
@given(name=TEXTS, other=TEXTS)
@example(name=FULL, other=FULL)
def test_nothing_in_drift_reaches_a_terminal_as_anything_but_text(name: str, other: str) -> None:
    """Every line is printable."""
    paper = Paper(width=100)
    write_drift(paper, drift_of(name, other), OFFER)
    assert lines_are_printable(plain_text(paper))


@patient
@given(name=TEXTS, other=TEXTS)
@example(name=FULL, other=FULL)
def test_drift_as_json_fits_its_schema_and_holds_every_name(name: str, other: str) -> None:
    """In ASCII, one value for one value."""
    text = json.dumps(drift_data(drift_of(name, other), OFFER), ensure_ascii=True)
    data = json.loads(text)
    assert text.isascii()
    assert faults("drift", data) == []
    assert (data["indexes"][0]["name"], data["unmanaged"]) == (name, [name, other])


@patient
@given(name=TEXTS, other=TEXTS)
@example(name=FULL, other=FULL)
def test_notifications_do_nothing_but_tell(name: str, other: str) -> None:
    """To Slack, to mail and chats by title and text, to a webhook as JSON that fits the schema of drift."""
    message = about_drift(drift_of(name, other), OFFER, "prod")
    check_message(message)
    assert faults("drift", json.loads(json.dumps(dict(message.data), ensure_ascii=True))) == []


@patient
@given(text=TEXTS)
@example(text=FULL)
def test_a_notification_of_a_failure_does_nothing_but_tell(text: str) -> None:
    """Errors quote what servers say."""
    message = about_failure(ServerError(text, where=text, why=text, next_step=text), "shop", OFFER)
    check_message(message)
    assert SECRET not in json.dumps(dict(message.data))


@patient
@given(name=TEXTS, other=TEXTS)
@example(name=FULL, other=FULL)
def test_comments_and_issues_stay_text_with_their_markers(name: str, other: str) -> None:
    """What is posted is one marker, whatever the project is called, and below it nothing that acts."""
    plan = hostile_plan(name, other)
    for about, markdown in (("plan", render_plan(plan, OFFER)), ("drift", render_drift(drift_of(name, other), OFFER))):
        mark = marker(name, other, about)
        first, _, rest = compose(mark, markdown).text.partition("\n")
        assert first == mark
        assert re.fullmatch(r"<!-- rvlstate:[\w.:%~-]+ -->", first)
        assert len(first) + 1 + len(rest) <= LONGEST_BODY
        assert dangers(rest) == []
        assert SECRET not in rest
    assert len(render_drift(drift_of(name, other), OFFER)) <= MOST_CHARACTERS
    verdict = verdict_of(plan)
    assert verdict.description.isprintable()


@patient
@given(name=TEXTS, other=TEXTS)
@example(name=FULL, other=FULL)
def test_a_graph_is_of_the_same_form_whatever_the_names(name: str, other: str) -> None:
    """With every quoted text taken out, what is left is the graph of harmless names."""
    plan, usual = hostile_plan(name, other), hostile_plan("abc", "def")
    dot, mermaid = dot_graph(plan), mermaid_graph(plan)
    forms = [sorted(DOT_STRING.sub('""', graph).splitlines()) for graph in (dot, dot_graph(usual))]
    assert forms[0] == forms[1]
    forms = [sorted(re.sub(r'"[^"]*"', '""', graph).splitlines()) for graph in (mermaid, mermaid_graph(usual))]
    assert forms[0] == forms[1]
    assert all(lines_are_printable(graph) and SECRET not in graph for graph in (dot, mermaid))


@patient
@given(text=TEXTS)
@example(text=FULL)
def test_every_event_is_one_line_of_the_log(text: str) -> None:
    """In ASCII, valid, and with the text as it is."""
    events: tuple[Event, ...] = (
        RunStarted(**_filled(RunStarted, text)),
        StepStarted(**_filled(StepStarted, text)),
        StepFailed(**_filled(StepFailed, text)),
        replace(StepFinished(**_filled(StepFinished, text)), figures={text: 1.0}),
    )
    for event in events:
        line = event_line(event, AT)
        assert (line.count("\n"), line.isascii()) == (1, True)
        assert faults("events", json.loads(line)) == []
    assert json.loads(event_line(events[1], AT))["summary"] == text
    error = ServerError(text, where=text, why=text, next_step=text)
    line = error_line(error, AT)
    assert (line.count("\n"), line.isascii(), faults("events", json.loads(line))) == (1, True, [])
    assert lines_are_printable(error_text(error))


def _filled(kind: Any, text: str) -> dict[str, Any]:
    """Every field of an event: its texts are this one, its numbers 1."""
    values: dict[str, Any] = {"str": text, "int": 1, "float": 1.0, "bool": True}
    filled = {name: values.get(str(one.type)) for name, one in kind.__dataclass_fields__.items()}
    return {name: value for name, value in filled.items() if value is not None}


@patient
@given(text=TEXTS.filter(lambda text: "\ud800" not in text))
@example(text=FULL)
def test_metrics_are_read_back_with_every_name(text: str) -> None:
    """Labels are escaped as Prometheus's own parser reads them."""
    metrics = Metrics("shop")
    metrics(started(f"{text}/1", "stage_documents", text))
    metrics(progressed(f"{text}/1", documents_seen=5))
    metrics(StepFailed(step=f"{text}/1", error=text, failed_checks=1))
    names = {value for _, labels in told(metrics) for label, value in labels if label == "index"}
    assert names == {text}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_import_tells_is_printable(text: str) -> None:
    """Live indexes have the names that anybody gave them."""
    item = Imported(
        name=text, physical=f"{text}@1", file=text, written=False, unrevealed=(text,), settings={text: 1}, differs=True
    )
    paper = Paper(width=100)
    write_imported(paper, (item,), OFFER, (text,))
    assert lines_are_printable(plain_text(paper))


def test_the_kinds_of_events_that_are_filled_are_events() -> None:
    """What the test of the log is about."""
    assert {RunStarted, StepStarted, StepFailed, StepFinished} <= set(get_args(Event))
