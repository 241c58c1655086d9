"""The texts that views are made of: names that nobody vouches for, values, quantities, colours, columns, errors."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from render_cases import CATEGORIES, declared, live, make_plan, plus, unmanaged
from view_kit import Terminal, patient, rendered_text

from rvlstate.errors import HazardsNotAllowedError, RvlstateError, SpecError
from rvlstate.model.field import UNREVEALED, TagField, Value
from rvlstate.plan.plan import Impact, IndexPlan, Plan
from rvlstate.views.errors import error_data, error_name, error_text
from rvlstate.views.graph import dot_graph, mermaid_graph
from rvlstate.views.impact_words import impact_words
from rvlstate.views.markdown import cell, code, fence, prose, table
from rvlstate.views.paper import Cell, Paper, paper_for, plain_text, write_out
from rvlstate.views.plan_text import Detail
from rvlstate.views.quantities import count, measured, number, size, span, stopwatch
from rvlstate.views.untrusted import lines_of, printable
from rvlstate.views.values import describe_field, show_value

HOSTILE = (
    *("```", "`", "``x", "|", "a\\|b", "\\\\|", "<img src=x>", "@team", "#12", "# a", "1. a", "- a", "---", "a\nb"),
    *("\x1b[31mred", "[bold]x[/]", "\u202eabc", "&lt;b&gt;", "www.a.b", "http://a.b", "_a_ *b* ~c~"),
)
NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(HOSTILE)


def hostile_plan(name: str, field: str) -> Plan:
    """A plan with a name, a field and a foreign index that were not chosen by friends."""
    wanted = plus(CATEGORIES, TagField(name=field, identifier=field, separator=name[:1]))
    return make_plan([declared(name, wanted)], [live(name, CATEGORIES), unmanaged(f"other {field}")])


@patient
@given(name=NAMES, field=NAMES)
def test_no_name_reaches_the_terminal_as_anything_but_text(name: str, field: str) -> None:
    """Each line of the text view is printable: no control character, escape sequence or bidi mark passes."""
    text = rendered_text(hostile_plan(name, field), detail=Detail(everything=True))
    assert all(line.isprintable() for line in text.split("\n"))


@patient
@given(name=NAMES)
def test_a_name_shows_as_it_is_in_markdown(name: str) -> None:
    """Escaping is undone by the reader: what is shown is the printable form, as prose, in a cell and in a code span."""
    shown = printable(name)
    parser = MarkdownIt("commonmark").enable("table")
    assert _shown(parser.parse(f"x {prose(name)} x")).replace("\u200b", "") == f"x {shown} x".replace("\u200b", "")
    assert _shown(parser.parse(f"x {code(name)}")).strip().endswith(shown.strip())
    rows = parser.parse("\n".join(table(("a", "b"), [(cell(name), "z")])))
    assert _shown(rows).replace("\u200b", "").replace(" ", "") == f"ab{shown}z".replace(" ", "").replace("\u200b", "")
    item = parser.parse(f"- {prose(f'{name} x')}")
    assert [token.type for token in item] == [
        *("bullet_list_open", "list_item_open", "paragraph_open", "inline"),
        *("paragraph_close", "list_item_close", "bullet_list_close"),
    ]
    (block,) = parser.parse("\n".join(fence([name])))
    assert block.content == f"{shown}\n"


@patient
@given(text=st.text())
def test_printable_text_is_left_alone_and_the_rest_is_escaped(text: str) -> None:
    """`printable` is the identity on harmless text, always gives one printable line, and may be applied again."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    if text.isprintable():
        assert printable(text) == text


def test_credentials_in_messages_are_masked() -> None:
    """A URL that a library put into its message shows no password."""
    assert lines_of("cannot reach redis://me:secret@host:1\nagain") == ["cannot reach redis://***@host:1", "again"]


def test_names_cannot_break_out_of_a_graph() -> None:
    """Quotes and brackets of a name are escaped in mermaid and in dot."""
    plan = hostile_plan('a"];b\\', "f]")
    mermaid, dot = mermaid_graph(plan), dot_graph(plan)
    assert all(line.count('"') in (0, 2) for line in mermaid.splitlines())
    assert '[label="add f] to a\\"];b\\\\@1"];' in dot


def _flat(tokens: list[Token]) -> list[Token]:
    return [found for token in tokens for found in (token, *_flat(token.children or []))]


def _shown(tokens: list[Token]) -> str:
    return "".join(token.content for token in _flat(tokens) if token.type in ("text", "code_inline"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "true"),
        (False, "false"),
        (1.0, "1.0"),
        (16, "16"),
        ("float16", "float16"),
        ("", '""'),
        ("none", '"none"'),
        ("a b", '"a b"'),
        ('@x == "y"', "'@x == \"y\"'"),
        ('it\'s "so"', '"it\'s \\"so\\""'),
        (("a:", "b c"), '[a:, "b c"]'),
        ((), "[]"),
        (UNREVEALED, UNREVEALED),
    ],
)
def test_values_are_shown_so_that_they_cannot_be_misread(value: str | None, shown: str) -> None:
    """Text that looks like another value is quoted."""
    assert show_value(value) == shown


