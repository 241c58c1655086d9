"""Names and values that nobody vouches for, through every form of output: they stay text, and hold no password."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hostile_texts import FULL, HOSTILE, SECRET, TEXTS
from hypothesis import example, given
from markdown_kit import dangers
from page_cases import hostile_plan
from run_cases import hostile, hostile_events
from view_kit import OFFER, patient, rendered_text

from rvlstate.plan.deviations import KINDS, Finding
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change
from rvlstate.views.drift_markdown import render_drift
from rvlstate.views.graph import mermaid_graph
from rvlstate.views.history import run_data, write_run
from rvlstate.views.html_plan import render_plan_page
from rvlstate.views.html_run import render_run_page
from rvlstate.views.markdown import prose
from rvlstate.views.paper import Paper, plain_text
from rvlstate.views.plan_json import plan_data
from rvlstate.views.plan_markdown import MOST_CHARACTERS, render_plan
from rvlstate.views.plan_text import Detail
from rvlstate.views.plan_words import Offer
from rvlstate.views.untrusted import harmless

ELEMENTS = frozenset(
    {"html", "head", "meta", "link", "title", "style", "body", "main", "header", "footer", "section", "article"}
    | {
        "h1",
        "h2",
        "h3",
        "p",
        "dl",
        "dt",
        "dd",
        "div",
        "ul",
        "ol",
        "li",
        "span",
        "b",
        "code",
        "pre",
        "figure",
        "figcaption",
    }
    | {"table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    | {"svg", "g", "line", "circle", "rect", "path", "polyline"}
)


class Elements(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data


def check_page(page: str, usual: str) -> None:
    """The page has the elements of the one of a harmless text, as text has no say in them, and nothing in it acts."""
    found, expected = Elements(page), Elements(usual)
    assert sorted(found.elements) == sorted(expected.elements)  # indexes are sorted by their names
    assert set(found.elements) <= ELEMENTS
    assert found.attributes == expected.attributes
    assert not [name for name in found.attributes if name.startswith("on") or name in ("style", "src")]
    assert all(line.isprintable() for line in page.split("\n"))
    assert SECRET not in page


@patient
@given(name=TEXTS, field=TEXTS)
@example(name=FULL, field=FULL)
def test_nothing_in_a_plan_is_active_in_a_comment(name: str, field: str) -> None:
    """No HTML, link, image, mention, reference, fence or table break, no control character, no password."""
    comment = render_plan(hostile_plan(name, field), OFFER)
    assert dangers(comment) == []
    assert SECRET not in comment
    assert len(comment) <= MOST_CHARACTERS


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_each_hostile_text_stays_text_in_a_comment(text: str) -> None:
    """One by one, so that a failure names its text."""
    comment = render_plan(hostile_plan(text, f"{text} field"), OFFER)
    assert dangers(comment) == []
    assert SECRET not in comment


@patient
@given(name=TEXTS, field=TEXTS)
@example(name=FULL, field=FULL)
def test_nothing_in_a_plan_is_active_on_a_page(name: str, field: str) -> None:
    """The page has no other elements or attributes than that of a harmless plan, and no password."""
    check_page(render_plan_page(hostile_plan(name, field), OFFER), render_plan_page(hostile_plan("abc", "def"), OFFER))


@patient
@given(text=TEXTS)
@example(text=FULL)
def test_nothing_in_a_run_is_active_on_a_page(text: str) -> None:
    """Errors, keys of documents, names of checks and of people are text."""
    page = render_run_page(hostile(text, text), hostile_events(text))
    found = Elements(page)
    assert set(found.elements) <= ELEMENTS
    assert not [name for name in found.attributes if name.startswith("on") or name in ("style", "src")]
    assert found.elements.count("style") == 1
    assert all(line.isprintable() for line in page.split("\n"))
    assert SECRET not in page


@patient
@given(name=TEXTS, field=TEXTS)
def test_nothing_in_a_plan_reaches_a_terminal_as_anything_but_text(name: str, field: str) -> None:
    """Every line is printable."""
    text = rendered_text(hostile_plan(name, field), detail=Detail(everything=True))
    assert all(line.isprintable() for line in text.split("\n"))


@patient
@given(text=TEXTS)
def test_nothing_in_a_run_reaches_a_terminal_as_anything_but_text(text: str) -> None:
    """Every line is printable."""
    paper = Paper(width=100)
    write_run(paper, hostile(text))
    assert all(line.isprintable() for line in plain_text(paper).split("\n"))


@patient
@given(name=TEXTS, field=TEXTS)
def test_json_holds_every_name_as_it_is(name: str, field: str) -> None:
    """Machines get what is there, in ASCII, one value for one value."""
    text = json.dumps(plan_data(hostile_plan(name, field)), ensure_ascii=True)
    assert text.isascii()
    data = json.loads(text)
    changes = {index["name"]: index["changes"] for index in data["indexes"]}
    assert set(changes) == {name, f"second {name}"}
    assert field in {change["address"].removeprefix(f"{name}.fields.") for change in changes[name]}
    assert json.loads(json.dumps(run_data(hostile(name)), ensure_ascii=True))["steps"][0]["summary"] == name


@patient
@given(name=TEXTS, field=TEXTS)
def test_nothing_in_drift_is_active_in_a_comment(name: str, field: str) -> None:
    """What somebody did by hand is told as text."""
    change = Change(
        address=f"{name}.fields.{field}", before=None, after={"type": field}, classification=None, reason=name
    )
    findings = tuple(Finding(kind=kind, change=change) for kind in KINDS)
    index = IndexDrift(name=name, physical=f"{name}@1", findings=findings, notes=(field,))
    drift = Drift(project="shop", indexes=(index,), unmanaged=(name,), interrupted=field, in_progress=name)
    text = render_drift(drift, Offer(server=field))
    assert dangers(text) == []
    assert SECRET not in text


@patient
@given(name=TEXTS)
def test_a_mermaid_graph_has_as_many_lines_whatever_the_names(name: str) -> None:
    """A name ends no label and begins no directive."""
    chart = mermaid_graph(hostile_plan(name))
    assert len(chart.splitlines()) == len(mermaid_graph(hostile_plan("abc")).splitlines())
    assert "%%{" not in chart
    assert all(line.count('"') in (0, 2) for line in chart.splitlines())


def test_a_long_text_is_cut_and_says_so() -> None:
    """Nobody reads ten thousand characters of a name."""
    assert harmless("x" * 10_240) == f"{'x' * 300}... (9,940 more characters)"
    assert len(prose("*" * 10_240)) < 2_100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"redis://me:{SECRET}@host:6379/0", "redis://me:***@host:6379/0"),
        (f"at redis://me:{SECRET}/with/slash@host now", "at redis://me:***@host now"),
        (f"rediss://:{SECRET}@h redis://u:{SECRET}@h", "rediss://:***@h redis://u:***@h"),
        (f"https://h/?token={SECRET}&x=1", "https://h/?token=***&x=***"),
        (f"x_redis://me:{SECRET}\u202e\n@host", "x_redis://me:***@host"),
        ("redis://host:6379 products@1", "redis://host:6379 products@1"),
    ],
)
def test_passwords_of_urls_are_masked(text: str, shown: str) -> None:
    """Also where they are not well formed, or stand in the middle of a text."""
    assert harmless(text) == shown


def test_what_is_looked_for_can_be_found() -> None:
    """The parsers see what was not escaped: each of these is a danger."""
    bad = (
        *("<b>x</b>", "https://evil.example", "x @team", "#12", "[x](y)", "![x](y)", "# x", "---", "- [x](https://y)"),
        *(
            "<details>",
            "0123456789abcdef",
            "```\nopen <b>\n```\n<i>",
            "| a |\n|---|\n| b |",
            "1. x",
            "a\u202eb",
            ":tada:",
        ),
    )
    assert [text for text in bad if not dangers(text)] == []