def test_a_field_is_described_by_what_is_not_as_by_default() -> None:
    """Defaults are not repeated; where the value comes from is told if it is not the name."""
    attributes: dict[str, Value] = {
        "identifier": "$.t",
        "type": "text",
        "weight": 1.0,
        "no_stem": True,
        "phonetic_matcher": UNREVEALED,
    }
    assert describe_field("t", attributes) == "text, no_stem"
    assert describe_field("other", attributes) == "text, from $.t, no_stem"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(999_999), "999,999"),
        (number(1_250_000), "1.2M"),
        (count(1, "document"), "1 document"),
        (count(0, "index", "indexes"), "0 indexes"),
        (size(0), "0 B"),
        (size(1023), "1023 B"),
        (size(1536), "1.5 KiB"),
        (size(12 << 30), "12 GiB"),
        (span(0.2), "under 1 s"),
        (span(99), "99 s"),
        (span(600), "10 min"),
        (span(3 * 3600), "3 h"),
        (span(5 * 86_400), "5 d"),
        (stopwatch(0.042), "0.04 s"),
        (stopwatch(12.34), "12.3 s"),
        (stopwatch(300), "5 min"),
        (
            measured("old_layout_failures", 50.0),
            "the new index passed over documents in the old layout 50 times (expected: they were converted since)",
        ),
    ],
)
def test_quantities_read_well(shown: str, expected: str) -> None:
    """Rounded to what a person can use."""
    assert shown == expected


def test_the_impact_tells_memory_time_and_downtime() -> None:
    """Memory is compared with the headroom; without maxmemory that is said."""
    index = IndexPlan(
        name="a",
        action="update",
        classification="shadow",
        physical_before="a@1",
        physical_after="a@2",
        impact=Impact(documents=5_000, index_bytes=1 << 20, peak_memory_bytes=1 << 30, estimated_seconds=90, basis="x"),
    )
    assert impact_words(index) == (
        "5,000 documents",
        "index about 1.0 MiB",
        "server at its peak 1.0 GiB (no maxmemory)",
        "about 90 s",
        "search downtime: none",
    )


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none, nor does NO_COLOR, nor --no-color; the text is the same."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    paper = Paper()
    paper.line(Cell(text="[red]products[/red]", style="bold green"))
    assert write_out(paper, StringIO(), color=True) == "[red]products[/red]\n"
    assert write_out(paper, Terminal(), color=False) == "[red]products[/red]\n"
    colored = write_out(paper, Terminal(), color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == "[red]products[/red]\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert write_out(paper, Terminal(), color=True) == "[red]products[/red]\n"


def test_the_width_is_that_of_the_terminal_or_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are 120 wide unless COLUMNS says otherwise."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert paper_for(StringIO()).width == 120
    monkeypatch.setenv("COLUMNS", "70")
    assert paper_for(StringIO()).width == 70
    assert paper_for(Terminal()).width == 70


SENTENCES = st.lists(st.text("abcdefghij", min_size=1, max_size=10), min_size=1, max_size=30).map(" ".join)


@patient
@given(width=st.integers(40, 200), text=SENTENCES, subject=st.text("abc ", max_size=30))
def test_sentences_fit_the_width(width: int, text: str, subject: str) -> None:
    """Whatever can be broken at a space stays within the terminal, in a paragraph and in the last column of a row."""
    paper = Paper(width=width)
    paper.paragraph(text, first="  impact: ", rest="    ")
    paper.rows([(Cell(text=subject), Cell(text=text)), (Cell(text="a"), Cell(text="b"))])
    assert all(len(line) <= width for line in plain_text(paper).splitlines())
    assert plain_text(paper).split().count("impact:") == 1


def test_columns_line_up_and_the_last_one_hangs() -> None:
    """A long last cell is wrapped below itself; where there is no room it goes below its row."""
    paper = Paper(width=60)
    row = (Cell(text="+ field a"), Cell(text="tag"), Cell(text="in place: FT.ALTER can append fields to an index"))
    paper.rows([row, (Cell(text="- f"), Cell(text="numeric"), Cell(text=""))])
    assert plain_text(paper) == (
        "  + field a  tag      in place: FT.ALTER can append fields\n"
        "                      to an index\n"
        "  - f        numeric\n"
    )
    narrow = Paper(width=40)
    narrow.rows([row])
    assert plain_text(narrow).splitlines()[1] == "        in place: FT.ALTER can append"


def test_an_error_tells_what_where_why_and_what_next() -> None:
    """As text in lines that a terminal shows, without credentials."""
    error = SpecError("bad \x1b[31mkey", file="a.yaml", line=3, why="See redis://u:p@h.", next_step="mend it.")
    assert error_text(error) == "Error: a.yaml:3: bad \\x1b[31mkey\n  See redis://***@h.\n  Next: mend it.\n"


def test_an_error_as_json_has_its_kind_its_parts_and_its_exit_code() -> None:
    """Data of the kind is added under its own names."""
    data = error_data(HazardsNotAllowedError(("DELETES_INDEX",), ("! gone",)), "now")
    assert (data["event"], data["error"], data["exit_code"]) == ("error", "hazards_not_allowed", 3)
    assert data["codes"] == ("DELETES_INDEX",)
    assert data["next"].startswith("rvlstate apply --allow DELETES_INDEX")


def test_every_error_has_its_own_name_in_json() -> None:
    """Scripts tell errors apart by it."""

    def below(kind: type[RvlstateError]) -> list[type[RvlstateError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    kinds = {kind for kind in below(RvlstateError) if kind.__module__ == "rvlstate.errors"}
    assert len({error_name(kind) for kind in kinds}) == len(kinds)
    assert error_name(SpecError) == "spec"
